"""An importer: a driver whose device reaches another device's memory through a process's vma."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from p2plab.core.actors import wait_event
from p2plab.core.locks import Mutex
from p2plab.core.world import World
from p2plab.mm import AddressSpace, MmuNotifier, MmuNotifierRange
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Grant, Peer, p2p_map, p2p_unmap
from p2plab.p2p.engine import DmaEngine
from p2plab.p2p.fabric import Fabric


class Importer(MmuNotifier):
    """What every importer has: its device, its engine, a lock of its own, and the grants it holds, by page.

    It listens to one address space. A driver overrides ``map`` and the notifier's callbacks; the methods here are what
    a driver of 2019 gets from HMM (``hmm_range_register``, ``hmm_range_wait_until_valid``, ``hmm_range_valid``).
    """

    def __init__(
        self, world: World, name: str, bdf: str, mm: AddressSpace, fabric: Fabric, beat_ticks: int = 1
    ) -> None:
        self.name = name
        self.peer = Peer(name, bdf)
        self.mm = mm
        self.lock = Mutex(f"{name}.lock")
        self.engine = DmaEngine(world, f"{name}_dma", name, fabric, beat_ticks)
        self.held: dict[int, Grant] = {}
        self.invalidations = 0  #: how many are under way over a range of ours
        self.sequence = 0  #: how many there ever were
        self.lost = False  #: whether the invalidation under way took something that will be wanted again
        self.map_again: Callable[[], None] = _nobody

    async def map(self, start: int, end: int) -> None:
        """Get addresses for ``[start, end)`` and program the device with them. Raises what ``p2p_map`` raises."""
        raise NotImplementedError

    async def unmap(self, start: int, end: int) -> None:
        """Stop using ``[start, end)`` and give it back, because the user asked."""
        async with self.lock:
            self.engine.abort()
            await self.engine.clear(start, end)
            await self.engine.drain(start, end)
            await self.p2p_unmap(start, end)

    # -- towards the exporter ---------------------------------------------------------------------------------------

    async def p2p_map(self, start: int, end: int, write: bool = True) -> tuple[int, ...]:
        """The DMA addresses of ``[start, end)``, one a page. The exporter is asked only for pages not held already."""
        pages = range(start, end, PAGE_SIZE)
        have = {page: self.held[page].address for page in pages if page in self.held}
        for first, last in _runs([page for page in pages if page not in have]) if pages else [(start, end)]:
            for grant in await p2p_map(self.mm, self.peer, first, last, write):
                self.held[grant.page] = grant
                have[grant.page] = grant.address
        return tuple(have[page] for page in pages)

    async def p2p_unmap(self, start: int, end: int) -> None:
        """Give back whatever is held of ``[start, end)``; nothing, if nothing is."""
        mine = [self.held.pop(page) for page in sorted(self.held) if start <= page < end]
        for grants in _adjacent(mine):
            await p2p_unmap(self.peer, grants)

    # -- towards the notifier ---------------------------------------------------------------------------------------

    async def wait_until_valid(self) -> int:
        """Wait until no invalidation is under way; the sequence number to show to :meth:`valid` later."""
        await wait_event(lambda: self.invalidations == 0, "range valid")
        return int(self.sequence)

    def valid(self, sequence: int) -> bool:
        """Whether nothing was invalidated since. Ask under the lock that the callback takes, or the answer is stale."""
        return bool(self.invalidations == 0 and self.sequence == sequence)

    def invalidation_begins(self, range: MmuNotifierRange) -> None:
        """Count an invalidation; a callback says so first of all, under its lock."""
        self.invalidations += 1
        self.sequence += 1
        # What munmap takes is gone for good; anything else may be asked for again.
        self.lost |= range.event != "UNMAP" and any(range.start <= page < range.end for page in self.held)

    def invalidation_ends(self, range: MmuNotifierRange) -> None:
        """Its end. What it took is asked for again, by ``map_again``, which whoever owns the driver sets."""
        self.invalidations -= 1
        if self.lost:
            self.lost = False
            self.map_again()


def _nobody() -> None:
    """Nobody asks for anything again."""


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
        if last is not None and last.vma is grant.vma and last.page + PAGE_SIZE == grant.page:
            runs[-1] = (*runs[-1], grant)
        else:
            runs.append((grant,))
    return runs
