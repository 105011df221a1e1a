"""Devices that differ in what they do on the bus: one that checks whether it was answered, one whose writes are posted."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from p2plab.core.actors import idle, step
from p2plab.core.events import emit
from p2plab.core.world import World
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer
from p2plab.p2p.engine import DmaEngine, Transfer
from p2plab.p2p.events import BeatLanded, TransferEnded
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.memory import BYTES


class CheckingEngine(DmaEngine):
    """Before it reports a transfer as done, it reads the last page again: a posted write that vanishes leaves no trace.

    An unanswered read returns all ones, or an error completion (include/linux/pci.h, ``PCI_POSSIBLE_ERROR``).
    """

    unsure: tuple[int, Transfer] | None = None  #: the address that it will read, and for which transfer

    def ended(self, transfer: Transfer) -> None:
        """Not yet: the user hears of it once the answer is there."""
        page = transfer.end - PAGE_SIZE
        self.unsure = (self.table[page], transfer) if page in self.table else (0, transfer)

    async def settle(self, transfer: Transfer) -> None:
        """One read, which also pushes the writes before it out of the bridges."""
        if self.unsure is not None:
            await step("reads back", self._read_back)

    def _read_back(self) -> None:
        assert self.unsure is not None
        (address, transfer), self.unsure = self.unsure, None
        hit = self.fabric.access(address, None, self.peer)
        if self.queue and self.queue[0] is transfer:
            self.queue.pop(0)
            self.next_page = None
            emit(TransferEnded(self.importer, "done" if hit.frame else "failed"))


class Posted(NamedTuple):
    """A write on its way: ``relaxed`` may pass others (PCIe: the attribute Relaxed Ordering)."""

    page: int
    address: int
    data: bytes
    relaxed: bool


class PostingEngine(DmaEngine):
    """Its writes are posted: done at once for the device, and landed later, in order unless relaxed.

    ``relaxed``: which writes are relaxed: ``none``, ``data`` (all but a transfer's last page, the flag), or ``all``.
    """

    relaxed = "all"

    def __init__(
        self, world: World, name: str, importer: str, fabric: Fabric, beat_ticks: int = 1, peer: Peer | None = None
    ) -> None:
        super().__init__(world, name, importer, fabric, beat_ticks, peer)
        self.on_the_way: list[Posted] = []
        world.actor(f"{importer}_bus", lambda: self._delivers("delivers a write", self._first))
        world.actor(f"{importer}_passing", lambda: self._delivers("a relaxed write passes", self._passing))

    def drained(self, start: int, end: int) -> bool:
        """Nothing is under way, not even in the bridges: a driver's read flushes them."""
        return super().drained(start, end) and not any(start <= write.page < end for write in self.on_the_way)

    def _land(self, transfer: Transfer) -> None:
        """The write is posted: the device is done with it."""
        if not transfer.write:
            super()._land(transfer)
            return
        assert self.in_flight is not None
        page, address = self.in_flight
        self.in_flight = None
        flag = page + PAGE_SIZE >= transfer.end
        number = (page - transfer.start) // PAGE_SIZE
        data = f"DMA page {number}".encode()[:BYTES].ljust(BYTES, b"#")
        relaxed = self.relaxed == "all" or (self.relaxed == "data" and not flag)
        self.on_the_way.append(Posted(page, address, data, relaxed))
        if self.queue and self.queue[0] is transfer:
            self.next_page = page + PAGE_SIZE
            if self.next_page >= transfer.end:
                self.ended(transfer)

    async def _delivers(self, label: str, which: Callable[[], int | None]) -> None:
        while True:
            await idle(lambda: which() is not None, "")
            await step(label, lambda: self._deliver(which()))

    def _first(self) -> int | None:
        return 0 if self.on_the_way else None

    def _passing(self) -> int | None:
        return next((number for number, write in enumerate(self.on_the_way) if number and write.relaxed), None)

    def _deliver(self, number: int | None) -> None:
        if number is None:
            return
        write = self.on_the_way.pop(number)
        hit = self.fabric.access(write.address, write.data, self.peer)
        emit(BeatLanded(self.importer, write.page, write.address, True, *hit))
