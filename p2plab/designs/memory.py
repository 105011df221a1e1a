"""The memory of the step list, the same under every design, and what an exporter does with it.

Slot 0 of the aperture shows B of another process, slot 1 is a hole, slots 2 and 3 show A, which is lent. Moving A
down puts C, of the other process, where A ended: a device that was not notified writes into C.
All figures (pages, slots) are illustrative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from p2plab.catalog.rig import BASE, Plan, Rig
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.tracked import Tracked
from p2plab.mm import PAGE_SIZE, TODAY
from p2plab.p2p.aperture import Aperture
from p2plab.p2p.contract import Peer
from p2plab.p2p.engine import Transfer
from p2plab.p2p.events import PageMoved
from p2plab.p2p.memory import RAM_BASE, BufferObject, MainMemory
from p2plab.p2p.placing import Placing
from p2plab.pci import MapType, reach_verdict

#: The plan of every design; a design sets its kernel and its parties.
PLAN = Plan(kernel=TODAY, ram=4, app=(), gpu=())
PAGES, AT = PLAN.pages, PLAN.at
START, END = BASE, BASE + PAGES * PAGE_SIZE
#: The transfer of the step list.
ALL = Transfer(START, END, True)
OTHER = "app2"


def move_down(exporter: Placing) -> None:
    """Within the running step: A to the start of the hole, and C to where A ended."""
    exporter.pull_down(exporter.memory.objects["A"])
    later = exporter.memory.objects["C"]
    if None in exporter.aperture.slots_of(later):
        exporter.aperture.place(later)


def give_away(exporter: Placing) -> None:
    """Within the running step: A's slots are freed and reused: there is no room for A any more."""
    exporter.take_out(exporter.memory.objects["A"])
    exporter.memory.create("D", OTHER, PAGES)
    exporter.aperture.place(exporter.memory.objects["C"], at=AT)
    exporter.aperture.place(exporter.memory.objects["D"])


class Holder(Placing):
    """An exporter's device: the aperture, its lock, and what every design does with them."""

    full = False  #: whether it can lend nothing more, for its own reasons

    @property
    def buffer(self) -> BufferObject:
        """The object that is lent."""
        thing: BufferObject = self.memory.objects["A"]
        return thing

    def addresses(self, first: int = 0, last: int = PAGES - 1) -> tuple[int, ...]:
        """The bus addresses of pages ``first`` to ``last`` of A, where they are now."""
        return tuple(self.place_of_page(self.buffer, page)[0] for page in range(first, last + 1))

    def map_type(self, peer: Peer) -> MapType:
        """``pci_p2pdma_map_type``: how the peer reaches this BAR."""
        return reach_verdict(self.machine, self.bdf, peer.bdf).map_type or MapType.NOT_SUPPORTED

    def unmap_dma_buf(self, attachment: Any) -> None:
        """An importer of a dma-buf gave its addresses back. Most exporters have nothing to do."""

    def move_down(self) -> None:
        """As :func:`move_down`."""
        move_down(self)

    def pages_elsewhere(self) -> None:
        """Within the running step: the pages of A in main memory get other frames (as if they had been swapped)."""
        ram = self.fabric.ram if self.fabric is not None else None
        assert ram is not None
        for page in range(PAGES):
            another_frame(self.name, ram, self.buffer, page)

    def give_away(self) -> None:
        """As :func:`give_away`."""
        give_away(self)
        self.full = True

    def nothing_left(self) -> None:
        """Within the running step: as :meth:`give_away`, and main memory is full as well."""
        self.give_away()
        ram = self.fabric.ram if self.fabric is not None else None
        assert ram is not None
        other = ram.create("E", OTHER, sum(1 for who in ram.owners if who is None))
        other.ram_frames = other.frames


class OrdinaryMemory(Tracked):
    """Main memory as the other end: a frame of it is always at its own address, and a page may get another frame."""

    def __init__(self, rig: Rig) -> None:
        self.name = "mm"
        self.bdf = "0000:00:00.0"
        self.machine = rig.machine
        self.fabric = rig.fabric
        ram = rig.fabric.ram
        assert ram is not None
        self.memory: MainMemory = ram
        self.aperture = Aperture("mm", RAM_BASE, len(ram.owners), ram)
        self.buffer = ram.create("A", "app", PAGES)
        self.buffer.ram_frames = self.buffer.frames
        for frame in self.buffer.frames:
            self.aperture.take(frame, frame)

    def object_behind(self, _vma: Any) -> BufferObject:
        """The process's object."""
        return self.buffer

    def frame_behind(self, vma: Any, address: int) -> str:
        """``A[1]``: what a virtual address shows."""
        return self.buffer.frame_name(vma.pgoff_of(address))

    def addresses(self, first: int = 0, last: int = PAGES - 1) -> tuple[int, ...]:
        """The bus addresses of pages ``first`` to ``last`` of A."""
        return tuple(self.memory.address(self.buffer.frames[page]) for page in range(first, last + 1))

    def new_frame(self, page: int) -> None:
        """Within the running step: another frame for a page of A; the old one is reused."""
        old = self.buffer.ram_frames[page]
        self.aperture.free(old)
        another_frame(self.name, self.memory, self.buffer, page)
        self.buffer.frames = self.buffer.ram_frames
        self.aperture.take(self.buffer.frames[page], self.buffer.frames[page])
        self.aperture.take(old, old)


def another_frame(by: str, ram: MainMemory, thing: BufferObject, page: int) -> None:
    """Within the running step: a page in main memory leaves its frame, which another process gets. -ENOMEM if none is free."""
    free = [frame for frame, who in enumerate(ram.owners) if who is None]
    if not free:
        raise KernelError("ENOMEM", "no frame of main memory is free")
    old, new = thing.ram_frames[page], free[0]
    ram.owners[old], ram.owners[new] = None, (thing.name, page)
    ram.content[new] = ram.content[old]
    ram.generation[new] += 1
    thing.ram_frames = tuple(new if frame == old else frame for frame in thing.ram_frames)
    other = ram.create(f"C{page}", OTHER, 1)
    other.ram_frames = other.frames
    emit(PageMoved(by, thing.frame_name(page), ram.address(old)))


@dataclass(frozen=True)
class VmaStandIn:
    """A part of A as an importer knows it: stands in for a vma in the views, where the design has none."""

    vm_ops: Any
    vm_private_data: BufferObject
    vm_start: int = START

    def pgoff_of(self, address: int) -> int:
        """The page of A at an address."""
        return (address - self.vm_start) // PAGE_SIZE
