"""Whether the host bridge carries a request between two functions: yes, no, or not known and what is missing.

``host_bridge_whitelist`` and ``cpu_supports_p2pdma`` of drivers/pci/p2pdma.c; the lists are in :mod:`p2plab.pci.whitelist`.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.pci.device import FunctionKind
from p2plab.pci.kernel import PciKernel
from p2plab.pci.machine import Machine
from p2plab.pci.whitelist import cpu_allows, host_bridge_device, listed

CPU_MISSING = "the CPU: --cpu intel, zen or other (lscpu shows the vendor; AMD of family 23 or more is zen)"


@dataclass(frozen=True)
class Carried:
    """``allowed`` is ``None`` where ``missing`` decides; ``unlisted`` are the functions that the kernel warns about."""

    allowed: bool | None
    reasons: tuple[str, ...]
    unlisted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def carried(machine: Machine, a: str, b: str, kernel: PciKernel) -> Carried:
    """Whether a request from below one host bridge to below another (or the same) is trusted to arrive."""
    if cpu_allows(machine.cpu):
        return Carried(True, ("the CPU is an AMD Zen or later: trusted to carry it",))
    known = machine.cpu is not None
    cpu = f"the CPU is {machine.cpu}: not an AMD Zen or later" if known else "the CPU is not shown"
    why = [f"{cpu}, so the host bridge must be listed"]
    missing: list[str] = []
    for bridge in dict.fromkeys((a, b)):
        unshown = _unshown(machine, bridge)
        if unshown:
            missing.append(unshown)
            why.append(f"{bridge}: not shown whether it is listed")
            continue
        ok, reason, unlisted = listed(machine, bridge, a == b, kernel)
        why.append(reason)
        if not ok:
            if known:
                return Carried(False, tuple(why), (unlisted,) if unlisted else ())
            return Carried(None, tuple(why), (unlisted,) if unlisted else (), (CPU_MISSING,))
    if missing and not known:
        missing.append(CPU_MISSING)
    return Carried(None if missing else True, tuple(why), (), tuple(missing))


def _unshown(machine: Machine, host_bridge: str) -> str:
    """What is missing to look a host bridge up; empty if nothing is."""
    bridge = next((b for b in machine.host_bridges if b.name == host_bridge), None)
    bus = host_bridge.removeprefix("pci")
    if bridge is not None and not bridge.shown:
        return f"the host bridge above bus {bus}: lspci -tvnn, or -nnvvv of the whole machine"
    first = next(iter(machine.on_root_bus(host_bridge)), None)
    if bridge is not None and not bridge.first_shown:
        return f"the first function of root bus {bus}: lspci -nnvvv of the whole machine"
    if first is None:
        return ""
    at_zero = (first.slot, first.function) == (0, 0)
    if not at_zero and first.kind in (FunctionKind.BRIDGE, FunctionKind.FUNCTION):
        return f"the PCI Express type of {first.bdf}: run lspci as root with -vv"
    device = host_bridge_device(machine, host_bridge)
    if device is not None and (device.vendor is None or device.device is None):
        return f"ids of the host bridge {device.bdf}: -nn"
    return ""
