"""E7: the GPU holds its BAR mutex across the zap, and p2p_unmap takes it."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.gpu import Gpu


class HoldsItsLock(Gpu):
    """As nouveau's io_reserve_mutex today (nouveau_bo.c), if its p2p_unmap took that mutex."""

    async def defrag(self) -> None:
        """One lock for the whole job."""
        for thing in self.in_the_way():
            async with self.lock:
                await self.invalidate(thing)
                self.pull_down(thing)


CASE = case(
    "E7",
    "holds-its-lock",
    "the GPU holds its BAR lock across the zap",
    rule="no-deadlock",
    about="""The GPU takes its BAR mutex, so that nobody maps during the move, and zaps. The NIC obeys and calls
    p2p_unmap. That takes the BAR mutex, which is held by the thread that it runs in.""",
    sees="A deadlock with itself, on the first defragmentation that meets a mapping.",
    broken=Plan(exporter=HoldsItsLock),
)
