"""E2: two processes map the object, and the GPU tells one of them."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import zap_vma_ptes
from p2plab.p2p.memory import BufferObject


class ForgetsAProcess(Gpu):
    """Keeps the last vma only, instead of the file's reverse map."""

    async def invalidate(self, thing: BufferObject) -> None:
        """Zaps one vma."""
        file = self.files.get(thing.name)
        for vma in list(file.f_mapping.i_mmap)[-1:] if file is not None else ():
            async with vma.vm_mm.mmap_lock.read():
                await zap_vma_ptes(vma, vma.vm_start, vma.vm_end)


CASE = case(
    "E2",
    "forgets-a-process",
    "the GPU zaps only one of two processes' vmas",
    rule="told-before-moved",
    about="""Two processes map the same object, each with a NIC of its own. The GPU wants to move it and zaps one vma. The
    other process's NIC heard nothing and is stale.""",
    sees="One NIC right, one NIC wrong, and both obedient.",
    broken=Plan(exporter=ForgetsAProcess, more=(ObedientNic,), second_process=True),
    good=Plan(more=(ObedientNic,), second_process=True),
    story="app nic nic2 nic_dma*1 gpu ...",
)
