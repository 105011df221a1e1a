"""F9: the NIC gives its pages back in the callback, and again in the teardown."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import case
from p2plab.catalog.rig import BASE
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import MREMAP_FIXED, MREMAP_MAYMOVE
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import p2p_unmap


class UnmapsTwice(ObedientNic):
    """Keeps no note of what it has given back."""

    async def p2p_unmap(self, start: int, end: int) -> None:
        """Gives back what it ever had of the range."""
        for page in [page for page in sorted(self.held) if start <= page < end]:
            await p2p_unmap(self.peer, (self.held[page],))


class Moves(Bench):
    """The process moves its mapping: two UNMAPs over the old range, one from the move and one from the munmap."""

    @job("app")
    async def mremap(self) -> None:
        """The process moves A to another address."""
        length = self.plan.pages * PAGE_SIZE
        await self.mm.mremap(BASE, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, BASE + 16 * PAGE_SIZE)


CASE = case(
    "F9",
    "unmaps-twice",
    "the NIC gives the same pages back twice",
    rule="balanced-unmap",
    about="""The process moves its mapping with mremap, which raises two UNMAPs over the old range. The NIC calls
    p2p_unmap in both callbacks. In the second one the pages are no longer its own.""",
    sees="The exporter's count goes under; a counting exporter would free somebody else's slot.",
    broken=Plan(importer=UnmapsTwice, app=("mmap", "mremap"), gpu=()),
    good=Plan(app=("mmap", "mremap"), gpu=()),
    story="app*7 nic nic_dma ...",
    bench=Moves,
)
