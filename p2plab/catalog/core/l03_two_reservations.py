"""L3: two buffers' reservation locks, taken in both orders without an acquire context."""

from collections.abc import Mapping
from typing import Any

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import case
from p2plab.catalog.rig import any_time
from p2plab.core.actors import step
from p2plab.core.locks import WwAcquireCtx, WwMutex, lock_all


class TwoReservations(Bench):
    """The process submits a job on A and C; the GPU moves C away, and A behind it."""

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """A reservation lock a buffer."""
        self.a, self.c = WwMutex("A.resv"), WwMutex("C.resv")

    @job("app", why_not=any_time)
    async def submit(self) -> None:
        """A command submission: both buffers stay where they are for its time."""
        await self.hold(1, self.a, self.c, "submits a job")

    @job("gpu", why_not=any_time)
    async def swap(self) -> None:
        """Both buffers move."""
        await self.hold(2, self.c, self.a, "swaps C and A")

    async def hold(self, stamp: int, first: WwMutex, second: WwMutex, what: str) -> None:
        """One lock, then the other: ``dma_resv_lock(obj, NULL)``."""
        async with first, second:
            await step(what)


class InOneTransaction(TwoReservations):
    """With a ``ww_acquire_ctx`` the second one backs off."""

    async def hold(self, stamp: int, first: WwMutex, second: WwMutex, what: str) -> None:
        """In any order: the younger transaction lets go, and begins again with the lock that it could not get."""
        await lock_all(WwAcquireCtx(stamp), (first, second))
        await step(what)
        for lock in (first, second):
            lock.unlock()


CASE = case(
    "L3",
    "two-reservations",
    "two reservation locks are taken in both orders, without an acquire context",
    rule="no-deadlock",
    about="""A command submission locks the reservations of A and C. The GPU locks those of C and A, to move both. Each has one
    and waits for the other's.""",
    sees="A submission that never returns. Lockdep reports it at the first two locks of the class, whatever their order.",
    bench=TwoReservations,
    good_bench=InOneTransaction,
    broken=Plan(app=("submit",), gpu=("swap",)),
    good=Plan(app=("submit",), gpu=("swap",)),
    story="app*2 gpu*2 ...",
    knobs=(),
    goals=(),
    takes=(),
)
