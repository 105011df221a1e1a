"""F3: the NIC's callback takes mmap_lock, which munmap holds."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.nic import ObedientNic
from p2plab.drivers.odp import OdpNic
from p2plab.mm import MmuNotifierRange


class TakesMmapLock(ObedientNic):
    """Wants to be sure of the vmas before it lets go."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Takes mmap_lock for writing inside the callback."""
        async with self.mm.mmap_lock.write():
            pass
        return await super().invalidate_range_start(range)


class TakesMmapLockForReading(ObedientNic):
    """The same for reading: it does not hang where munmap has downgraded its lock, and lockdep still reports it."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Takes mmap_lock for reading inside the callback."""
        async with self.mm.mmap_lock.read():
            pass
        return await super().invalidate_range_start(range)


class TakesMmapLockInInterval(OdpNic):
    """The same in the interval notifier of today."""

    async def invalidate(self, range: MmuNotifierRange, cur_seq: int) -> bool:
        """Takes mmap_lock for writing inside the callback."""
        assert self.mm is not None
        async with self.mm.mmap_lock.write():
            pass
        return await super().invalidate(range, cur_seq)


CASE = case(
    "F3",
    "takes-mmap-lock",
    "the callback takes mmap_lock",
    rule="no-deadlock",
    about="""The process unmaps the memory and holds mmap_lock for it. The kernel calls the NIC back, inside munmap. The
    callback wants mmap_lock too, and waits for the thread that it is running in.""",
    sees="The process hangs in munmap for ever, waiting for itself.",
    broken=Plan(importer=TakesMmapLock, app=("mmap", "munmap"), gpu=()),
    good=Plan(app=("mmap", "munmap"), gpu=()),
    story="app*7 nic app ...",
)
