"""F7: the NIC counts an invalidation and refuses it; its end never comes (as in the base HMM of January 2019)."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.catalog.importers.f05_sleeps_non_blocking import WithAnonymousMemory
from p2plab.core import errno
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import MmuNotifierRange


class CountsThenRefuses(ObedientNic):
    """Raises its counter before it knows whether it may answer -EAGAIN."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """As hmm_invalidate_range_start did: count first, then refuse."""
        if range.blockable:
            return await super().invalidate_range_start(range)
        self.invalidation_begins(range)
        return -errno.EAGAIN

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """Ends what was counted; a refused start has no end."""
        if range.blockable:
            await super().invalidate_range_end(range)


CASE = case(
    "F7",
    "counts-and-refuses",
    "the NIC counts an invalidation, refuses it, and waits for its end for ever",
    rule="gives-up-for-cause",
    about="""The OOM reaper asks without waiting, and the NIC counts the invalidation before it answers -EAGAIN. A refused
    start has no end, so the count stays up. Every later map waits its 1000 ms and fails.""",
    sees="-EBUSY on every map from then on, with no invalidation anywhere.",
    broken=Plan(importer=CountsThenRefuses, app=("mmap", "oom"), gpu=(), timed=True),
    good=Plan(app=("mmap", "oom"), gpu=(), timed=True),
    story="app nic ...",
    bench=WithAnonymousMemory,
)
