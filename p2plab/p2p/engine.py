"""A device's DMA engine with its own page table: it looks a page up, sends a beat to the address, and the beat lands.

Looking up and landing are two steps. What happens between them is the whole point: a beat that is under way when its
translation is taken out still lands at the old address.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.core.actors import idle, step, wait_event
from p2plab.core.events import emit
from p2plab.core.tracked import Tracked
from p2plab.core.world import World
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer
from p2plab.p2p.events import (
    BeatIssued,
    BeatLanded,
    TransferBegun,
    TransferEnded,
    TranslationCleared,
    TranslationSet,
)
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.memory import BYTES


@dataclass(frozen=True)
class Transfer:
    """Pages ``[start, end)`` of the process, to be written (or read) one by one."""

    start: int
    end: int
    write: bool


class DmaEngine(Tracked):
    """The engine of one importer, and an actor. ``table`` maps a page's virtual address to a DMA address."""

    def __init__(
        self, world: World, name: str, importer: str, fabric: Fabric, beat_ticks: int = 1, peer: Peer | None = None
    ) -> None:
        self.name = name
        self.peer = peer
        self.importer = importer
        self.fabric = fabric
        self.beat_ticks = beat_ticks
        self.table: dict[int, int] = {}
        self.queue: list[Transfer] = []
        self.next_page: int | None = None
        self.in_flight: tuple[int, int] | None = None
        self.stopped = 0  #: how many reasons there are not to begin another beat
        world.actor(name, self.run)

    # -- what a driver does to its device ---------------------------------------------------------------------------

    async def program(self, start: int, addresses: tuple[int, ...]) -> None:
        """Write translations for the pages from ``start`` on into the device."""
        await step("programs the device", duration=self.beat_ticks)
        for number, address in enumerate(addresses):
            self.table[start + number * PAGE_SIZE] = address
        emit(TranslationSet(self.importer, start, addresses))

    async def clear(self, start: int, end: int) -> None:
        """Take the translations of ``[start, end)`` out of the device. A beat under way is not stopped."""
        await step("clears translations", duration=self.beat_ticks)
        self.clear_now(start, end)

    def clear_now(self, start: int, end: int) -> None:
        """The same within the running step: for a callback that must not sleep."""
        for page in [page for page in self.table if start <= page < end]:
            del self.table[page]
        emit(TranslationCleared(self.importer, start, end))

    async def drain(self, start: int, end: int) -> None:
        """Wait until no beat to a page of ``[start, end)`` is under way."""
        await wait_event(lambda: self.drained(start, end), "DMA drained", waits_for=lambda: (self.name,))

    def drained(self, start: int, end: int) -> bool:
        """Whether no beat to a page of ``[start, end)`` is under way."""
        return self.in_flight is None or not start <= self.in_flight[0] < end

    def start(self, transfer: Transfer) -> None:
        """Ring the doorbell: queue a transfer, within the running step."""
        self.queue.append(transfer)

    def abort(self) -> None:
        """Give up every queued transfer, within the running step. A beat under way still lands."""
        if self.queue:
            self.queue.clear()
            self.next_page = None
            emit(TransferEnded(self.importer, "given up"))

    # -- the device itself ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """For ever: take the next page of the current transfer, look it up, land the beat."""
        while True:
            await idle(self._ready, "looks up a page")
            transfer = self.queue[0]
            if self.next_page is None:
                self.next_page = transfer.start
                emit(TransferBegun(self.importer, transfer.start, transfer.end, transfer.write))
            page = self.next_page
            self.in_flight = (page, self.table[page])
            emit(BeatIssued(self.importer, page, self.table[page]))
            await step("beat lands", lambda t=transfer: self._land(t), duration=self.beat_ticks)  # type: ignore[misc]
            await self.settle(transfer)

    async def settle(self, transfer: Transfer) -> None:
        """What the device does once it has sent a beat; nothing here."""

    def _ready(self) -> bool:
        """Whether there is a transfer, and a translation for its next page; without one the engine stops there."""
        if not self.queue or self.stopped:
            return False
        return (self.queue[0].start if self.next_page is None else self.next_page) in self.table

    def _land(self, transfer: Transfer) -> None:
        assert self.in_flight is not None
        page, address = self.in_flight
        self.in_flight = None
        number = (page - transfer.start) // PAGE_SIZE
        data = f"DMA page {number}".encode()[:BYTES].ljust(BYTES, b"#") if transfer.write else None
        hit = self.fabric.access(address, data, self.peer)
        emit(BeatLanded(self.importer, page, address, transfer.write, *hit))
        if self.queue and self.queue[0] is transfer:
            self.next_page = page + PAGE_SIZE
            if self.next_page >= transfer.end:
                self.ended(transfer)

    def ended(self, transfer: Transfer) -> None:
        """The device is done with the last page of the current transfer: tell the user."""
        self.queue.pop(0)
        self.next_page = None
        emit(TransferEnded(self.importer, "done"))
