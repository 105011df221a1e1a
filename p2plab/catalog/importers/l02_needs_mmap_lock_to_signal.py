"""L2: the NIC's fence is signalled under mmap_lock, and its callback waits for the fence."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.catalog.importers.f09_unmaps_twice import Moves
from p2plab.core.actors import step
from p2plab.drivers.fenced import FencedNic


class NeedsMmapLockToSignal(FencedNic):
    """Accounts what it wrote to the process, which takes a look at its vmas."""

    async def finish(self) -> None:
        """mmap_lock, before the fence is signalled."""
        async with self.mm.mmap_lock.read():
            await step("accounts the pages")


CASE = case(
    "L2",
    "needs-mmap-lock-to-signal",
    "the NIC needs mmap_lock to signal the fence for which its callback waits",
    rule="no-deadlock",
    about="""The process moves its mapping with mremap, which holds mmap_lock and calls the NIC back. The callback waits for the
    fence of the running job: that is allowed. But the end of the job takes mmap_lock before it signals.""",
    sees="mremap, which waits for a fence, which waits for mremap.",
    bench=Moves,
    broken=Plan(importer=NeedsMmapLockToSignal, app=("mmap", "mremap"), gpu=()),
    good=Plan(importer=FencedNic, app=("mmap", "mremap"), gpu=()),
    story="app*7 nic nic_dma app ...",
)
