"""F23: the NIC calls read_begin while it holds the lock that invalidate takes."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.odp import OdpNic
from p2plab.mm import LINUX_6_12, mmu_interval_read_begin


class ReadsUnderLock(OdpNic):
    """One lock around everything."""

    async def map(self, start: int, end: int) -> None:
        """read_begin sleeps until the invalidation is over, under the lock that the invalidation needs."""
        async with self.lock:
            seq = await mmu_interval_read_begin(self)
        async with self.mm.mmap_lock.read():
            addresses = await self.p2p_map(start, end)
            async with self.lock:
                if not self.read_retry(seq):
                    await self.engine.program(start, addresses)
                    return
                await self.put_back(start, end)
        self.map_again()


CASE = case(
    "F23",
    "reads-under-lock",
    "the NIC calls mmu_interval_read_begin under its own lock",
    rule="no-deadlock",
    about="""The GPU's invalidation is under way: the NIC was called back and has stored the number. The NIC takes its lock
    and calls read_begin, which sleeps until no invalidation is under way. A munmap of the same range begins, and its
    callback waits for the lock.""",
    sees="Two threads, each waiting for the other. One invalidation alone is not enough: it takes two that overlap.",
    broken=Plan(importer=ReadsUnderLock, kernel=LINUX_6_12, app=("mmap", "munmap")),
    good=Plan(importer=OdpNic, kernel=LINUX_6_12, app=("mmap", "munmap")),
    story="app*6 gpu*8 nic*2 app gpu ...",
)
