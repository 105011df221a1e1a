"""E9: p2p_map returns the number of pages, as the other callback of the series does."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.gpu import Gpu
from p2plab.mm import Vma
from p2plab.p2p.contract import Peer


class ReturnsACount(Gpu):
    """Mixes up 3/5 with 4/5, whose device-memory callback counts pages."""

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """Success, said in the wrong way."""
        status = await super().p2p_map(vma, peer, start, end, pa, write)
        if status == 0:
            self.strike(peer, start, end)  # what the caller takes for a failure must not stay in the books
            return len(pa)
        return status


CASE = case(
    "E9",
    "returns-a-count",
    "p2p_map returns a page count instead of 0",
    rule="returns-zero",
    about="""The GPU lends two pages and returns 2, as the device-memory callback of patch 4/5 does. The caller of patch
    5/5 takes everything but 0 for an error. The NIC gets an error.""",
    sees="A success that everybody reads as a failure.",
    broken=Plan(exporter=ReturnsACount),
    story="app nic ...",
)
