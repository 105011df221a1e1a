"""Which host bridges, and which CPUs, are trusted to carry a peer-to-peer request (drivers/pci/p2pdma.c)."""

from __future__ import annotations

from p2plab.pci.device import Device, FunctionKind
from p2plab.pci.kernel import ANY, PciKernel
from p2plab.pci.machine import Machine

CPUS = ("intel", "zen", "other")


def cpu_allows(cpu: str | None) -> bool:
    """``cpu_supports_p2pdma``: an AMD CPU of family 0x17 (Zen) or later; not known counts as no."""
    return cpu == "zen"


def host_bridge_device(machine: Machine, host_bridge: str) -> Device | None:
    """``pci_host_bridge_dev``: the first function of the root bus, if it is 00.0 or a root port; else none."""
    first = next(iter(machine.on_root_bus(host_bridge)), None)
    if first is not None and ((first.slot, first.function) == (0, 0) or first.kind is FunctionKind.ROOT_PORT):
        return first
    return None


def listed(machine: Machine, host_bridge: str, same: bool, kernel: PciKernel) -> tuple[bool, str, str | None]:
    """Whether one host bridge is on the kernel's list, why, and the ``bdf`` that the kernel warns about when it is missing.

    ``same``: provider and client are below the same host bridge.
    """
    device = host_bridge_device(machine, host_bridge)
    if device is None:
        return False, f"{host_bridge}: {_no_device(machine, host_bridge)}, so it cannot be looked up", None
    if device.vendor is None or device.device is None:
        return False, f"{host_bridge}: the ids of {device.bdf} are not shown, so it cannot be looked up", None
    who = f"{host_bridge} is {device.bdf} [{device.ids}]"
    list_of = kernel.host_bridges or {}
    only_same = list_of.get((device.vendor, device.device), list_of.get((device.vendor, ANY)))
    if only_same is None:
        return False, f"{who}: not on the list of Linux {kernel}", device.bdf
    if only_same and not same:
        return False, f"{who}: listed, but only for two functions below the same host bridge", None
    return True, f"{who}: listed", None


def _no_device(machine: Machine, host_bridge: str) -> str:
    first = next(iter(machine.on_root_bus(host_bridge)), None)
    if first is None:
        return "nothing is on its root bus"
    if first.kind in (FunctionKind.BRIDGE, FunctionKind.FUNCTION):
        return f"its first function {first.bdf} is not 00.0, and whether it is a root port is not shown"
    return f"its first function {first.bdf} is neither 00.0 nor a root port"
