"""What comes beside lspci's text: boot messages and ``/proc/iomem``, for a machine that is known, or alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from p2plab.pci.bootlog import KINDS, MAX_LINE, bar_flags, space_flags
from p2plab.pci.device import canonical
from p2plab.pci.draft import Bus, Draft
from p2plab.pci.dump import ROM_FLAGS
from p2plab.pci.machine import HostBridge, Machine
from p2plab.pci.resource import (
    IO_WINDOW,
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_PREFETCH,
    IORESOURCE_UNSET,
    IORESOURCE_WINDOW,
    MEM_WINDOW,
    PREF_WINDOW,
    ROM,
    Resource,
)

_FUNCTION = re.compile(r"[a-z0-9_-]{2,40} ([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]): +(.*)")
_BUS = re.compile(r"pci_bus ([0-9a-f]{4,8}:[0-9a-f]{2}): (.*)")
_HOST = re.compile(r"PCI host bridge to bus ([0-9a-f]{4,8}):([0-9a-f]{2})")
_TYPE = re.compile(r"\[([0-9a-f]{4}):([0-9a-f]{4})\] type ([0-9a-f]{2}) class 0x([0-9a-f]{6}) ?(.*)")
_BUSES = re.compile(r"PCI bridge to \[bus ([0-9a-f]{2})(?:-([0-9a-f]{2}))?\]")
_ROOT = re.compile(
    r"root bus resource \[(io|mem) +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})([^\]]*)\](?: \(bus address \[0x([0-9a-f]{1,16}))?"
)
_RANGE = r"\[(io|mem) +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})([^\]]*)\]"
_WINDOW = re.compile(rf"(?:bridge window|BAR 1[345]): {_RANGE}|bridge window {_RANGE}|BAR (1[345]): assigned {_RANGE}")
_BAR = re.compile(
    rf"(?:reg 0x([0-9a-f]{{2}}): |BAR (\d)(?::)?(?: assigned)? |(ROM)(?::)? ){_RANGE}(.*)|BAR (\d): assigned {_RANGE}"
)
_GROUP = re.compile(r"Adding to iommu group (\d{1,6})")
_CPU = re.compile(r"CPU0: (.*?) \(family: (0x[0-9a-f]+)")
_IOMMU_TYPE = re.compile(r"iommu: Default domain type: (\w+)")
_IOMEM = re.compile(r"( *)([0-9a-f]{4,16})-([0-9a-f]{4,16}) : PCI Bus ([0-9a-f]{4,8}:[0-9a-f]{2})$")

_IOMEM_FUNCTION = re.compile(r" *([0-9a-f]{4,16})-([0-9a-f]{4,16}) : ([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$")


def pci_messages(lines: Iterable[str]) -> tuple[str, ...]:
    """The messages of PCI functions and buses, without time stamps, log levels and host names."""
    found = []
    for line in lines:
        if len(line) <= MAX_LINE:
            for kind in (_FUNCTION, _BUS):
                if at := kind.search(line):
                    found.append(at[0].rstrip())
                    break
    return tuple(found)


def boot_drafts(lines: Sequence[str]) -> tuple[dict[str, Draft], dict[Bus, str]]:
    """The functions that boot messages name, and the root buses: what there is to know without lspci."""
    drafts: dict[str, Draft] = {}
    roots: dict[Bus, str] = {}
    for line in lines:
        if len(line) > MAX_LINE:
            continue
        if host := _HOST.search(line):
            roots.setdefault((int(host[1], 16), int(host[2], 16)), "")
        if bus := _BUS.search(line):
            if bus[2].startswith("root bus resource"):
                domain, _, number = bus[1].partition(":")
                roots.setdefault((int(domain, 16), int(number, 16)), "")
            continue
        if found := _FUNCTION.search(line):
            bdf = canonical(found[1])
            _message(drafts.setdefault(bdf, Draft(bdf, 0)), found[2])
    return drafts, roots


def _message(draft: Draft, text: str) -> None:
    if kind := _TYPE.match(text):
        draft.vendor, draft.device = int(kind[1], 16), int(kind[2], 16)
        draft.class_code, draft.kind = int(kind[4], 16), KINDS.get(kind[5].strip(), draft.kind)
    elif buses := _BUSES.match(text):
        first = int(buses[1], 16)
        if first > draft.bus[1]:
            draft.secondary, draft.subordinate = first, max(int(buses[2] or buses[1], 16), first)
    elif group := _GROUP.search(text):
        draft.iommu_group = int(group[1])
    elif window := _WINDOW.match(text):
        given = [part for part in window.groups() if part is not None]
        space, start, end, marks = given[-4:]
        flags = space_flags(space, marks)
        index = IO_WINDOW if flags & IORESOURCE_IO else PREF_WINDOW if flags & IORESOURCE_PREFETCH else MEM_WINDOW
        _keep(draft, index, start, end, flags)
    elif bar := _BAR.match(text):
        if bar[9] is not None:
            index, (space, start, end, marks) = int(bar[9]), bar.group(10, 11, 12, 13)
        else:
            space, start, end, marks = bar.group(4, 5, 6, 7)
            register = int(bar[1], 16) if bar[1] else None
            index = (
                ROM
                if bar[3] or register in (0x30, 0x38)
                else int(bar[2])
                if bar[2]
                else ((register or 0x10) - 0x10) // 4
            )
            if "can't" in bar[8] or "failed" in bar[8] or "releasing" in bar[8]:
                return
        if 0 <= index <= ROM:
            flags = ROM_FLAGS if index == ROM else bar_flags(space_flags(space, marks), marks)
            _keep(draft, index, start, end, flags)


def _keep(draft: Draft, index: int, start: str, end: str, flags: int) -> None:
    low, high = int(start, 16), int(end, 16)
    if high >= low:
        unset = IORESOURCE_UNSET if low == 0 and index <= ROM else 0
        draft.resources[index] = Resource(index, low, high, flags | unset)


def with_boot_log(machine: Machine, dmesg: Sequence[str], iomem: Sequence[str] = ()) -> Machine:
    """The machine with the host bridges' ranges, bus addresses, IOMMU and CPU that its boot messages or iomem show."""
    windows: dict[str, list[Resource]] = {}
    offsets: dict[str, list[int]] = {}
    cpu, iommu = machine.cpu, machine.iommu
    groups: dict[str, int] = {}
    shown = set()
    for line in dmesg:
        if len(line) > MAX_LINE:
            continue
        if host := _HOST.search(line):
            shown.add(f"pci{host[1]}:{host[2]}")
        if (bus := _BUS.search(line)) and (root := _ROOT.match(bus[2])):
            name = f"pci{bus[1]}"
            shown.add(name)
            below = windows.setdefault(name, [])
            start, end = int(root[2], 16), int(root[3], 16)
            if end >= start:
                below.append(Resource(16 + len(below), start, end, IORESOURCE_WINDOW | space_flags(root[1], root[4])))
                offsets.setdefault(name, []).append(int(root[5], 16) - start if root[5] else 0)
        if found := _CPU.search(line):
            zen = "AMD" in found[1] and int(found[2], 16) >= 0x17
            cpu = cpu or ("zen" if zen else "intel" if "Intel" in found[1] else "other")
        if kind := _IOMMU_TYPE.search(line):
            iommu = kind[1] == "Translated"
        if (function := _FUNCTION.search(line)) and (group := _GROUP.search(function[2])):
            groups[canonical(function[1])] = int(group[1])
    if not windows:
        windows = _from_iomem(iomem)
    bridges = []
    names = {bridge.name for bridge in machine.host_bridges}
    for bridge in (*machine.host_bridges, *(HostBridge(name) for name in windows if name not in names)):
        given = tuple(windows.get(bridge.name, ())) or bridge.windows
        bridges.append(
            replace(
                bridge,
                windows=given,
                offsets=tuple(offsets.get(bridge.name, ())) or bridge.offsets,
                shown=bridge.shown or bridge.name in shown,
            )
        )
    devices = tuple(
        replace(d, iommu_group=groups[d.bdf]) if d.bdf in groups and d.iommu_group is None else d
        for d in machine.devices
    )
    lacks = tuple(
        what
        for what in machine.lacks
        if not (what == "the CPU" and cpu) and not (windows and what == "the address ranges of the host bridges")
    )
    boot = machine.boot + pci_messages(dmesg)
    if iommu is None and groups:
        iommu = True
    return replace(machine, devices=devices, host_bridges=tuple(bridges), cpu=cpu, iommu=iommu, lacks=lacks, boot=boot)


def iomem_drafts(lines: Sequence[str]) -> tuple[dict[str, Draft], dict[Bus, str]]:
    """The functions that ``/proc/iomem`` alone names, their ranges counted from 0 on; no tree, and no address without root."""
    drafts: dict[str, Draft] = {}
    roots: dict[Bus, str] = {}
    for line in lines:
        if len(line) > MAX_LINE:
            continue
        if (bus := _IOMEM.fullmatch(line)) and not bus[1]:
            domain, _, number = bus[4].partition(":")
            roots.setdefault((int(domain, 16), int(number, 16)), "")
        elif found := _IOMEM_FUNCTION.fullmatch(line):
            bdf = canonical(found[3])
            draft = drafts.setdefault(bdf, Draft(bdf, 0))
            index, start, end = len(draft.resources), int(found[1], 16), int(found[2], 16)
            if end and index < ROM:
                draft.resources[index] = Resource(index, start, end, IORESOURCE_MEM)
    return drafts, roots


def _from_iomem(lines: Sequence[str]) -> dict[str, list[Resource]]:
    """The outermost ``PCI Bus`` ranges. Without root all addresses read 0, and nothing is taken."""
    windows: dict[str, list[Resource]] = {}
    for line in lines:
        found = _IOMEM.fullmatch(line) if len(line) <= MAX_LINE else None
        if found and not found[1] and int(found[3], 16):
            below = windows.setdefault(f"pci{found[4]}", [])
            flags = IORESOURCE_WINDOW | IORESOURCE_MEM
            below.append(Resource(16 + len(below), int(found[2], 16), int(found[3], 16), flags))
    return windows
