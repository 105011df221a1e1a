"""L1: the NIC allocates with GFP_KERNEL before it signals its fence."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.fenced import FencedNic
from p2plab.mm.gfp import kzalloc


class AllocatesBeforeItSignals(FencedNic):
    """Writes a report of the job, and gets the memory for it when it is needed."""

    async def finish(self) -> None:
        """In the section in which the fence must be signalled."""
        await kzalloc("a report")


CASE = case(
    "L1",
    "allocates-before-it-signals",
    "the NIC allocates before it signals its fence",
    rule="lock-order",
    about="""The end of a job allocates memory with flags that let the allocator reclaim, and only then signals the fence.
    Reclaim calls notifiers, and a notifier may wait for a fence, for this one too. Then the allocation waits for the fence, and
    the fence for the allocation.""",
    sees="Nothing, until memory is short. Lockdep knows the order at boot, and reports the first such allocation.",
    broken=Plan(importer=AllocatesBeforeItSignals),
    good=Plan(importer=FencedNic),
)
