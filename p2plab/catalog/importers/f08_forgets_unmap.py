"""F8: the NIC clears its device and never calls p2p_unmap."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.nic import ObedientNic


class Forgetful(ObedientNic):
    """Thinks that clearing its own table is all there is to do."""

    async def let_go(self, start: int, end: int) -> None:
        """Translations out and drained; the pages are forgotten, not given back."""
        await self.engine.clear(start, end)
        await self.engine.drain(start, end)
        for page in [page for page in self.held if start <= page < end]:
            del self.held[page]


CASE = case(
    "F8",
    "forgets-unmap",
    "the NIC forgets p2p_unmap",
    rule="balanced-unmap",
    about="""The NIC takes its translations out and drains, as it should. It never tells the exporter that the pages are
    back. The process unmaps its memory, and the exporter's books still say that the NIC has it.""",
    sees="The exporter's count of lent pages never returns to zero; an unplug would wait for it for ever.",
    broken=Plan(importer=Forgetful, app=("mmap", "munmap"), gpu=()),
    good=Plan(app=("mmap", "munmap"), gpu=()),
    story="app*7 nic nic_dma ...",
)
