"""F5: the OOM reaper may not wait, and the NIC's callback sleeps."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import case
from p2plab.catalog.rig import BASE
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import MmuNotifierRange, oom_reap
from p2plab.p2p.aperture import PAGE_SIZE


class SleepsNic(ObedientNic):
    """Does not look whether it may wait."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Takes its lock, and waits for what is in flight."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.let_go(*self.concerned(range))
        return 0

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """Ends what it began."""
        self.invalidation_ends(range)


class WithAnonymousMemory(Bench):
    """The process has ordinary memory beside A: the reaper passes over A, and takes that."""

    @job("app")
    async def oom(self) -> None:
        """Memory is short: the OOM reaper takes what it can of the process."""
        await self.mm.mmap(BASE - 8 * PAGE_SIZE, PAGE_SIZE)
        await oom_reap(self.mm)


CASE = case(
    "F5",
    "sleeps-non-blocking",
    "the callback sleeps although it may not block",
    rule="never-sleeps",
    about="""The machine is out of memory, and the OOM reaper frees the process's ordinary memory. It may not wait for
    anybody, and says so. The NIC takes its lock and waits anyway.""",
    sees="A warning from the kernel, and an OOM reaper that stands still. Device memory is passed over: see C3.",
    broken=Plan(importer=SleepsNic, app=("mmap", "oom"), gpu=()),
    good=Plan(app=("mmap", "oom"), gpu=()),
    story="app*7 nic ...",
    bench=WithAnonymousMemory,
)
