"""Importers: a device that reaches another device's memory through a process's vma, as of 2019 and as of today."""

from __future__ import annotations

from collections.abc import Mapping

from p2plab.core.actors import idle, step, wait_event
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.tracked import Tracked
from p2plab.core.world import World
from p2plab.mm import (
    TODAY,
    AddressSpace,
    Kernel,
    MmuIntervalNotifier,
    MmuNotifier,
    MmuNotifierRange,
    mmu_interval_notifier_insert,
)
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import WaitTimedOut
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.mapper import Mapper

#: hmm_range_wait_until_valid of January 2019 gives up after this many milliseconds [20190129165428.3931-6].
HMM_RANGE_DEFAULT_TIMEOUT = 1000


class Timer(Tracked):
    """A timer, which is an actor: while it is armed and ``unless()`` is false, its time may run out at any moment."""

    def __init__(self, world: World, name: str) -> None:
        self.armed = False
        self.rang = False
        world.actor(name, self.run)

    def arm(self, armed: bool = True) -> None:
        """Start it, or stop it, within the running step."""
        self.armed, self.rang = armed, False

    async def run(self) -> None:
        """For ever: wait to be armed, let the time pass."""
        while True:
            await idle(lambda: self.armed and not self.rang, "")
            await step(f"{HMM_RANGE_DEFAULT_TIMEOUT} ms", self._ring, duration=HMM_RANGE_DEFAULT_TIMEOUT)

    def _ring(self) -> None:
        self.rang = self.armed


class Importer(Mapper, MmuNotifier):
    """As of January 2019: an ``mmu_notifier`` with a count of invalidations under way and a sequence number.

    A driver overrides ``map`` and the notifier's callbacks; the methods here are what it gets from HMM
    (``hmm_range_register``, ``hmm_range_wait_until_valid``, ``hmm_range_valid``).
    """

    def __init__(
        self,
        world: World,
        name: str,
        bdf: str,
        mm: AddressSpace,
        fabric: Fabric,
        beat_ticks: int = 1,
        timed: bool = False,
    ) -> None:
        super().__init__(world, name, bdf, mm, fabric, beat_ticks)
        self.timer = Timer(world, f"{name}_timer") if timed else None
        self.invalidations = 0  #: how many are under way over the importer's range
        self.sequence = 0  #: how many there ever were
        self.mm_dead = False  #: whether the process is gone (``hmm->dead``): no range of it is ever valid again
        self.lost = False  #: whether the invalidation under way took something that will be wanted again

    async def listen(self, start: int, end: int) -> None:
        """``hmm_mirror_register``: listen to the whole address space."""
        await self.mm.mmu_notifier_register(self)

    async def release(self, mm: AddressSpace) -> None:
        """The process dies and no callback follows: everything goes now (``hmm_mirror_ops.release``)."""
        async with self.lock:
            self.mm_dead = self.closed = True
            self.engine.abort()
            if pages := [*self.held, *self.engine.table]:
                await self.let_go(min(pages), max(pages) + PAGE_SIZE)

    async def wait_until_valid(self) -> int:
        """Wait until no invalidation is under way; the sequence number to show to :meth:`valid` later.

        -EBUSY after 1000 ms, where the importer has a timer; -EFAULT once the process is gone.
        """
        if self.mm_dead:
            raise KernelError("EFAULT", f"{self.mm.name} is gone")
        if self.timer is None:
            await wait_event(lambda: self.invalidations == 0, "range valid")
            return int(self.sequence)
        timer = self.timer
        timer.arm()
        await wait_event(lambda: self.invalidations == 0 or timer.rang, "range valid, or 1000 ms")
        timer.arm(False)
        if self.invalidations:
            emit(WaitTimedOut(self.name))
            raise KernelError("EBUSY", f"the range was not valid within {HMM_RANGE_DEFAULT_TIMEOUT} ms")
        return int(self.sequence)

    def valid(self, sequence: int) -> bool:
        """Whether nothing was invalidated since. Ask under the lock that the callback takes, or the answer is stale."""
        return bool(not self.mm_dead and self.invalidations == 0 and self.sequence == sequence)

    def invalidation_begins(self, range: MmuNotifierRange) -> None:
        """Count an invalidation; a callback does this first, under its lock."""
        self.invalidations += 1
        self.sequence += 1
        self.lost |= self.wanted_again(range)

    def invalidation_ends(self, range: MmuNotifierRange) -> None:
        """Its end. What it took is mapped again by ``map_again``, which the driver's owner sets."""
        self.invalidations -= 1
        if self.lost:
            self.lost = False
            self.map_again()


class IntervalImporter(Mapper, MmuIntervalNotifier):  # type: ignore[misc]  # `mm` is None until it is inserted
    """As of Linux 5.5 and later: an ``mmu_interval_notifier`` over the range it mirrors, and its retry protocol.

    The contract of 2019 with today's notifier: that pair was never posted. It is here to show what the protocol catches.
    """

    async def listen(self, start: int, end: int) -> None:
        """``mmu_interval_notifier_insert``: listen to this range only."""
        await mmu_interval_notifier_insert(self, self.mm, start, end - start)


#: The kinds of importer that take a process's vma, and the class to derive each from.
IMPORTERS: Mapping[str, type[Mapper]] = {"importer": Importer, "interval importer": IntervalImporter}  # type: ignore[type-abstract]


def kernel_for(kernel: Kernel, importer: type[Mapper]) -> Kernel:
    """The kernel of a scene; today's instead if the importer needs interval notifiers and the scene's kernel has none."""
    needs = issubclass(importer, MmuIntervalNotifier) and not kernel.interval_notifiers
    return TODAY if needs else kernel
