"""F15: the NIC looks the vma up in its callback; on munmap it is out of the tree already."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.core.calls import called
from p2plab.drivers.nic import ObedientNic


class LooksUpTheVma(ObedientNic):
    """Wants the vma for p2p_unmap, and asks the address space for it."""

    async def p2p_unmap(self, start: int, end: int) -> None:
        """Without the vma there is nothing that it could call."""
        with called(self.mm.name, "find_vma", f"{start:#x}", caller=self.name) as call:
            vma = self.mm.find_vma(start)
            call.result = str(vma) if vma is not None else "nothing"
        if vma is not None and vma.vm_start <= start:
            await super().p2p_unmap(start, end)


CASE = case(
    "F15",
    "finds-no-vma",
    "the callback calls find_vma",
    rule="stays-out-of-mm",
    about="""The process unmaps its memory. By the time of the callback the vma is out of the tree, so find_vma finds
    nothing, or the next vma above. The NIC gives nothing back.""",
    sees="find_vma = nothing, and pages that were never given back.",
    broken=Plan(importer=LooksUpTheVma, app=("mmap", "munmap"), gpu=()),
    good=Plan(app=("mmap", "munmap"), gpu=()),
    story="app*7 nic nic_dma ...",
)
