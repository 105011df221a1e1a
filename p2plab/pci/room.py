"""Why was there no room: what found none, which window was too small, what is in its way, and what would help.

From the kernel's boot messages (``can't assign; no space``, before 6.9 ``BAR 15: no space for``; drivers/pci/setup-res.c) and
from BARs that have a size and no address. Each proposal is tried on the model before it is named, boot options by what they
do: the addresses that are shown are taken for the firmware's, and the kernel gives the rest. Only where none of that helps, all
all addresses are assigned again, as after a firmware that assigned none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from p2plab.core.errors import BadInput, KernelError
from p2plab.pci.allocate import assign_resources, unplaced, without_addresses
from p2plab.pci.bootlog import bar_flags, space_flags
from p2plab.pci.device import Device, FunctionKind
from p2plab.pci.machine import HostBridge, Machine
from p2plab.pci.rebar import size_code
from p2plab.pci.resource import (
    IO_WINDOW,
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_MEM_64,
    IORESOURCE_UNSET,
    IORESOURCE_WINDOW,
    IOV_FIRST,
    MEM_WINDOW,
    PREF_WINDOW,
    ROM,
    Resource,
)
from p2plab.pci.room_options import room_options
from p2plab.pci.whatif import moved, ranges_shown

FOUR_GIB = 1 << 32
REALLOC = "pci=realloc"
#: Where firmwares with above-4G decoding put a window for large BARs; its place and size are an example.
ABOVE_4G = Resource(99, 0x40_0000_0000, 0x7F_FFFF_FFFF, IORESOURCE_MEM | IORESOURCE_WINDOW | 0x10_0000)

_SIZE = r"\[(io|mem) +(?:size 0x([0-9a-f]{1,16})|0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16}))([^\]]*)\]"
_WHO = r" ([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]): +"
_NEW = re.compile(rf"{_WHO}(BAR (\d+)|VF BAR (\d)|ROM|bridge window)(?: \[?\d*\]?)? ?{_SIZE}: (.*)")
_OLD = re.compile(rf"{_WHO}(?:BAR (\d+)): (no space for|failed to assign|assigned|can't assign) {_SIZE}")
_WINDOW_OF = {"io": IO_WINDOW, "mem": MEM_WINDOW}


@dataclass(frozen=True)
class Request:
    """What found no room: a BAR or a window (``resource`` has a size and no address), and where that is said."""

    bdf: str
    resource: Resource
    source: str

    def __str__(self) -> str:
        return f"{self.bdf} {self.resource.name} {self.resource}"


@dataclass(frozen=True)
class Level:
    """One bus on the way up: the window that had to hold it, its largest gap, and its content.

    ``growth``: by how many bytes a bridge's window could grow where it is, ``None`` for a host bridge's, which the firmware
    gave; ``beside``: what is next to it on the bus above, where that is why it cannot.
    """

    owner: str
    window: Resource | None
    free: int
    inside: tuple[tuple[str, Resource], ...]
    shown: bool = True
    growth: int | None = None
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """One request: the levels from the bus it is on upwards, and what would help (``None``: could not be tried)."""

    request: Request
    levels: tuple[Level, ...]
    helps: tuple[str, ...] | None
    largest: int | None  #: the largest size offered by Resizable BAR that fits; ``None``: not resizable, or not known
    windows_from: str  #: ``shown`` or ``guessed``


def requests(machine: Machine) -> tuple[Request, ...]:
    """Everything that has no room, by the boot messages' last word and by BARs without an address."""
    last: dict[tuple[str, int], Request | None] = {}
    for line in machine.boot:
        for bdf, resource, failed in _messages(line):
            last[bdf, resource.index] = Request(bdf, resource, "boot messages") if failed else None
    for device in machine:
        for found in device.resources:
            if found.unset and found.sized and found.mem and (device.bdf, found.index) not in last:
                last[device.bdf, found.index] = Request(device.bdf, found, "no address shown")
    return tuple(request for request in last.values() if request is not None)


def _messages(line: str) -> Iterator[tuple[str, Resource, bool]]:
    """(function, resource, failed) of a message about giving an address."""
    if old := _OLD.search(line):
        yield old[1], _resource(int(old[2]), *old.group(4, 5, 6, 7, 8)), "assigned" not in old[3]
    elif new := _NEW.search(line):
        space, size, start, end, marks = new.group(5, 6, 7, 8, 9)
        what = new[10]
        if new[2] == "bridge window":
            index = PREF_WINDOW if "pref" in marks else _WINDOW_OF[space]
        else:
            index = ROM if new[2] == "ROM" else int(new[3]) if new[3] else IOV_FIRST + int(new[4])
        if what.startswith(("can't assign", "failed to assign", "assigned")):
            yield new[1], _resource(index, space, size, start, end, marks), not what.startswith("assigned")


def _resource(index: int, space: str, size: str | None, start: str | None, end: str | None, marks: str) -> Resource:
    length = int(size, 16) if size else int(end or "0", 16) - int(start or "0", 16) + 1
    flags = space_flags(space, marks) if index >= IO_WINDOW else bar_flags(space_flags(space, marks), marks)
    return Resource(index, 0, max(length, 1) - 1, flags | IORESOURCE_UNSET)


def explain(machine: Machine) -> tuple[Diagnosis, ...]:
    """Each request with the windows above it and what would help."""
    known = ranges_shown(machine)
    tried = machine if known else with_guessed_ranges(machine)
    answers = []
    for request in requests(machine):
        levels = tuple(_levels(machine, request)) if request.bdf in machine else ()
        helps = tuple(_helps(tried, request)) if request.bdf in machine else None
        largest = _largest(tried, request) if request.bdf in machine else None
        answers.append(Diagnosis(request, levels, helps, largest, "shown" if known else "guessed"))
    return tuple(answers)


def with_guessed_ranges(machine: Machine) -> Machine:
    """The machine with host bridges' ranges taken from what is in use below them: a guess, and the least that there is."""
    bridges = []
    for bridge in machine.host_bridges:
        if any(w.mem for w in bridge.windows):
            bridges.append(bridge)
            continue
        used = [
            r
            for d in machine.on_root_bus(bridge.name)
            for r in d.resources
            if r.mem and r.sized and not r.unset and not r.shadow
        ]
        windows: list[Resource] = []
        for part in ([r for r in used if r.end < FOUR_GIB], [r for r in used if r.start >= FOUR_GIB]):
            if part:
                flags = IORESOURCE_MEM | IORESOURCE_WINDOW
                windows.append(Resource(16 + len(windows), min(r.start for r in part), max(r.end for r in part), flags))
        bridges.append(HostBridge(bridge.name, tuple(windows), (), bridge.shown, bridge.first_shown))
    return replace(machine, host_bridges=tuple(bridges))


def _levels(machine: Machine, request: Request) -> Iterator[Level]:
    """The window above, the one above that, and so on, until one has a piece that is large enough."""
    wanted, below = request.resource, request.bdf
    for device in machine.path_up(request.bdf):
        above = machine.parent(device.bdf)
        if device.gap:
            yield Level(device.parent or "", None, 0, (), shown=False)
            return
        if above is None:
            bridge = machine.host_bridge_of(device.bdf)
            windows = [w for w in bridge.windows if _may_hold(w, wanted)]
            yield from _level(
                machine, bridge.name, windows, machine.on_root_bus(bridge.name), below, bool(bridge.windows)
            )
            return
        windows = [w for w in above.windows if _may_hold(w, wanted)]
        levels = [
            replace(level, growth=growth, beside=beside)
            for level in _level(machine, above.bdf, windows, machine.children(above.bdf), below, True)
            for growth, beside in [_around(machine, above, level.window)]
        ]
        yield from levels
        if any(level.free >= wanted.size for level in levels):
            return
        below = above.bdf


def _level(
    machine: Machine, owner: str, windows: list[Resource], devices: tuple[Device, ...], below: str, shown: bool
) -> Iterator[Level]:
    if not windows:
        yield Level(owner, None, 0, (), shown)
    for window in sorted(windows, key=lambda w: not w.prefetchable):
        inside = [(d.bdf, r) for d in devices for r in d.resources if window.contains(r) and r.sized]
        inside.sort(key=lambda entry: entry[1].start)
        yield Level(owner, window, _largest_gap(window, [r for _, r in inside]), tuple(inside), shown)


def _around(machine: Machine, bridge: Device, window: Resource | None) -> tuple[int, tuple[str, ...]]:
    """Free bytes before and after a bridge's window on the bus above, and what is next to it."""
    parent = machine.parent(bridge.bdf)
    host = machine.host_bridge_of(bridge.bdf)
    offers = parent.windows if parent is not None else host.windows
    holder = next((w for w in offers if window is not None and w.contains(window)), None)
    if window is None or holder is None:
        return 0, ()
    owner = parent.bdf if parent is not None else host.name
    devices = machine.children(parent.bdf) if parent is not None else machine.on_root_bus(host.name)
    found = [
        (f"{d.bdf} {r.name} {r}", r)
        for d in devices
        for r in d.resources
        if holder.contains(r) and r.sized and (d.bdf, r.index) != (bridge.bdf, window.index)
    ]
    before = max((pair for pair in found if pair[1].end < window.start), key=lambda pair: pair[1].end, default=None)
    after = min((pair for pair in found if pair[1].start > window.end), key=lambda pair: pair[1].start, default=None)
    low = holder.start if before is None else before[1].end + 1
    high = holder.end if after is None else after[1].start - 1
    ends = f"the end of {owner} {holder.name} {holder}"
    beside = (before[0] if before else ends, after[0] if after else ends)
    return (window.start - low) + (high - window.end), tuple(dict.fromkeys(beside))


def _may_hold(window: Resource, wanted: Resource) -> bool:
    """``pci_bus_alloc_resource``: the same space, and nothing unprefetchable in a prefetchable window."""
    if (window.flags ^ wanted.flags) & (IORESOURCE_IO | IORESOURCE_MEM) or window.unset:
        return False
    if window.prefetchable and not wanted.prefetchable:
        return False
    return bool(wanted.flags & IORESOURCE_MEM_64) or window.start < FOUR_GIB


def _largest_gap(window: Resource, inside: list[Resource]) -> int:
    at, best = window.start, 0
    for found in inside:
        best, at = max(best, found.start - at), max(at, found.end + 1)
    return max(best, window.end + 1 - at)


def _with_request(machine: Machine, request: Request) -> Machine:
    """The machine in which the function has the BAR that it wants."""
    device = machine[request.bdf]
    if request.resource.window:
        return machine
    kept = tuple(r for r in device.resources if r.index != request.resource.index)
    return machine.with_device(replace(device, resources=tuple(sorted((*kept, request.resource)))))


def _fits(machine: Machine, bdf: str, index: int, all_of: Machine) -> bool:
    """After a boot that assigns all addresses again, it has one, and everything that has one now keeps one."""
    return _has_room(assign_resources(without_addresses(machine)).machine, bdf, index, all_of)


def _boots(machine: Machine, bdf: str, index: int, all_of: Machine, options: str = "") -> bool:
    """The same after a boot with these options, at which the firmware gives the addresses that are shown."""
    return _has_room(assign_resources(machine, options=room_options(options)).machine, bdf, index, all_of)


def _has_room(done: Machine, bdf: str, index: int, all_of: Machine) -> bool:
    if done[bdf].resource(index) is None:
        return False
    had = {(d.bdf, r.index) for d in all_of for r in d.bars if r.mem and r.sized and not r.unset}
    got = {(d.bdf, r.index) for d in done for r in d.bars}
    return not {entry for entry in had if entry[0] in done} - got - {(bdf, index)}


def _helps(machine: Machine, request: Request) -> Iterator[str]:
    """What would help, each tried."""
    wanted = _with_request(machine, request)
    bdf, index = request.bdf, request.resource.index
    if request.resource.window and not machine.children(bdf):
        yield "nothing is below it: the room was to be kept for hot plug, and no device lacks any"
        return
    again = _fits(wanted, bdf, index, machine)
    if _boots(wanted, bdf, index, machine):
        yield "a boot with all of this in place: it fits, and no option is needed"
    elif _boots(wanted, bdf, index, machine, REALLOC):
        yield f"{REALLOC}: it fits"
    elif again:
        yield f"all windows assigned again, by firmware that leaves them to Linux: then it fits; {REALLOC} alone does not help"
    if request.resource.window:
        return
    yield from _reserve(machine, wanted, request)
    high = any(w.end >= FOUR_GIB for w in machine.host_bridge_of(bdf).windows)
    if not again and not high and request.resource.mem64 and request.resource.prefetchable:
        bridge = replace(
            machine.host_bridge_of(bdf), windows=(*machine.host_bridge_of(bdf).windows, ABOVE_4G), offsets=()
        )
        opened = replace(
            wanted, host_bridges=tuple(bridge if b.name == bridge.name else b for b in machine.host_bridges)
        )
        if _fits(opened, bdf, index, machine):
            yield "above-4G decoding in the firmware's setup: with a window of 256 GiB above 4 GiB it fits"
    if not again and (slot := _other_slot(wanted, request, machine)):
        yield f"another slot: in {slot} it fits"


def _reserve(machine: Machine, wanted: Machine, request: Request) -> Iterator[str]:
    """What to reserve below a port with hot plug, so that the card finds room when it comes after boot.

    Linux keeps that room in windows that it makes itself. Tried with the windows that are shown, and if these are in the way
    without those above the card.
    """
    above = wanted.parent(request.bdf)
    if above is None or not above.hotplug:
        return
    pref = request.resource.prefetchable and request.resource.mem64
    window = (
        assign_resources(without_addresses(wanted)).machine[above.bdf].resource(PREF_WINDOW if pref else MEM_WINDOW)
    )
    if window is None:
        return
    name = f"pci={'hpmmioprefsize' if pref else 'hpmmiosize'}"
    path = [d.bdf for d in machine.path_up(request.bdf)][1:]
    made = f", and Linux makes the windows of {', '.join(reversed(path))}, not the firmware"
    for booted, condition in ((machine, ""), (_without_windows(machine, path), made)):
        for size in (window.size, 2 * window.size):  # a window for hot plug is aligned to 1 MiB, a BAR to its size
            option = f"{name}={max(size >> 20, 1)}M"
            if _comes_later(booted, wanted, request, above.bdf, option):
                yield f"{option}: so much kept below {above.bdf} is enough if the card comes after boot{condition}"
                return


def _comes_later(machine: Machine, wanted: Machine, request: Request, port: str, option: str) -> bool:
    """Boot without what is below the port, then plug in the function: whether it finds room in the windows of that boot."""
    below = {d.bdf for d in machine if port in [up.bdf for up in machine.path_up(d.bdf)][1:]}
    booted = replace(machine, devices=tuple(d for d in machine.devices if d.bdf not in below))
    booted = assign_resources(booted, options=room_options(option)).machine
    card = replace(wanted[request.bdf], resources=tuple(unplaced(wanted[request.bdf])))
    plugged = assign_resources(replace(booted, devices=(*booted.devices, card))).machine
    return plugged[request.bdf].resource(request.resource.index) is not None


def _without_windows(machine: Machine, bridges: list[str]) -> Machine:
    devices = (
        replace(d, resources=tuple(r for r in d.resources if not r.window)) if d.bdf in bridges else d
        for d in machine.devices
    )
    return replace(machine, devices=tuple(devices))


def _other_slot(wanted: Machine, request: Request, machine: Machine) -> str:
    """The first empty slot below a port in which everything fits."""
    ports = (FunctionKind.ROOT_PORT, FunctionKind.DOWNSTREAM)
    for port in machine:
        if port.kind in ports and port.secondary and not machine.children(port.bdf):
            slot = f"{port.domain:04x}:{port.secondary:02x}:00.{request.bdf[-1]}"
            try:
                there, places = moved(wanted, request.bdf, slot)
            except BadInput:
                continue
            if _fits(there, places[request.bdf], request.resource.index, machine):
                return slot
    return ""


def _largest(machine: Machine, request: Request) -> int | None:
    """The largest size offered by the BAR that has room at the next boot."""
    device = machine[request.bdf]
    entry = next((e for e in device.rebar if e.index == request.resource.index), None)
    if entry is None:
        return None
    for size in sorted(entry.bytes_offered, reverse=True):
        resource = replace(request.resource, end=size - 1)
        rebar = tuple(replace(e, current=size_code(size)) if e is entry else e for e in device.rebar)
        asked = _with_request(machine.with_device(replace(device, rebar=rebar)), replace(request, resource=resource))
        try:
            if _fits(asked, request.bdf, request.resource.index, machine):
                return size
        except KernelError:
            continue
    return 0
