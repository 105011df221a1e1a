"""The importing device under the designs of today: an engine, a lock of its own, and the DMA addresses it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from p2plab.core.actors import wait_event
from p2plab.core.events import emit
from p2plab.core.locks import Mutex
from p2plab.core.tracked import Tracked
from p2plab.core.world import World
from p2plab.designs.stage import END, START, Lease, Stage, Window
from p2plab.mm import PAGE_SIZE
from p2plab.p2p.contract import Peer
from p2plab.p2p.engine import DmaEngine, Transfer
from p2plab.p2p.today_events import DmaMapped, DmaUnmapped


class Device(Tracked):
    """A device that writes to the process's range. ``map_again`` is what its page fault does, where it has one."""

    drains = True  #: whether it waits for a beat that is under way before it says that it is done

    def __init__(self, world: World, stage: Stage, exporter: Any, mm: str = "dma-buf") -> None:
        self.name = "nic"
        self.peer = Peer("nic", stage.nic_bdf)
        self.exporter = exporter
        self.space = mm  #: the process whose notifier ends its mappings, if one does
        self.lock = Mutex("nic.lock")
        self.engine = DmaEngine(world, "nic_dma", "nic", stage.fabric, 1, self.peer)
        self.held: dict[int, Lease] = {}
        self.dead = False  #: whether its driver gave up: what is asked of the device now completes with an error
        self.closed = False  #: whether its user is done with the memory: it is not mapped again
        self.map_again: Callable[[], None] = _nobody

    def has(self, addresses: tuple[int, ...], start: int = START) -> None:
        """Within the running step: these are its DMA addresses now."""
        thing = self.exporter.buffer
        window = Window(self.exporter, thing)
        pages = [start + number * PAGE_SIZE for number in range(len(addresses))]
        for page, address in zip(pages, addresses, strict=True):
            self.held[page] = Lease(window, page, address)
        frames = tuple(thing.frame_name(window.pgoff_of(page)) for page in pages)
        end = pages[-1] + PAGE_SIZE
        emit(DmaMapped(self.name, self.exporter.name, start, end, True, addresses, frames, self.space))

    async def program(self, addresses: tuple[int, ...], start: int = START) -> None:
        """Write the translations into the device."""
        await self.engine.program(start, addresses)

    async def forget(self, start: int = START, end: int = END) -> None:
        """Translations out, and what is under way to the range lands before this returns."""
        await self.engine.clear(start, end)
        if self.drains:
            await self.engine.drain(start, end)

    def gives_back(self, start: int = START, end: int = END) -> None:
        """Within the running step: it has no DMA addresses of the range any more."""
        mine = [page for page in sorted(self.held) if start <= page < end]
        if mine:
            addresses = tuple(self.held.pop(page).address for page in mine)
            emit(DmaUnmapped(self.name, self.exporter.name, mine[0], mine[-1] + PAGE_SIZE, addresses))

    async def dma(self) -> None:
        """The user rings the doorbell, and waits for the completion."""
        await self.submit()
        await self.completion()

    async def submit(self) -> None:
        """The user rings the doorbell."""
        self.start_transfer()

    def start_transfer(self) -> None:
        """Ring the doorbell, within the running step."""
        self.engine.start(Transfer(START, END, True))

    async def completion(self) -> None:
        """Wait until the engine has nothing more to do."""
        await wait_event(lambda: not self.engine.queue, "the transfer's completion")


def _nobody() -> None:
    """Nobody asks for anything again."""
