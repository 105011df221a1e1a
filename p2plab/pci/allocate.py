"""Giving addresses to BARs and bridge windows, as Linux does at boot on x86 (setup-bus.c, setup-res.c; v6.12, v7.3).

What the firmware has placed is claimed first. Then windows are sized from the leaves up, and everything without an
address is placed from the root down: biggest alignment first, lowest free address first. Where VF BARs have no address the
kernel may turn ``pci=realloc`` on by itself and try several times (:mod:`p2plab.pci.realloc`).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from dataclasses import dataclass, replace

from p2plab.core.errors import BadInput
from p2plab.pci.bustree import Bus, BusNode, alignment, bus_tree, with_ranges
from p2plab.pci.claim import claim_all, holder_of
from p2plab.pci.device import Device
from p2plab.pci.kernel import LINUX_6_12, RFC2019, PciKernel
from p2plab.pci.machine import Machine
from p2plab.pci.realloc import Failure, prepare_next_try, tries_for
from p2plab.pci.resource import (
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_MEM_64,
    IORESOURCE_PCI_FIXED,
    IORESOURCE_PREFETCH,
    IORESOURCE_ROM_ENABLE,
    IORESOURCE_STARTALIGN,
    IORESOURCE_UNSET,
    ROM,
    Resource,
)
from p2plab.pci.room_options import DEFAULT, RoomOptions
from p2plab.pci.sizing import MIB, align_up
from p2plab.pci.space import Range, fits_kind, kinds_to_try
from p2plab.pci.window_sizing import PciDevResource, optional, size_windows

FOUR_GIB, TOP = 1 << 32, (1 << 64) - 1
PCIBIOS_MIN_IO, PCIBIOS_MIN_MEM, BIOS_END = 0x1000, 0x1000_0000, 0x10_0000
#: Classes that ``__dev_sort_resources`` leaves alone: not defined, host bridge.
SKIPPED_CLASSES = (0x0000, 0x0600)
Entry = tuple[BusNode, Range]
Saved = dict[int, tuple[int, int, int]]


@dataclass(frozen=True)
class Refusal:
    """A BAR or window for which no room was found, with what it needed."""

    bdf: str
    index: int
    size: int
    align: int
    flags: int

    def __str__(self) -> str:
        unset = Resource(self.index, 0, self.size - 1, self.flags | IORESOURCE_UNSET)
        return f"{self.bdf}: {unset.name} {unset}: no space"


@dataclass(frozen=True)
class Allocation:
    """The machine with addresses, what was refused, and the kernel's messages in its order."""

    machine: Machine
    refused: tuple[Refusal, ...]
    messages: tuple[str, ...]


def assign_resources(
    machine: Machine, realloc_auto: bool = True, kernel: PciKernel = LINUX_6_12, options: RoomOptions = DEFAULT
) -> Allocation:
    """Claim what has an address and place what has none (``IORESOURCE_UNSET``, or a window that is closed).

    ``realloc_auto``: the kernel was built with CONFIG_PCI_REALLOC_ENABLE_AUTO, as Debian's are; without VF BARs it changes
    nothing. Addresses are given as by ``kernel``: 6.1, 6.12 or 7.3; BadInput for another. 6.12 is held against recordings
    of windows that the firmware left; 7.3, whose setup-bus.c differs here, follows the source. ``options`` are
    those of the command line: ``pci=realloc`` goes before ``realloc_auto``.

    Nothing in ``machine`` changes; a range that finds no room is left out of the result and listed in ``refused``.
    """
    if kernel is RFC2019:
        raise BadInput(f"how {RFC2019.title} assigns addresses is not modelled; allowed: 6.1, 6.12, 7.3")
    return _Assignment(machine, realloc_auto, kernel, options).run()


def without_addresses(machine: Machine) -> Machine:
    """The same machine as a blank firmware would leave it: every BAR sized but unplaced, every window closed."""
    return replace(machine, devices=tuple(replace(d, resources=tuple(unplaced(d))) for d in machine.devices))


def unplaced(device: Device) -> Iterator[Resource]:
    """What a function wants a place for, and no window: its BARs and ROM as after a reset."""
    for found in device.resources if device.physfn is None else ():
        if found.fixed:
            yield found
        elif not found.window and found.sized:
            yield Resource(found.index, 0, found.size - 1, found.flags | IORESOURCE_UNSET)


class _Assignment:
    """One run of ``pci_assign_unassigned_root_bus_resources`` for every root bus, with its messages."""

    def __init__(self, machine: Machine, realloc_auto: bool, kernel: PciKernel, options: RoomOptions) -> None:
        self.machine, self.realloc_auto, self.kernel, self.options = machine, realloc_auto, kernel, options
        self.failed: list[Failure] | None = None  #: what a later try will take up again; None in the last try
        self.messages: list[str] = []
        self.refused: dict[tuple[str, int], Refusal] = {}
        self.roots = bus_tree(machine)
        self.firmware = claim_all(self.roots, self.messages)

    def run(self) -> Allocation:
        for root in self.roots:
            asked = self.options.realloc
            tries = tries_for(root, bool(asked)) if asked or (asked is None and self.realloc_auto) else 1
            for number in range(1, tries + 1):
                wishes: list[PciDevResource] | None = [] if number == tries else None
                self.failed = None if number == tries else []
                size_windows(root, wishes, self.messages, self.kernel, self.options)
                self._place(root, wishes)
                if not self.failed:
                    break
                prepare_next_try(self.failed, whole_subtree=number >= 2)
        result = with_ranges(self.machine, self.roots)
        return Allocation(result, tuple(self.refused.values()), tuple(self.messages))

    def _place(self, bus: Bus, wishes: list[PciDevResource] | None) -> None:
        """``__pci_bus_assign_resources``: this bus, then those below."""
        head = _unplaced(bus)
        if self.kernel.optional_resources:
            self._place_what_must_be(head, [] if wishes is None else wishes)
        elif not (wishes and self._place_with_wishes(head, wishes)):
            for node, wanted in head:
                if wanted.size:
                    self._assign_or_refuse(node, wanted)
            self._add_wishes(head, wishes or [])
        for below in bus.buses_below():
            self._place(below, wishes)

    def _place_with_wishes(self, head: list[Entry], wishes: list[PciDevResource]) -> bool:
        """Try everything with its wish; True if all fits. Else what is not in the way stays, the rest is as before."""
        saved = _with_wishes(head, wishes)
        failed = 0
        for node, wanted in sorted(head, key=_by_alignment):
            if wanted.size and not self._assign(node, wanted):
                failed |= wanted.flags
                wanted.start = wanted.end = wanted.flags = 0
        if not failed:
            wishes[:] = [w for w in wishes if id(w.wanted) not in saved]
            return True
        _keep_what_is_not_in_the_way(head, wishes, failed, saved)
        return False

    def _place_what_must_be(self, head: list[Entry], wishes: list[PciDevResource]) -> None:
        """``__assign_resources_sorted`` of 7.3: everything; if that fails what must be, then the optional again."""
        saved = _with_wishes(head, wishes)
        failed = [e for e in sorted(head, key=_by_alignment) if e[1].size and not self._assign(*e)]
        if failed and (wishes or not all(optional(r) for _, r in failed)):
            kinds = functools.reduce(operator.or_, (r.flags for _, r in failed))
            _keep_what_is_not_in_the_way(head, wishes, kinds, saved)
            for node, wanted in head:
                if wanted.size and not optional(wanted):
                    self._assign(node, wanted)
            self._add_optional(head, wishes)
        else:
            wishes[:] = [w for w in wishes if id(w.wanted) not in saved]
        for node, wanted in head:
            if wanted.parent is None:
                self._give_up(node, wanted)

    def _add_optional(self, head: list[Entry], wishes: list[PciDevResource]) -> None:
        """``reassign_resources_sorted`` of 7.3."""
        here = {id(r) for _, r in head}
        for wish in list(wishes):
            wanted = wish.wanted
            if id(wanted) not in here:
                continue
            wishes.remove(wish)
            if wanted.parent is not None:
                if wish.extra or wanted.start % max(wish.align, 1):
                    _grow(wish, self.kernel)
            elif optional(wanted) or not wanted.size:
                wanted.start, wanted.end = wish.align, wish.align + wanted.size + wish.extra - 1
                self._assign(wish.node, wanted)

    def _add_wishes(self, head: list[Entry], wishes: list[PciDevResource]) -> None:
        """``reassign_resources_sorted``: the wishes of the ranges that are still in the race on this bus."""
        here = {id(r) for _, r in head}
        for wish in list(wishes):
            wanted = wish.wanted
            if wanted.flags and id(wanted) not in here:
                continue
            wishes.remove(wish)
            if wanted.flags and not wanted.size:
                wanted.start, wanted.end = wish.align, wish.align + wish.extra - 1
                self._assign_or_refuse(wish.node, wanted)
            elif wanted.flags:
                _grow(wish, self.kernel)

    def _assign_or_refuse(self, node: BusNode, wanted: Range) -> None:
        if not self._assign(node, wanted):
            self._give_up(node, wanted)

    def _give_up(self, node: BusNode, wanted: Range) -> None:
        """Take it up again in a later try, if there is one; else it is refused, if it was wanted at all."""
        size, align, place = wanted.size, alignment(wanted), (wanted.start, wanted.end)
        if self.failed is not None and (wanted.index != ROM or wanted.flags & IORESOURCE_ROM_ENABLE):
            self.failed.append(Failure(node, wanted, *place, wanted.flags))
        elif size:
            refusal = Refusal(wanted.owner, wanted.index, size, align, wanted.flags & ~IORESOURCE_STARTALIGN)
            self.refused[wanted.owner, wanted.index] = refusal
        wanted.start = wanted.end = wanted.flags = 0

    def _assign(self, node: BusNode, wanted: Range) -> bool:
        """``pci_assign_resource``: the first place that fits, or the firmware's address if that is still free."""
        align, size = alignment(wanted), wanted.size
        wanted.flags |= IORESOURCE_UNSET
        found = find_room(node.bus, wanted, size, align, self.kernel)
        if found is not None:
            _put(wanted, *found)
        else:
            self.messages.append(f"{wanted}: can't assign; no space")
            if not self._revert(node, wanted, size):
                self.messages.append(f"{wanted}: failed to assign")
                return False
        self.messages.append(f"{wanted}: assigned")
        return True

    def _revert(self, node: BusNode, wanted: Range, size: int) -> bool:
        """``pci_revert_fw_address``: only a function on a root bus can live outside every window."""
        start = self.firmware.get((wanted.owner, wanted.index), 0)
        if not start:
            return False
        wanted.start, wanted.end = start, start + size - 1
        wanted.flags &= ~IORESOURCE_UNSET
        holder = holder_of(wanted, node.bus)
        if holder is None and node.bus.bridge is not None:
            return False
        self.messages.append(f"{wanted}: trying firmware assignment")
        return (holder or Range("iomem", 0, 0, TOP, wanted.flags)).request(wanted) is None


def find_room(
    bus: Bus, wanted: Range, size: int, align: int, kernel: PciKernel = LINUX_6_12
) -> tuple[Range, int] | None:
    """``__pci_assign_resource``: one of the bus's ranges and a start in it; 64-bit resources try above 4 GiB first."""
    spans = [(FOUR_GIB, TOP), (0, TOP)] if wanted.flags & IORESOURCE_MEM_64 else [(0, FOUR_GIB - 1)]
    io = bool(wanted.flags & IORESOURCE_IO)

    rest = size % align if kernel.optional_resources and not io else 0

    def place(free: int) -> int:  # pcibios_align_resource
        start = align_up(free, align)
        if rest and not rest % MIB and start - rest >= free:  # pci_align_resource of 7.3: the rest goes in front
            start -= rest
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
                    return offer, start
    return None


def _unplaced(bus: Bus) -> list[Entry]:
    """What has no address, biggest alignment first, else in order (``pdev_sort_resources``)."""
    head = [
        (node, found)
        for node in bus.nodes
        if node.device.class_code is None or node.device.class_code >> 8 not in SKIPPED_CLASSES
        for found in sorted(node.ranges, key=lambda r: r.index)
        if found.flags and not found.flags & IORESOURCE_PCI_FIXED and found.parent is None
    ]
    return sorted(head, key=_by_alignment)


def _by_alignment(entry: Entry) -> int:
    return -alignment(entry[1])


def _put(wanted: Range, offer: Range, start: int) -> None:
    wanted.start, wanted.end = start, start + wanted.size - 1
    wanted.flags &= ~(IORESOURCE_UNSET | IORESOURCE_STARTALIGN)
    offer.request(wanted)


def _with_wishes(head: list[Entry], wishes: list[PciDevResource]) -> Saved:
    """Add to what is placed on this bus what is wished for it; returns how it was before."""
    saved = {id(r): (r.start, r.end, r.flags) for _, r in head}
    for wish in wishes:
        wanted = wish.wanted
        if id(wanted) not in saved:
            continue
        wanted.end += wish.extra
        if wanted.flags & IORESOURCE_STARTALIGN and wish.align > wanted.start:
            wanted.start, wanted.end = wish.align, wish.align + wanted.size - 1
    return saved


def _keep_what_is_not_in_the_way(head: list[Entry], wishes: list[PciDevResource], failed: int, saved: Saved) -> None:
    """After a try that failed: release what took room that ``failed`` kinds could have had, as it was before."""
    kept = {id(r) for _, r in head if r.parent is not None and not must_release(failed, r)}
    wishes[:] = [w for w in wishes if id(w.wanted) not in kept]
    head[:] = [entry for entry in head if id(entry[1]) not in kept]
    for _, wanted in head:
        wanted.release()
        wanted.start, wanted.end, wanted.flags = saved[id(wanted)]


def _grow(wish: PciDevResource, kernel: PciKernel) -> None:
    """``pci_reassign_resource``: move to where the wish fits too, or stay."""
    wanted, holder = wish.wanted, wish.wanted.parent
    if holder is None:
        return
    wanted.release()
    found = find_room(wish.node.bus, wanted, wanted.size + wish.extra, max(wish.align, 1), kernel)
    if found:
        wanted.end += wish.extra
        _put(wanted, *found)
    else:
        holder.request(wanted)


def must_release(failed: int, found: Range) -> bool:
    """``pci_need_to_release``: whether an assigned range took room that what failed could have had."""
    if found.flags & IORESOURCE_IO:
        return bool(failed & IORESOURCE_IO)
    if found.flags & IORESOURCE_PREFETCH and not failed & IORESOURCE_PREFETCH:
        above = found.parent.flags if found.parent else 0
        return bool(failed & IORESOURCE_MEM) and not above & IORESOURCE_PREFETCH
    return bool(failed & IORESOURCE_MEM)
