"""X3: the GPU's move needs mmap_lock, which an importer holds while it waits for the end of the move."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.gpu import Gpu
from p2plab.mm import zap_vma_ptes
from p2plab.p2p.memory import BufferObject


class MovesUnderMmapLock(Gpu):
    """Walks the vmas of the object and zaps each under its process's mmap_lock, instead of the file's reverse map."""

    async def invalidate(self, thing: BufferObject) -> None:
        """All of them, one after the other."""
        file = self.files.get(thing.name)
        for vma in list(file.f_mapping.i_mmap) if file is not None else ():
            async with vma.vm_mm.mmap_lock.read():
                await zap_vma_ptes(vma, vma.vm_start, vma.vm_end)


CASE = case(
    "X3",
    "moves-under-mmap-lock",
    "the GPU's move needs mmap_lock, a map waits for the move, and a munmap is queued",
    rule="no-deadlock",
    about="""The GPU has begun to move A. The NIC maps: it holds mmap_lock for reading, and p2p_map waits for the end of the
    move. A munmap queues for mmap_lock, and a queued writer holds back later readers. Now the GPU wants mmap_lock for
    reading, to zap.""",
    sees="Three threads that wait for each other, and a lockdep that is silent: one of the three waits is for no lock.",
    broken=Plan(exporter=MovesUnderMmapLock, app=("mmap", "munmap")),
    good=Plan(app=("mmap", "munmap")),
    story="app*7 gpu*2 nic app gpu ...",
)
