"""What importers of all years have: a device with its engine, a private lock, and the grants they hold."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar

from p2plab.core.actors import wait_event
from p2plab.core.events import emit
from p2plab.core.locks import Mutex
from p2plab.core.tracked import Tracked
from p2plab.core.world import World
from p2plab.mm import AddressSpace, MmuNotifierRange
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Grant, Peer, p2p_map, p2p_unmap
from p2plab.p2p.engine import DmaEngine, Transfer
from p2plab.p2p.events import MapRetried
from p2plab.p2p.fabric import Fabric


class Mapper(Tracked):
    """The part of an importer that talks to the exporter. It belongs to one address space."""

    device: ClassVar[type[DmaEngine]] = DmaEngine  #: what its device is like on the bus

    def __init__(
        self, world: World, name: str, bdf: str, mm: AddressSpace, fabric: Fabric, beat_ticks: int = 1
    ) -> None:
        self.name = name
        self.peer = Peer(name, bdf, fabric)
        self.mm = mm
        self.lock = Mutex(f"{name}.lock")
        self.engine = self.device(world, f"{name}_dma", name, fabric, beat_ticks, self.peer)
        self.held: dict[int, Grant] = {}
        self.write = True  #: the access that it asks for when it maps
        self.map_again: Callable[[], None] = _nobody
        self.closed = False  #: whether the user is done with the memory, or its process died: it is not mapped again
        self.dead = False  #: whether the driver gave up: requests to the device now complete with an error

    @abstractmethod
    async def listen(self, start: int, end: int) -> None:
        """Hook into the address space's notifier, for ``[start, end)`` where a notifier has a range."""
        raise NotImplementedError

    @abstractmethod
    async def map(self, start: int, end: int) -> None:
        """Get addresses for ``[start, end)`` and program the device with them. Raises what ``p2p_map`` raises."""
        raise NotImplementedError

    async def unmap(self, start: int, end: int) -> None:
        """Stop using ``[start, end)`` and give it back, because the user asked."""
        async with self.lock:
            self.engine.abort()
            await self.let_go(start, end)

    async def submit(self, transfer: Transfer) -> None:
        """The user rings the doorbell."""
        self.engine.start(transfer)

    async def dma(self, transfer: Transfer) -> None:
        """The user rings the doorbell, and waits for the completion."""
        await self.submit(transfer)
        await self.completion()

    async def completion(self) -> None:
        """Wait until the engine has nothing more to do."""
        await wait_event(lambda: not self.engine.queue, "the transfer's completion")

    async def let_go(self, start: int, end: int) -> None:
        """Under the importer's lock: translations out, DMA finished, pages given back. All three, in this order."""
        await self.engine.clear(start, end)
        await self.engine.drain(start, end)
        await self.p2p_unmap(start, end)

    async def p2p_map(self, start: int, end: int) -> tuple[int, ...]:
        """The DMA addresses of ``[start, end)``, one a page. Only pages not held already are requested.

        Under mmap_lock, which a driver keeps until it has checked again, as HMM's documentation says.
        """
        pages = range(start, end, PAGE_SIZE)
        have = {page: self.held[page].address for page in pages if page in self.held}
        for first, last in _runs([page for page in pages if page not in have]) if pages else [(start, end)]:
            for grant in await p2p_map(self.mm, self.peer, first, last, self.write):
                self.held[grant.page] = grant
                have[grant.page] = grant.address
        return tuple(have[page] for page in pages)

    async def p2p_unmap(self, start: int, end: int) -> None:
        """Give back the held pages of ``[start, end)``, if any."""
        mine = [self.held.pop(page) for page in sorted(self.held) if start <= page < end]
        for grants in _adjacent(mine):
            await p2p_unmap(self.peer, grants)

    async def put_back(self, start: int, end: int) -> None:
        """Under the importer's lock: give back what a map got in vain. What the device translates came earlier, and stays."""
        mine = [page for page in sorted(self.held) if start <= page < end and page not in self.engine.table]
        for first, last in _runs(mine):
            await self.p2p_unmap(first, last)

    def concerned(self, range: MmuNotifierRange) -> tuple[int, int]:
        """What to release for an invalidation: its range; for UNMAP, all that is held of the affected vmas.

        The vma pointers of grants outlive the callback only where nothing was unmapped: munmap may have split the vma,
        and the half that this pointer now means may be freed at any time after the callback. Inferred.
        """
        if range.event != "UNMAP":
            return range.start, range.end
        vmas = [grant.pointer for page, grant in self.held.items() if range.start <= page < range.end]
        pages = [page for page, grant in self.held.items() if any(grant.pointer is vma for vma in vmas)]
        return min([range.start, *pages]), max([range.end, *(page + PAGE_SIZE for page in pages)])

    def wanted_again(self, range: MmuNotifierRange) -> bool:
        """Whether an invalidation takes something that can be mapped again: what munmap or exit takes is gone."""
        start, end = self.concerned(range)
        pages = [page for page in self.held if start <= page < end]
        if range.event == "RELEASE":
            return False
        return any(range.event != "UNMAP" or not range.start <= page < range.end for page in pages)

    def goes_round(self, times: int) -> int:
        """Note that a map has to be tried again; how often it was."""
        emit(MapRetried(self.name, times + 1))
        return times + 1


def _nobody() -> None:
    """Forget what was to be mapped again."""


def _runs(pages: Iterable[int]) -> list[tuple[int, int]]:
    """Pages as ranges ``[start, end)`` without holes."""
    runs: list[tuple[int, int]] = []
    for page in pages:
        if runs and runs[-1][1] == page:
            runs[-1] = (runs[-1][0], page + PAGE_SIZE)
        else:
            runs.append((page, page + PAGE_SIZE))
    return runs


def _adjacent(grants: Iterable[Grant]) -> list[tuple[Grant, ...]]:
    """Grants in runs of adjacent pages of one vma: what one ``p2p_unmap`` can take."""
    runs: list[tuple[Grant, ...]] = []
    for grant in grants:
        last = runs[-1][-1] if runs else None
        if last is not None and last.pointer is grant.pointer and last.page + PAGE_SIZE == grant.page:
            runs[-1] = (*runs[-1], grant)
        else:
            runs.append((grant,))
    return runs
