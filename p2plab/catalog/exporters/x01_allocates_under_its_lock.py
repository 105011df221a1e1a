"""X1: p2p_map allocates with GFP_KERNEL under the lock that p2p_unmap takes."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.core import errno
from p2plab.core.actors import wait_event
from p2plab.core.errors import KernelError
from p2plab.drivers.gpu import Gpu
from p2plab.mm import Vma
from p2plab.mm.gfp import kzalloc
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer


class AllocatesUnderItsLock(Gpu):
    """Keeps a record of each lending, and allocates it where it is needed."""

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """As in Gpu, with the allocation inside."""
        if not self.reaches(peer):
            return -errno.EREMOTEIO
        thing = self.object_behind(vma)
        while True:
            await wait_event(lambda: not thing.moving, f"{thing.name} has settled")
            async with self.lock:
                if thing.moving:
                    continue
                await kzalloc("a record of the lending")
                try:
                    self.check(vma, write)
                    places = self.place_of(thing, vma.pgoff_of(start), (end - start) // PAGE_SIZE)
                except KernelError as error:
                    return -error.errno
                self.lend(vma, peer, start, places, pa, write)
                return 0


class AllocatesFirst(Gpu):
    """Allocates before it takes its lock; what is not used is freed."""

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """The record, then as in Gpu."""
        await kzalloc("a record of the lending")
        return await super().p2p_map(vma, peer, start, end, pa, write)


CASE = case(
    "X1",
    "allocates-under-its-lock",
    "the GPU allocates under the lock that p2p_unmap takes",
    rule="lock-order",
    about="""p2p_map allocates memory under the BAR lock, with flags that let the allocator reclaim. Reclaim calls
    notifiers, and the NIC's callback ends in p2p_unmap, which takes the BAR lock. So the BAR lock comes before reclaim in
    one place, and after it in another.""",
    sees="Nothing, until memory is short at the wrong moment. Lockdep of 6.12 is silent with the notifiers of 2019, and "
    "reports it with an interval notifier.",
    broken=Plan(exporter=AllocatesUnderItsLock),
    good=Plan(exporter=AllocatesFirst),
)
