"""How big each unplaced bridge window should be, leaves first, and what would be good to have on top (setup-bus.c)."""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.pci.bustree import Bus, BusNode, alignment
from p2plab.pci.device import Device
from p2plab.pci.kernel import PciKernel
from p2plab.pci.resource import (
    IO_WINDOW,
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_MEM_64,
    IORESOURCE_PCI_FIXED,
    IORESOURCE_PREFETCH,
    IORESOURCE_ROM_ENABLE,
    IORESOURCE_STARTALIGN,
    ROM,
)
from p2plab.pci.room_options import DEFAULT, RoomOptions
from p2plab.pci.sizing import (
    MIB,
    align_up,
    calculate_head_align,
    calculate_iosize,
    calculate_memsize,
    memory_sum,
)
from p2plab.pci.space import Range

IO_ALIGN, ISA_SIZE = 0x1000, 0x400
PREF = IORESOURCE_MEM | IORESOURCE_PREFETCH
PREF64 = PREF | IORESOURCE_MEM_64


@dataclass(eq=False)
class PciDevResource:
    """Bytes and alignment that a window would like beyond what it must have (an entry of ``realloc_head``)."""

    wanted: Range
    node: BusNode
    extra: int
    align: int


def size_windows(
    bus: Bus,
    wishes: list[PciDevResource] | None,
    messages: list[str],
    kernel: PciKernel,
    options: RoomOptions = DEFAULT,
) -> None:
    """``__pci_bus_size_bridges``: note size and alignment in every window without a place; newest wish first.

    Without ``wishes`` (the first tries of ``pci=realloc``) what would be good to have is a must, VF BARs included.

    Taken for granted: a bridge has an I/O window and, unless its registers show otherwise, a 64-bit prefetchable one.
    """
    _Sizer(wishes, messages, kernel, options).size(bus)


@dataclass(frozen=True)
class _Sizer:
    """One run over all windows below a root bus."""

    wishes: list[PciDevResource] | None
    messages: list[str]
    kernel: PciKernel
    options: RoomOptions

    def size(self, bus: Bus) -> None:
        """The windows of a bus, those below it first."""
        for below in bus.buses_below():
            self.size(below)
        if bus.bridge is None:
            return
        io, memory, pref = bus.offers[:3]
        io.flags |= IORESOURCE_IO
        memory.flags |= IORESOURCE_MEM
        pref.flags |= 0 if pref.flags else PREF64 | 1
        hotplug = bool(bus.bridge.device.hotplug)
        kept = self.options if hotplug else RoomOptions(io=0, mmio=0, mmio_pref=0)
        self._io(bus, io, kept.io)
        if pref.flags & IORESOURCE_MEM_64:
            self._memory(bus, pref, PREF64, (PREF64,), kept.mmio_pref)
            self._memory(bus, memory, PREF64, (IORESOURCE_MEM, PREF, IORESOURCE_MEM | IORESOURCE_MEM_64), kept.mmio)
        else:
            self._memory(bus, pref, PREF, (PREF,), kept.mmio_pref)
            self._memory(bus, memory, PREF, (IORESOURCE_MEM,), kept.mmio)

    def _io(self, bus: Bus, window: Range, add: int) -> None:
        """``pbus_size_io``. That of 7.3 counts what must be there once more in what is wished for."""
        if window.parent is not None:
            return
        inside = [r for node in bus.nodes for r in node.ranges if r.flags & IORESOURCE_IO and r.parent is None]
        small = sum(r.size for r in inside if r.size < ISA_SIZE)
        large = sum(r.size for r in inside if r.size >= ISA_SIZE)
        align = max([IO_ALIGN, *(alignment(r) for r in inside)])
        children = sum(wish.extra for wish in self._of(inside))
        size = calculate_iosize(small, large, add if self.wishes is None else 0, 0, 0, window.size, align)
        wished = size
        if self.wishes is not None and (add or children):
            large = size if self.kernel.optional_resources else large
            wished = calculate_iosize(small, large, 0, add, children, window.size, align)
        self._note(bus, window, size, wished, align, align)

    def _memory(self, bus: Bus, window: Range, mask: int, kinds: tuple[int, ...], add: int) -> None:
        """``pbus_size_mem`` for the ranges whose flags under ``mask`` are one of ``kinds``."""
        if window.parent is not None:
            return
        found = [
            (node, r)
            for node in bus.nodes
            for r in node.ranges
            if r.parent is None and r.flags & mask in kinds and not r.flags & (IORESOURCE_PCI_FIXED | IORESOURCE_IO)
        ]
        if self.kernel.optional_resources:
            self._memory_and_optional(bus, window, found, add)
            return
        vf_bars: list[PciDevResource] = []
        if self.wishes is not None:
            vf_bars = [PciDevResource(r, node, r.size, 0) for node, r in found if r.iov]
            self.wishes[:0] = reversed(vf_bars)
        for wish in vf_bars:
            wish.wanted.end = wish.wanted.start - 1
        inside = [r for _, r in found if self.wishes is None or not r.iov]
        total, align = memory_sum((r.size, alignment(r)) for r in inside)
        nested = self._of(inside)
        wished_align = max([align, *(wish.align for wish in nested), *(wish.wanted.unit for wish in vf_bars)])
        children = sum(wish.extra for wish in (*nested, *vf_bars))
        size = calculate_memsize(total, add if self.wishes is None else 0, 0, 0, window.size, align)
        wished = size
        if self.wishes is not None and (add or children):
            wished = calculate_memsize(total, 0, add, children, window.size, wished_align)
        self._note(bus, window, size, wished, align, wished_align)

    def _memory_and_optional(self, bus: Bus, window: Range, found: list[tuple[BusNode, Range]], add: int) -> None:
        """``pbus_size_mem`` of 7.3: VF BARs and disabled ROMs are only wished for, and an old size is forgotten."""
        must, children, wished_align = found, 0, 0
        if self.wishes is not None:
            nested = self._of([r for _, r in found])
            children = sum(wish.extra for wish in nested)
            wished_align = max((wish.align for wish in nested), default=0)
            must = [(node, r) for node, r in found if not optional(r)]
            for node, r in found:
                if optional(r):
                    if r.index < IO_WINDOW:
                        self.wishes.insert(0, PciDevResource(r, node, 0, alignment(r)))
                    children += r.size
                    wished_align = max(wished_align, alignment(r))
        total, align = memory_sum(((r.size, alignment(r)) for _, r in must), calculate_head_align)
        size = align_up(max(total, add if self.wishes is None else 0), MIB)
        wished = size
        if self.wishes is not None and (add or children):
            wished_align = max(align, wished_align)
            wished = align_up(max(total + children, add), MIB)
        self._note(bus, window, size, wished, align, wished_align)

    def _of(self, inside: list[Range]) -> list[PciDevResource]:
        here = {id(found) for found in inside}
        return [wish for wish in self.wishes or () if id(wish.wanted) in here]

    def _note(self, bus: Bus, window: Range, size: int, wished: int, align: int, wished_align: int) -> None:
        """A window that waits for a place has its alignment where its start will be."""
        if not size and not wished:
            window.flags = 0
            return
        window.start, window.end = align, align + size - 1
        window.flags |= IORESOURCE_STARTALIGN
        if bus.bridge is None or self.wishes is None:
            return
        more = max(wished - size, 0)
        if more or (self.kernel.optional_resources and not window.flags & IORESOURCE_IO and wished_align > align):
            self.wishes.insert(0, PciDevResource(window, bus.bridge, more, wished_align))
            also = "" if window.flags & IORESOURCE_IO else f" add_align {wished_align:x}"
            self.messages.append(f"{window} to {_buses(bus.bridge.device)} add_size {more:x}{also}")


def optional(found: Range) -> bool:
    """``pci_resource_is_optional`` (7.3): a VF BAR, a ROM that is off, a window that need not be."""
    if found.index >= IO_WINDOW:
        return not found.size
    return found.iov or (found.index == ROM and not found.flags & IORESOURCE_ROM_ENABLE)


def _buses(device: Device) -> str:
    first, last = device.secondary or 0, device.subordinate or device.secondary or 0
    return f"[bus {first:02x}]" if first == last else f"[bus {first:02x}-{last:02x}]"
