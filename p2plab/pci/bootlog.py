"""What a kernel's boot messages say of PCI: what the firmware had placed, and what the kernel then did."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from p2plab.pci.bars import PCI_BASE_ADDRESS_0, flag_bits
from p2plab.pci.device import FunctionKind
from p2plab.pci.dump import ROM_FLAGS, legacy_ide
from p2plab.pci.machine import HostBridge, Machine
from p2plab.pci.resource import (
    IO_WINDOW,
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_MEM_64,
    IORESOURCE_PREFETCH,
    IORESOURCE_UNSET,
    IORESOURCE_WINDOW,
    IOV_FIRST,
    MEM_WINDOW,
    PREF_WINDOW,
    ROM,
    Resource,
)

#: Words of the messages that say what the kernel did with addresses (setup-bus.c, setup-res.c).
DID = ("can't claim", "can't assign", "failed to assign", ": assigned", " add_size ", "trying firmware", "clipped to")
#: The same in kernels before 6.9, which put the range last: ``BAR 13: assigned [io 0x1000-0x1fff]``.
OLD_DID = re.compile(r"BAR \d+: (?:assigned|no space for|failed to assign|trying firmware)")

#: The words of the kernel's boot messages for a function's type (drivers/pci/probe.c, pci_type_str).
KINDS = {
    "PCIe Endpoint": FunctionKind.ENDPOINT,
    "PCIe Legacy Endpoint": FunctionKind.LEGACY_ENDPOINT,
    "PCIe Root Port": FunctionKind.ROOT_PORT,
    "PCIe Switch Upstream Port": FunctionKind.UPSTREAM,
    "PCIe Switch Downstream Port": FunctionKind.DOWNSTREAM,
    "PCIe to PCI/PCI-X bridge": FunctionKind.PCIE_TO_PCI,
    "PCI/PCI-X to PCIe bridge": FunctionKind.PCI_TO_PCIE,
    "PCIe Root Complex Integrated Endpoint": FunctionKind.RC_ENDPOINT,
    "PCIe Root Complex Event Collector": FunctionKind.RC_EVENT_COLLECTOR,
    "conventional PCI endpoint": FunctionKind.CONVENTIONAL,
    "conventional PCI bridge": FunctionKind.CONVENTIONAL_BRIDGE,
}

_STAMP = re.compile(r"^\[ *\d+\.\d+\] ")
_PLACED = re.compile(
    r"pci ([0-9a-f:.]+): +(BAR (\d)|ROM|bridge window|reg 0x([0-9a-f]{2}):) "
    r"\[(io|mem) +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})( [^\]]*)?\]$"
)
#: ``sriov_init`` (drivers/pci/iov.c); the second form until 6.8.
_VF_BARS = re.compile(
    r" ([0-9a-f:.]{7,20}): VF(?: BAR |\(n\) BAR)(\d)(?: space:)? \[mem +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})( [^\]]*)?\]"
    r"(?::| \() ?contains BAR ?\d for (\d{1,5}) VFs"
)
_ROOT = re.compile(
    r"pci_bus ([0-9a-f]+:[0-9a-f]+): root bus resource \[(io|mem) +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})([^\]]*)\]"
)
_FAILED = re.compile(
    r" ([0-9a-f:.]{7,20}): BAR (\d) \[(io|mem) +(?:size 0x([0-9a-f]{1,16})|0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16}))"
    r"((?: 64bit| pref)*)\]: failed to assign"
)
_TOLD = re.compile(r"^[a-z0-9_-]{1,40} ([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]: .*)")


#: Longer lines are not the kernel's (a record of printk holds at most 1024 bytes).
MAX_LINE = 1024


def root_windows(lines: Iterable[str]) -> dict[str, tuple[Resource, ...]]:
    """Per root bus (``0000:00``), in the order of discovery, the ranges routed to it."""
    windows: dict[str, list[Resource]] = {}
    for line in lines:
        if len(line) <= MAX_LINE and (found := _ROOT.search(line)):
            bus, space, start, end, marks = found.groups()
            below = windows.setdefault(bus, [])
            flags = IORESOURCE_WINDOW | space_flags(space, marks)
            below.append(Resource(16 + len(below), int(start, 16), int(end, 16), flags))
    return {bus: tuple(below) for bus, below in windows.items()}


def virtual_functions(lines: Iterable[str]) -> dict[str, int]:
    """Per physical function, how many virtual functions it can have (TotalVFs)."""
    return {bdf: total for bdf, _, total in _vf_bars(lines)}


def _vf_bars(lines: Iterable[str]) -> Iterator[tuple[str, Resource, int]]:
    """(physical function, VF BAR as the firmware left it, TotalVFs)."""
    for line in lines:
        if len(line) <= MAX_LINE and (found := _VF_BARS.search(line)):
            bdf, bar, low, high, marks, total = found.groups()
            start, end = int(low, 16), int(high, 16)
            flags = bar_flags(IORESOURCE_MEM, marks or "") | (IORESOURCE_UNSET if start == 0 else 0)
            yield bdf, Resource(IOV_FIRST + int(bar), start, end, flags), int(total)


def kernel_messages(lines: Iterable[str]) -> list[str]:
    """What the kernel did, one message a line: without time stamps and drivers' names."""
    found = []
    for line in lines:
        if len(line) <= MAX_LINE and _did(line) and (text := _TOLD.search(_STAMP.sub("", line))):
            found.append(text[1])
    return found


def given_up(lines: Iterable[str]) -> dict[str, tuple[Resource, ...]]:
    """Per function the BARs that the kernel found no room for: a size and a kind, no address."""
    found: dict[str, dict[int, Resource]] = {}
    for line in lines:
        if len(line) <= MAX_LINE and (failed := _FAILED.search(line)):
            bdf, bar, space, size, start, end, marks = failed.groups()
            length = int(size, 16) if size else int(end, 16) - int(start, 16) + 1
            flags = bar_flags(space_flags(space, marks), marks) | IORESOURCE_UNSET
            found.setdefault(bdf, {})[int(bar)] = Resource(int(bar), 0, max(length, 1) - 1, flags)
    return {bdf: tuple(bars.values()) for bdf, bars in found.items()}


def old_style(lines: Iterable[str]) -> bool:
    """The messages are worded as before Linux 6.9."""
    return any(OLD_DID.search(line) for line in lines)


def before_assignment(machine: Machine, lines: list[str]) -> Machine:
    """The machine as the kernel found it: addresses from the boot messages, host bridges in order of discovery.

    The messages up to the first thing the kernel did to an address are what the firmware had left.
    """
    placed: dict[str, dict[int, Resource]] = {}
    for line in lines:
        if _did(line):
            break
        if len(line) <= MAX_LINE and (found := _PLACED.match(_STAMP.sub("", line))):
            resource = _resource(found)
            placed.setdefault(found[1], {}).setdefault(resource.index, resource)
    for bdf, vf_bar, _ in _vf_bars(lines):
        placed.setdefault(bdf, {})[vf_bar.index] = vf_bar
    known = {bridge.name: bridge for bridge in machine.host_bridges}
    order = [f"pci{bus}" for bus in root_windows(lines)]
    bridges = [known.pop(name) for name in order if name in known]
    devices = []
    for device in machine.devices:
        legacy = {r.index: r for r in legacy_ide(device.class_code)}
        here = {**placed.get(device.bdf, {}), **legacy}
        devices.append(replace(device, resources=tuple(here[index] for index in sorted(here))))
    rest: list[HostBridge] = list(known.values())
    return replace(machine, devices=tuple(devices), host_bridges=tuple(bridges + rest))


def _resource(found: re.Match[str]) -> Resource:
    start, end, marks = int(found[6], 16), int(found[7], 16), found[8] or ""
    flags = space_flags(found[5], marks)
    if found[2] == "bridge window":
        index = IO_WINDOW if flags & IORESOURCE_IO else PREF_WINDOW if flags & IORESOURCE_PREFETCH else MEM_WINDOW
        flags |= 1 if flags & IORESOURCE_MEM_64 else 0
    elif found[2] == "ROM" or found[4] in ("30", "38"):
        index, flags = ROM, ROM_FLAGS
    else:
        index = int(found[3]) if found[3] else (int(found[4], 16) - PCI_BASE_ADDRESS_0) // 4
        flags = bar_flags(flags, marks)
    if start == 0 and index <= ROM:
        flags |= IORESOURCE_UNSET
    return Resource(index, start, end, flags)


def bar_flags(flags: int, marks: str) -> int:
    """The flags of a BAR's resource from its space and the words behind its range."""
    return flag_bits(1 if flags & IORESOURCE_IO else (4 if "64bit" in marks else 0) | (8 if "pref" in marks else 0))


def _did(line: str) -> bool:
    return any(words in line for words in DID) or OLD_DID.search(line) is not None


def space_flags(space: str, marks: str) -> int:
    """``io`` or ``mem``, with the words that the kernel prints behind a range."""
    flags = IORESOURCE_IO if space == "io" else IORESOURCE_MEM
    flags |= IORESOURCE_PREFETCH if " pref" in f" {marks}" else 0
    return flags | (IORESOURCE_MEM_64 if "64bit" in marks else 0)
