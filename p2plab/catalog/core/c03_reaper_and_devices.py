"""C3: the OOM reaper passes over device memory; an artificial kernel that does not shows why."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import case
from p2plab.catalog.rig import BASE
from p2plab.core.actors import step
from p2plab.mm import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
    oom_reap,
)
from p2plab.p2p.aperture import PAGE_SIZE


class Reaped(Bench):
    """The process is chosen by the OOM killer."""

    @job("app")
    async def oom(self) -> None:
        """The reaper takes the process's memory without waiting for any lock."""
        await self.mm.mmap(BASE - 8 * PAGE_SIZE, PAGE_SIZE)
        await oom_reap(self.mm)


class ArtificialReaper(Reaped):
    """A kernel that does not look for VM_PFNMAP. No such kernel exists."""

    @job("app")
    async def oom(self) -> None:
        """Asks, without waiting, for device memory too."""
        async with self.mm.mmap_lock.read():
            for vma in list(self.mm.vmas):
                range = MmuNotifierRange(self.mm, vma.vm_start, vma.vm_end, "UNMAP", blockable=False)
                if not await mmu_notifier_invalidate_range_start(range):
                    await step("reaps")
                    await mmu_notifier_invalidate_range_end(range)


CASE = case(
    "C3",
    "reaper-and-devices",
    "the OOM reaper and device memory",
    rule="reaper-spares-devices",
    about="""The OOM reaper may not wait, so a listener has to answer at once or refuse. With DMA to stop that is asked too
    much. The kernel therefore passes over VM_PFNMAP; here an artificial one does not.""",
    sees="Artificial, and said so: in the real kernel this call never comes. The twin is the real reaper.",
    broken=Plan(app=("mmap", "oom"), gpu=()),
    good=Plan(app=("mmap", "oom"), gpu=()),
    story="app*7 nic app ...",
    bench=ArtificialReaper,
    good_bench=Reaped,
)
