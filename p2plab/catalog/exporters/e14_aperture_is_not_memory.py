"""E14: the GPU takes its aperture for as large as its memory."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import DMA, IOMMU, case
from p2plab.drivers.gpu import Gpu
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.memory import BufferObject


class LinearBar(Gpu):
    """Frame n is at BAR + n pages: true of a BAR that shows all memory, 16 GiB say, and not of a 256 MiB window."""

    def place_of(self, thing: BufferObject, first: int, count: int) -> list[tuple[int, str]]:
        """No windows, no slots."""
        frames = thing.frames[first : first + count]
        return [(int(self.aperture.base) + frame * PAGE_SIZE, "bar") for frame in frames]


CASE = case(
    "E14",
    "aperture-is-not-memory",
    "the GPU assumes that its BAR shows all of its memory",
    rule="inside-bar",
    about="""The GPU computes bus addresses from frame numbers, as if the BAR were as large as the memory. Its aperture is
    smaller. The address that it hands out lies beyond the BAR.""",
    sees="Addresses that belong to nobody, or to the next device.",
    broken=Plan(exporter=LinearBar, gpu=(), slots=3, at=-1, later=1, pages=4),
    good=Plan(gpu=(), slots=5, at=-1, later=1, pages=4),
    story="app nic nic_dma ...",
    knobs=(DMA, IOMMU),
)
