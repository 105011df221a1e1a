"""Giving addresses to BARs and bridge windows, as Linux does at boot on x86 (setup-bus.c, setup-res.c, i386.c; v6.12).

What the firmware has placed is claimed first, bridges from the root down. Then windows are sized from the leaves up,
and everything without an address is placed from the root down, biggest alignment first, lowest free address first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from p2plab.pci.device import Device
from p2plab.pci.draft import SUBTRACTIVE
from p2plab.pci.machine import Machine
from p2plab.pci.resource import (
    IO_WINDOW,
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_MEM_64,
    IORESOURCE_PREFETCH,
    IORESOURCE_STARTALIGN,
    IORESOURCE_UNSET,
    MEM_WINDOW,
    PREF_WINDOW,
    ROM,
    Resource,
)
from p2plab.pci.sizing import MIB, align_up, calculate_iosize, calculate_memsize, memory_sum
from p2plab.pci.space import Range, fits_kind, kinds_to_try

FOUR_GIB, TOP = 1 << 32, (1 << 64) - 1
PCIBIOS_MIN_IO, PCIBIOS_MIN_MEM, BIOS_END = 0x1000, 0x1000_0000, 0x10_0000
IO_ALIGN = 0x1000
#: Room kept below a port that can be hot-plugged (``pci_hotplug_*_size``, drivers/pci/pci.c).
HOTPLUG_IO, HOTPLUG_MEM = 256, 2 * MIB
MEM64_PREF = IORESOURCE_MEM | IORESOURCE_PREFETCH | IORESOURCE_MEM_64
_KIND = MEM64_PREF | IORESOURCE_IO


@dataclass(frozen=True)
class Refusal:
    """A BAR or window for which no room was found."""

    bdf: str
    index: int
    size: int
    name: str


@dataclass(frozen=True)
class Allocation:
    """The machine with addresses, what was refused, and the kernel's messages in its order."""

    machine: Machine
    refused: tuple[Refusal, ...]
    messages: tuple[str, ...]


@dataclass(eq=False)
class _Node:
    """One function while addresses are given; ``bus`` is what its own BARs are allocated from."""

    device: Device
    bus: _Bus
    ranges: list[Range]
    below: _Bus | None = None

    def window(self, index: int) -> Range:
        return next(r for r in self.ranges if r.index == index)


@dataclass(eq=False)
class _Bus:
    """A bus: the ranges it offers, in the kernel's order, and the functions on it."""

    bridge: _Node | None
    offers: list[Range]
    nodes: list[_Node] = field(default_factory=list)
    transparent: bool = False
    parent: _Bus | None = None


@dataclass(eq=False)
class _Wish:
    """An entry of ``realloc_head``: bytes that would be good to have on top."""

    wanted: Range
    node: _Node
    extra: int
    align: int


def assign_resources(machine: Machine) -> Allocation:
    """Claim what has an address and place what has none (``IORESOURCE_UNSET``, or a window that is closed).

    Nothing in ``machine`` changes; a range that finds no room is left out of the result and listed in ``refused``.
    """
    return _Assignment(machine).run()


def without_addresses(machine: Machine) -> Machine:
    """The same machine as a blank firmware would leave it: every BAR sized but unplaced, every window closed."""
    return replace(machine, devices=tuple(replace(d, resources=tuple(_blank(d))) for d in machine.devices))


def _blank(device: Device) -> Iterator[Resource]:
    for found in device.resources:
        if found.fixed:
            yield found
        elif not found.window and found.sized:
            yield Resource(found.index, 0, found.size - 1, found.flags | IORESOURCE_UNSET)


class _Assignment:
    """One run, with its messages."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.messages: list[str] = []
        self.refused: dict[tuple[str, int], Refusal] = {}
        self.firmware: dict[tuple[str, int], int] = {}
        self.roots = [self._root(bridge.name, bridge.windows) for bridge in machine.host_bridges]

    def run(self) -> Allocation:
        for root in self.roots:
            self._claim_windows(root)
        for disabled in (False, True):
            for root in self.roots:
                self._claim_bars(root, disabled)
        for root in self.roots:
            self._claim_roms(root)
        for root in self.roots:
            wishes: list[_Wish] = []
            self._size_windows(root, wishes)
            self._place(root, wishes)
        return Allocation(self._result(), tuple(self.refused.values()), tuple(self.messages))

    def _say(self, wanted: Range, what: str) -> None:
        self.messages.append(f"{wanted}: {what}")

    # The tree

    def _root(self, name: str, windows: tuple[Resource, ...]) -> _Bus:
        bus = _Bus(None, [Range.of(name, w) for w in windows])
        self._fill(bus, list(self.machine.on_root_bus(name)))
        return bus

    def _fill(self, bus: _Bus, devices: list[Device]) -> None:
        todo = [(bus, devices)]
        while todo:
            here, found = todo.pop()
            for device in found:
                node = _Node(device, here, [Range.of(device.bdf, r) for r in device.resources if r.sized])
                here.nodes.append(node)
                if device.is_bridge:
                    node.below = self._below(node)
                    children = sorted(self.machine.children(device.bdf), key=lambda d: (d.slot, d.function))
                    todo.append((node.below, children))

    def _below(self, node: _Node) -> _Bus:
        have = {r.index for r in node.ranges}
        for index in (IO_WINDOW, MEM_WINDOW, PREF_WINDOW):
            if index not in have:
                node.ranges.append(Range(node.device.bdf, index, 0, 0, 0))
        offers = [node.window(index) for index in (IO_WINDOW, MEM_WINDOW, PREF_WINDOW)]
        transparent = node.device.class_code is not None and node.device.class_code & 0xFF == SUBTRACTIVE
        passed_on = node.bus.offers if transparent else []
        return _Bus(node, offers + passed_on, transparent=transparent, parent=node.bus)

    # What the firmware placed

    def _claim_windows(self, bus: _Bus) -> None:
        for node in bus.nodes:
            if node.below is None:
                continue
            for found in node.below.offers[:3]:
                if found.flags and not (found.start and self._claim_window(found, bus)):
                    found.start = found.end = found.flags = 0
            self._claim_windows(node.below)

    def _claim_window(self, found: Range, bus: _Bus) -> bool:
        if self._claim(found, bus):
            return True
        for offer in bus.offers:  # pci_bus_clip_resource
            start, end = max(offer.start, found.start), min(offer.end, found.end)
            if (offer.flags ^ found.flags) & (IORESOURCE_IO | IORESOURCE_MEM) or not offer.flags or start > end:
                continue
            if (start, end) == (found.start, found.end):
                return False
            found.start, found.end = start, end
            return self._claim(found, bus)
        return False

    def _claim(self, found: Range, bus: _Bus) -> bool:
        holder = next((offer for offer in bus.offers if offer.flags and offer.contains(found)), None)
        if holder is None or (holder.flags & IORESOURCE_PREFETCH and not found.flags & IORESOURCE_PREFETCH):
            self._say(found, "can't claim; no compatible bridge window")
            return False
        conflict = holder.request(found)
        if conflict is not None:
            self._say(found, f"can't claim; address conflict with {conflict.owner} {conflict.frozen()}")
        return conflict is None

    def _claim_bars(self, bus: _Bus, disabled: bool) -> None:
        for node in bus.nodes:
            if (node.device.memory_decode is False) == disabled:
                for found in node.ranges:
                    if found.index < ROM and found.start and not self._claim(found, bus):
                        self._unplace(found)
            if node.below is not None:
                self._claim_bars(node.below, disabled)

    def _claim_roms(self, bus: _Bus) -> None:
        for node in bus.nodes:
            for found in node.ranges:
                if found.index == ROM and found.flags and found.start and not self._claim(found, bus):
                    found.start, found.end = 0, found.end - found.start
            if node.below is not None:
                self._claim_roms(node.below)

    def _unplace(self, found: Range) -> None:
        """A new address later; the firmware's is remembered as a last resort (``pcibios_save_fw_addr``)."""
        if not found.flags & 0x10:
            self.firmware[found.owner, found.index] = found.start
            found.start, found.end = 0, found.end - found.start

    # Sizing the windows, leaves first

    def _size_windows(self, bus: _Bus, wishes: list[_Wish]) -> None:
        for node in bus.nodes:
            if node.below is not None:
                self._size_windows(node.below, wishes)
        if bus.bridge is None:
            return
        io, memory, pref = bus.offers[:3]
        io.flags |= IORESOURCE_IO
        memory.flags |= IORESOURCE_MEM
        if not pref.flags:
            pref.flags = MEM64_PREF | 1
        hotplug = bool(bus.bridge.device.hotplug)
        self._size_io(bus, io, HOTPLUG_IO if hotplug else 0, wishes)
        wide = bool(pref.flags & IORESOURCE_MEM_64)
        exact = MEM64_PREF if wide else MEM64_PREF & ~IORESOURCE_MEM_64
        extra = HOTPLUG_MEM if hotplug else 0
        self._size_memory(bus, pref, exact, {exact}, extra, wishes)
        others = {IORESOURCE_MEM, MEM64_PREF & ~IORESOURCE_MEM_64, MEM64_PREF & ~IORESOURCE_PREFETCH}
        self._size_memory(bus, memory, exact, others if wide else {IORESOURCE_MEM}, extra, wishes)

    def _size_io(self, bus: _Bus, window: Range, add: int, wishes: list[_Wish]) -> None:
        if window.parent is not None:
            return
        inside = [r for node in bus.nodes for r in node.ranges if r.flags & IORESOURCE_IO and r.parent is None]
        small = sum(r.size for r in inside if r.size < 1024)
        large = sum(r.size for r in inside if r.size >= 1024)
        align = max([IO_ALIGN, *(_alignment(r) for r in inside)])
        here = {id(r) for r in inside}
        children = sum(w.extra for w in wishes if id(w.wanted) in here)
        size = calculate_iosize(small, large, 0, 0, window.size, align)
        wished = calculate_iosize(small, large, add, children, window.size, align) if add or children else size
        self._wish(bus, window, size, wished, align, align, wishes)

    def _size_memory(self, bus: _Bus, window: Range, mask: int, kinds: set[int], add: int, wishes: list[_Wish]) -> None:
        if window.parent is not None:
            return
        inside = [
            r
            for node in bus.nodes
            for r in node.ranges
            if r.parent is None and not r.flags & 0x10 and r.flags & IORESOURCE_MEM and r.flags & mask in kinds
        ]
        total, align = memory_sum((r.size, _alignment(r)) for r in inside)
        here = {id(r) for r in inside}
        nested = [w for w in wishes if id(w.wanted) in here]
        children = sum(w.extra for w in nested)
        size = calculate_memsize(total, 0, 0, window.size, align) if inside else 0
        wished_align = max([align, *(w.align for w in nested)])
        wished = calculate_memsize(total, add, children, window.size, wished_align) if add or children else size
        self._wish(bus, window, size, wished, align, wished_align, wishes)

    def _wish(
        self, bus: _Bus, window: Range, size: int, wished: int, align: int, wished_align: int, wishes: list[_Wish]
    ) -> None:
        """Note size and alignment in the window (start holds the alignment), and what would be good to have on top."""
        assert bus.bridge is not None
        if not size and not wished:
            window.flags = 0
            return
        window.start, window.end = align, align + size - 1
        window.flags |= IORESOURCE_STARTALIGN
        if wished > size:
            wishes.insert(0, _Wish(window, bus.bridge, wished - size, wished_align))
            also = "" if window.flags & IORESOURCE_IO else f" add_align {wished_align:x}"
            self.messages.append(f"{window} to {_buses(bus.bridge.device)} add_size {wished - size:x}{also}")

    # Placing, root first

    def _place(self, bus: _Bus, wishes: list[_Wish]) -> None:
        head = self._sorted(bus)
        if wishes and self._place_with_wishes(head, wishes):
            pass
        else:
            for node, wanted in head:
                if wanted.size and not self._assign(node, wanted):
                    self._give_up(wanted)
            self._add_wishes(head, wishes)
        for node in bus.nodes:
            if node.below is not None:
                self._place(node.below, wishes)

    def _sorted(self, bus: _Bus) -> list[tuple[_Node, Range]]:
        """What has no address, biggest alignment first, else in order (``pdev_sort_resources``)."""
        head = [
            (node, r)
            for node in bus.nodes
            if node.device.class_code is None or node.device.class_code >> 8 not in (0, 0x0600)
            for r in sorted(node.ranges, key=lambda r: r.index)
            if r.flags and not r.flags & 0x10 and r.parent is None
        ]
        return sorted(head, key=lambda entry: -_alignment(entry[1]))

    def _place_with_wishes(self, head: list[tuple[_Node, Range]], wishes: list[_Wish]) -> bool:
        """Try everything with its wish; True if all fits. Else what may stay stays, and the rest is as before."""
        wish_of = {id(w.wanted): w for w in wishes}
        saved = {id(r): (r.start, r.end, r.flags) for _, r in head}
        for _, wanted in head:
            wish = wish_of.get(id(wanted))
            if wish is None:
                continue
            wanted.end += wish.extra
            if wanted.flags & IORESOURCE_STARTALIGN and wish.align > wanted.start:
                wanted.start, wanted.end = wish.align, wish.align + wanted.size - 1
        ordered = sorted(head, key=lambda entry: -_alignment(entry[1]))
        failed = []
        for node, wanted in ordered:
            if wanted.size and not self._assign(node, wanted):
                failed.append(wanted.flags)
                wanted.start = wanted.end = wanted.flags = 0
        if not failed:
            wishes[:] = [w for w in wishes if id(w.wanted) not in saved]
            return True
        kept = {id(r) for _, r in head if r.parent is not None and not _must_release(failed, r)}
        wishes[:] = [w for w in wishes if id(w.wanted) not in kept]
        head[:] = [entry for entry in head if id(entry[1]) not in kept]
        for _, wanted in head:
            wanted.release()
            wanted.start, wanted.end, wanted.flags = saved[id(wanted)]
        return False

    def _add_wishes(self, head: list[tuple[_Node, Range]], wishes: list[_Wish]) -> None:
        """``reassign_resources_sorted``: what is good to have, for the ranges of this bus that are still in the race."""
        here = {id(r) for _, r in head}
        for wish in list(wishes):
            wanted = wish.wanted
            if wanted.flags and id(wanted) not in here:
                continue
            wishes.remove(wish)
            if not wanted.flags:
                continue
            if not wanted.size:
                wanted.start, wanted.end = wish.align, wish.align + wish.extra - 1
                if not self._assign(wish.node, wanted):
                    self._give_up(wanted)
            else:
                self._grow(wish)

    def _grow(self, wish: _Wish) -> None:
        wanted, before = wish.wanted, (wish.wanted.start, wish.wanted.end)
        holder = wanted.parent
        if holder is None:
            return
        wanted.release()
        found = self._find(wish.node.bus, wanted, wanted.size + wish.extra, max(wish.align, 1))
        wanted.start, wanted.end = found[1:] if found else before
        (found[0] if found else holder).request(wanted)

    def _assign(self, node: _Node, wanted: Range) -> bool:
        """``pci_assign_resource``: the first place that fits, or the firmware's address if that is still free."""
        align, size = _alignment(wanted), wanted.size
        wanted.flags |= IORESOURCE_UNSET
        found = None
        bus: _Bus | None = node.bus
        while bus is not None and found is None:
            found = self._find(bus, wanted, size, align)
            bus = bus.parent if bus.transparent else None
        if found is not None:
            wanted.start, wanted.end = found[1:]
            wanted.flags &= ~(IORESOURCE_UNSET | IORESOURCE_STARTALIGN)
            found[0].request(wanted)
            self._say(wanted, "assigned")
            return True
        self._say(wanted, "can't assign; no space")
        if self._revert(node, wanted, size):
            self._say(wanted, "assigned")
            return True
        self._say(wanted, "failed to assign")
        return False

    def _revert(self, node: _Node, wanted: Range, size: int) -> bool:
        """``pci_revert_fw_address``: only a function on a root bus can live outside every window."""
        start = self.firmware.get((wanted.owner, wanted.index), 0)
        if not start:
            return False
        wanted.start, wanted.end = start, start + size - 1
        wanted.flags &= ~(IORESOURCE_UNSET | IORESOURCE_STARTALIGN)
        holder = next((offer for offer in node.bus.offers if offer.flags and offer.contains(wanted)), None)
        if holder is None:
            if node.bus.bridge is not None:
                return False
            holder = Range("iomem", 0, 0, TOP, wanted.flags)
        self._say(wanted, "trying firmware assignment")
        return holder.request(wanted) is None

    def _find(self, bus: _Bus, wanted: Range, size: int, align: int) -> tuple[Range, int, int] | None:
        spans = [(FOUR_GIB, TOP), (0, TOP)] if wanted.flags & IORESOURCE_MEM_64 else [(0, FOUR_GIB - 1)]
        io = bool(wanted.flags & IORESOURCE_IO)

        def place(start: int) -> int:
            start = align_up(start, align)
            if io:
                return align_up(start, 0x400) if start & 0x300 else start
            return max(start, BIOS_END)

        for mask in kinds_to_try(wanted):
            for low, high in spans:
                for offer in bus.offers:
                    if not offer.flags or offer.flags & IORESOURCE_UNSET or not fits_kind(offer, wanted, mask):
                        continue
                    least = max(offer.start, low) or (PCIBIOS_MIN_IO if io else PCIBIOS_MIN_MEM)
                    start = offer.first_fit(least, min(offer.end, high), size, place)
                    if start is not None:
                        return offer, start, start + size - 1
        return None

    def _give_up(self, wanted: Range) -> None:
        self.refused[wanted.owner, wanted.index] = Refusal(wanted.owner, wanted.index, wanted.size, wanted.name)
        wanted.start = wanted.end = wanted.flags = 0

    # The result

    def _result(self) -> Machine:
        placed: dict[str, tuple[Resource, ...]] = {}
        todo = list(self.roots)
        while todo:
            bus = todo.pop()
            for node in bus.nodes:
                kept = [r.frozen() for r in node.ranges if r.parent is not None or (r.flags & 0x10 and r.flags)]
                placed[node.device.bdf] = tuple(sorted(kept))
                if node.below is not None:
                    todo.append(node.below)
        devices = tuple(replace(d, resources=placed.get(d.bdf, d.resources)) for d in self.machine.devices)
        return replace(self.machine, devices=devices)


def _alignment(found: Range) -> int:
    """``pci_resource_alignment``: a window's is in its start while it waits, a BAR's is its size."""
    return found.start if found.flags & IORESOURCE_STARTALIGN else found.size


def _must_release(failed: list[int], found: Range) -> bool:
    """``pci_need_to_release``: whether an assigned range took room that what failed could have had."""
    mask = 0
    for flags in failed:
        mask |= flags
    if found.flags & IORESOURCE_IO:
        return bool(mask & IORESOURCE_IO)
    if found.flags & IORESOURCE_PREFETCH and not mask & IORESOURCE_PREFETCH:
        above = found.parent.flags if found.parent else 0
        return bool(mask & IORESOURCE_MEM) and not above & IORESOURCE_PREFETCH
    return bool(mask & IORESOURCE_MEM)


def _buses(device: Device) -> str:
    first, last = device.secondary or 0, device.subordinate or device.secondary or 0
    return f"[bus {first:02x}]" if first == last else f"[bus {first:02x}-{last:02x}]"
