"""F13: the NIC remembers one vma for its whole range, and a munmap in the middle splits it."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import DMA, IOMMU, case
from p2plab.catalog.rig import BASE
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import MmuNotifierRange
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import p2p_unmap


class ClipsToItsVma(ObedientNic):
    """As hmm_vma_p2p_unmap of 5/5: one vma pointer, and the range clipped to that vma's end."""

    def concerned(self, range: MmuNotifierRange) -> tuple[int, int]:
        """Only the invalidated range."""
        return range.start, range.end

    async def p2p_unmap(self, start: int, end: int) -> None:
        """Clip to the edges that the vma has now; what lies beyond them is forgotten."""
        mine = [self.held.pop(page) for page in sorted(self.held) if start <= page < end]
        if mine:
            vma = mine[0].vma
            await p2p_unmap(self.peer, tuple(g for g in mine if vma.vm_start <= g.page < vma.vm_end))


class Splits(Bench):
    """The process unmaps the middle page, and later the rest."""

    @job("app")
    async def munmap_middle(self) -> None:
        """The process unmaps A's second page: one vma becomes two."""
        await self.mm.munmap(BASE + PAGE_SIZE, PAGE_SIZE)


CASE = case(
    "F13",
    "stale-vma-after-split",
    "the NIC uses its old vma pointer after a split",
    rule="balanced-unmap",
    about="""The process unmaps the middle of its mapping, and the kernel splits the vma. The NIC still has the pointer of
    before, which now ends earlier. What it clips to that end, it never gives back.""",
    sees="Pages that the exporter counts as lent for ever, although their vma is gone. The good twin gives back all "
    "that it holds of a vma that is unmapped in part, and maps the rest again.",
    broken=Plan(importer=ClipsToItsVma, app=("mmap", "munmap_middle", "munmap"), gpu=(), pages=3, slots=6),
    good=Plan(app=("mmap", "munmap_middle", "munmap"), gpu=(), pages=3, slots=6),
    story="app*7 nic nic_dma ...",
    bench=Splits,
    knobs=(DMA, IOMMU),
)
