"""X2: the NIC allocates with GFP_KERNEL in its callback."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.nic import ObedientNic
from p2plab.mm.gfp import GFP_NOWAIT, kzalloc


class AllocatesInItsCallback(ObedientNic):
    """Makes a list of what it has to give back, when it has to."""

    async def let_go(self, start: int, end: int) -> None:
        """Under its lock, inside the callback: memory that reclaim may have to find."""
        await kzalloc("a list of pages")
        await super().let_go(start, end)


class AllocatesWithoutReclaim(ObedientNic):
    """Asks for memory that is there, or does without a list."""

    async def let_go(self, start: int, end: int) -> None:
        """GFP_NOWAIT: no reclaim, and no sleep. GFP_NOFS would not do, for reclaim calls notifiers then too."""
        await kzalloc("a list of pages", GFP_NOWAIT)
        await super().let_go(start, end)


CASE = case(
    "X2",
    "allocates-in-callback",
    "the NIC allocates in its callback",
    rule="lock-order",
    about="""The callback needs a list of pages and allocates it, with flags that let the allocator reclaim. A callback may
    itself be called by reclaim. Then it waits for memory that only its own return can free.""",
    sees="Nothing, until reclaim itself calls. Lockdep reports it at the first invalidation, whoever calls.",
    broken=Plan(importer=AllocatesInItsCallback),
    good=Plan(importer=AllocatesWithoutReclaim),
)
