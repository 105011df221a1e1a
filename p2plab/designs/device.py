"""The importing device under the designs of today: a mapper that gets its DMA addresses in other ways than ``p2p_map``."""

from __future__ import annotations

from typing import Any

from p2plab.core.events import emit
from p2plab.designs.memory import END, START, VmaStandIn
from p2plab.mm import PAGE_SIZE
from p2plab.p2p.contract import Grant
from p2plab.p2p.events import DmaMapped, DmaUnmapped
from p2plab.p2p.mapper import Mapper


class ImportingDevice(Mapper):
    """A device that writes to the process's range. ``map_again`` is what its page fault does, where it has one."""

    drains = True  #: whether it waits for a beat that is under way before it says that it is done
    space = "dma-buf"  #: the process whose notifier ends its mappings, if one does
    exporter: Any = None  #: set by the design

    async def listen(self, start: int, end: int) -> None:
        """Nothing to hook into, but where a design has a notifier."""

    def has(self, addresses: tuple[int, ...], start: int = START) -> None:
        """Within the running step: these are its DMA addresses now."""
        thing = self.exporter.buffer
        window: Any = VmaStandIn(self.exporter, thing)  # in the place of a vma, which these designs do not need
        pages = [start + number * PAGE_SIZE for number in range(len(addresses))]
        for page, address in zip(pages, addresses, strict=True):
            self.held[page] = Grant(window, page, address)
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

    async def let_go(self, start: int, end: int) -> None:
        """Translations out, what is under way lands, DMA addresses back."""
        await self.forget(start, end)
        self.gives_back(start, end)
