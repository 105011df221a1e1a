"""How big each unplaced bridge window should be, leaves first, and what would be good to have on top (setup-bus.c)."""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.pci.bustree import Bus, Node, alignment
from p2plab.pci.device import Device
from p2plab.pci.resource import (
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_MEM_64,
    IORESOURCE_PCI_FIXED,
    IORESOURCE_PREFETCH,
    IORESOURCE_STARTALIGN,
)
from p2plab.pci.sizing import MIB, calculate_iosize, calculate_memsize, memory_sum
from p2plab.pci.space import Range

IO_ALIGN, ISA_SIZE = 0x1000, 0x400
#: Room kept below a port that can be hot-plugged (``pci_hotplug_*_size``, drivers/pci/pci.c).
HOTPLUG_IO, HOTPLUG_MEM = 256, 2 * MIB
PREF = IORESOURCE_MEM | IORESOURCE_PREFETCH
PREF64 = PREF | IORESOURCE_MEM_64


@dataclass(eq=False)
class Wish:
    """Bytes and alignment that a window would like beyond what it must have (an entry of ``realloc_head``)."""

    wanted: Range
    node: Node
    extra: int
    align: int


def size_windows(bus: Bus, wishes: list[Wish] | None, messages: list[str]) -> None:
    """``__pci_bus_size_bridges``: note size and alignment in every window without a place; newest wish first.

    Without ``wishes`` (the first tries of ``pci=realloc``) what would be good to have is a must, VF BARs included.

    Taken for granted: a bridge has an I/O window and, unless its registers show otherwise, a 64-bit prefetchable one.
    """
    for below in bus.buses_below():
        size_windows(below, wishes, messages)
    if bus.bridge is None:
        return
    io, memory, pref = bus.offers[:3]
    io.flags |= IORESOURCE_IO
    memory.flags |= IORESOURCE_MEM
    pref.flags |= 0 if pref.flags else PREF64 | 1
    hotplug = bool(bus.bridge.device.hotplug)
    _size_io(bus, io, HOTPLUG_IO if hotplug else 0, wishes, messages)
    extra = HOTPLUG_MEM if hotplug else 0
    if pref.flags & IORESOURCE_MEM_64:
        _size_memory(bus, pref, PREF64, (PREF64,), extra, wishes, messages)
        others: tuple[int, ...] = (IORESOURCE_MEM, PREF, IORESOURCE_MEM | IORESOURCE_MEM_64)
        _size_memory(bus, memory, PREF64, others, extra, wishes, messages)
    else:
        _size_memory(bus, pref, PREF, (PREF,), extra, wishes, messages)
        _size_memory(bus, memory, PREF, (IORESOURCE_MEM,), extra, wishes, messages)


def _size_io(bus: Bus, window: Range, add: int, wishes: list[Wish] | None, messages: list[str]) -> None:
    """``pbus_size_io``."""
    if window.parent is not None:
        return
    inside = [r for node in bus.nodes for r in node.ranges if r.flags & IORESOURCE_IO and r.parent is None]
    small = sum(r.size for r in inside if r.size < ISA_SIZE)
    large = sum(r.size for r in inside if r.size >= ISA_SIZE)
    align = max([IO_ALIGN, *(alignment(r) for r in inside)])
    children = sum(wish.extra for wish in _of(inside, wishes))
    size = calculate_iosize(small, large, add if wishes is None else 0, 0, 0, window.size, align)
    wished = size
    if wishes is not None and (add or children):
        wished = calculate_iosize(small, large, 0, add, children, window.size, align)
    _note(bus, window, size, wished, align, align, wishes, messages)


def _size_memory(
    bus: Bus, window: Range, mask: int, kinds: tuple[int, ...], add: int, wishes: list[Wish] | None, messages: list[str]
) -> None:
    """``pbus_size_mem`` for the ranges whose flags under ``mask`` are one of ``kinds``."""
    if window.parent is not None:
        return
    found = [
        (node, r)
        for node in bus.nodes
        for r in node.ranges
        if r.parent is None and r.flags & mask in kinds and not r.flags & (IORESOURCE_PCI_FIXED | IORESOURCE_IO)
    ]
    vf_bars: list[Wish] = []
    if wishes is not None:
        vf_bars = [Wish(r, node, r.size, 0) for node, r in found if r.iov]
        wishes[:0] = reversed(vf_bars)
    for wish in vf_bars:
        wish.wanted.end = wish.wanted.start - 1
    inside = [r for _, r in found if wishes is None or not r.iov]
    total, align = memory_sum((r.size, alignment(r)) for r in inside)
    nested = _of(inside, wishes)
    wished_align = max([align, *(wish.align for wish in nested), *(wish.wanted.unit for wish in vf_bars)])
    children = sum(wish.extra for wish in (*nested, *vf_bars))
    least = add if wishes is None else 0
    size = calculate_memsize(total, least, 0, 0, window.size, align)
    wished = size
    if wishes is not None and (add or children):
        wished = calculate_memsize(total, 0, add, children, window.size, wished_align)
    _note(bus, window, size, wished, align, wished_align, wishes, messages)


def _of(inside: list[Range], wishes: list[Wish] | None) -> list[Wish]:
    here = {id(found) for found in inside}
    return [wish for wish in wishes or () if id(wish.wanted) in here]


def _note(
    bus: Bus,
    window: Range,
    size: int,
    wished: int,
    align: int,
    wished_align: int,
    wishes: list[Wish] | None,
    messages: list[str],
) -> None:
    """A window that waits for a place has its alignment where its start will be."""
    if not size and not wished:
        window.flags = 0
        return
    window.start, window.end = align, align + size - 1
    window.flags |= IORESOURCE_STARTALIGN
    if wished > size and bus.bridge is not None and wishes is not None:
        wishes.insert(0, Wish(window, bus.bridge, wished - size, wished_align))
        also = "" if window.flags & IORESOURCE_IO else f" add_align {wished_align:x}"
        messages.append(f"{window} to {_buses(bus.bridge.device)} add_size {wished - size:x}{also}")


def _buses(device: Device) -> str:
    first, last = device.secondary or 0, device.subordinate or device.secondary or 0
    return f"[bus {first:02x}]" if first == last else f"[bus {first:02x}-{last:02x}]"
