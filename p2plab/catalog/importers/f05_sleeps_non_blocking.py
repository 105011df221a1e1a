"""F5: the OOM reaper may not wait, and the NIC's callback sleeps."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import case
from p2plab.catalog.rig import BASE
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import MmuNotifierRange, oom_reap
from p2plab.p2p.aperture import PAGE_SIZE


class NonBlockingNic(ObedientNic):
    """The right answer to a call that may not block: done at once where nothing has to be waited for, else -EAGAIN."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """A listener that may refuse must have no end callback, so it counts nothing for this call."""
        if range.blockable:
            return await super().invalidate_range_start(range)
        return -11 if any(range.start <= page < range.end for page in self.held) else 0

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """Only what was begun is ended."""
        if range.blockable:
            await super().invalidate_range_end(range)


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
    anybody, and says so. The NIC takes its lock and waits all the same.""",
    sees="A warning from the kernel, and an OOM reaper that stands still. Device memory is passed over: see C3.",
    broken=Plan(app=("mmap", "oom"), gpu=()),
    good=Plan(importer=NonBlockingNic, app=("mmap", "oom"), gpu=()),
    story="app*7 nic ...",
    bench=WithAnonymousMemory,
)
