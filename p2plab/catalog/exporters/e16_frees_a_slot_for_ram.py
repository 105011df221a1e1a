"""E16: p2p_unmap of a page in main memory frees a BAR slot."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import DMA, case
from p2plab.catalog.exporters.e04_refuses_later import Oversubscribed
from p2plab.catalog.rig import BASE2, job
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import Vma
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer


class MixesUpPlaces(Gpu):
    """Does not look whether the address that comes back is a slot or main memory."""

    async def p2p_unmap(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int]) -> int:
        """Frees a slot a page, by the page's number."""
        async with self.lock:
            if self.object_behind(vma).ram_frames:
                for page in range(len(pa)):
                    self.aperture.free(1 + page)
        return await self.take_back(peer, start, end)


class SecondUnmaps(Oversubscribed):
    """The second process unmaps what it has."""

    @job("app")
    async def munmap2(self) -> None:
        """The second process unmaps C."""
        await self.mm2.munmap(BASE2, self.plan.pages * PAGE_SIZE)


CASE = case(
    "E16",
    "frees-a-slot-for-ram",
    "p2p_unmap of a main-memory page frees a BAR slot",
    rule="told-before-moved",
    about="""The second process was lent main memory, for the aperture was full. It gives its pages back. The GPU frees
    slots for them, and these slots are the first process's.""",
    sees="The damage of F1 for somebody who had nothing to do with it. The array comes back so that the exporter can tell.",
    broken=Plan(
        exporter=MixesUpPlaces,
        gpu=(),
        slots=3,
        at=1,
        later=2,
        policy="ram",
        ram=6,
        more=(ObedientNic,),
        second_process=True,
        second_object="C",
        app=("mmap", "munmap2"),
    ),
    good=Plan(
        gpu=(),
        slots=3,
        at=1,
        later=2,
        policy="ram",
        ram=6,
        more=(ObedientNic,),
        second_process=True,
        second_object="C",
        app=("mmap", "munmap2"),
    ),
    story="app*11 nic nic2 nic_dma*1 app ...",
    bench=SecondUnmaps,
    knobs=(DMA,),
)
