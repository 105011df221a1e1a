"""Wrong drivers, small, one bug each, with the promise that a reviewer would name first and a scene that shows it.

Most differ from the shipped driver in one place. ``WRONG`` has them: class, rules (the first that a story may break), and
the scene with its knobs in which the story is told.
"""

from p2plab.core import errno
from p2plab.core.actors import step, wait_event
from p2plab.core.errors import KernelError
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.drivers.odp import OdpNic
from p2plab.p2p.aperture import PAGE_SIZE

# -- importers: the map -----------------------------------------------------------------------------------------------


class ChecksThenUses(ObedientNic):
    """Time of check to time of use: it looks before it has the lock."""

    async def map(self, start, end):
        while True:
            sequence = await self.wait_until_valid()
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                if self.valid(sequence):
                    async with self.lock:
                        await self.engine.program(start, addresses)
                    return
                async with self.lock:
                    await self.put_back(start, end)


class NeverLooksAgain(ObedientNic):
    """It programs whatever it was given, however old that is."""

    async def map(self, start, end):
        await self.wait_until_valid()
        async with self.mm.mmap_lock.read():
            addresses = await self.p2p_map(start, end)
            async with self.lock:
                await self.engine.program(start, addresses)


class ComparesParity(ObedientNic):
    """ABA on the counter: two invalidations in between, and its one bit is what it was."""

    async def map(self, start, end):
        while True:
            bit = await self.wait_until_valid() & 1
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                async with self.lock:
                    if self.invalidations == 0 and self.sequence & 1 == bit and not self.mm_dead:
                        await self.engine.program(start, addresses)
                        return
                    await self.put_back(start, end)


class LooksOnlyAtTheCount(ObedientNic):
    """ABA: none is under way now, so it thinks that none ever was."""

    async def map(self, start, end):
        while True:
            await self.wait_until_valid()
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                async with self.lock:
                    if self.invalidations == 0 and not self.mm_dead:
                        await self.engine.program(start, addresses)
                        return
                    await self.put_back(start, end)


class KeepsTheOldAddresses(ObedientNic):
    """Use after invalidate in a retry: the second round programs what the first was given."""

    async def map(self, start, end):
        addresses = ()
        while True:
            sequence = await self.wait_until_valid()
            async with self.mm.mmap_lock.read():
                given = await self.p2p_map(start, end)
                addresses = addresses or given
                async with self.lock:
                    if self.valid(sequence):
                        await self.engine.program(start, addresses)
                        return
                    await self.put_back(start, end)


class LosesTheWakeUp(ObedientNic):
    """It clears the flag after it has seen that it must wait: who set it in between is never heard."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.woken = False

    async def map(self, start, end):
        while True:
            if self.invalidations:
                await step("goes to sleep")
                self.woken = False
                await wait_event(lambda: self.woken, "woken")
            sequence = self.sequence
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                async with self.lock:
                    if self.valid(sequence):
                        await self.engine.program(start, addresses)
                        return
                    await self.put_back(start, end)

    async def invalidate_range_end(self, range):
        await super().invalidate_range_end(range)
        self.woken = True


class IgnoresTheErrno(ObedientNic):
    """It does not look at what p2p_map said, and programs an array that nobody filled."""

    async def map(self, start, end):
        async with self.mm.mmap_lock.read():
            try:
                sequence = self.sequence
                addresses = await self.p2p_map(start, end)
            except KernelError:
                addresses = (0,) * ((end - start) // PAGE_SIZE)
            async with self.lock:
                if self.valid(sequence):
                    await self.engine.program(start, addresses)
                else:
                    await self.put_back(start, end)


class LeaksWhatItHad(ObedientNic):
    """Overtaken, it forgets what it was given without giving it back."""

    async def map(self, start, end):
        while True:
            sequence = await self.wait_until_valid()
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                async with self.lock:
                    if self.valid(sequence):
                        await self.engine.program(start, addresses)
                        return
                    self.held.clear()


class LeaksOnPartialFailure(ObedientNic):
    """Page by page; where one is refused, it forgets those before it."""

    async def map(self, start, end):
        while True:
            sequence = await self.wait_until_valid()
            async with self.mm.mmap_lock.read():
                addresses = []
                try:
                    for page in range(start, end, PAGE_SIZE):
                        addresses += await self.p2p_map(page, page + PAGE_SIZE)
                except KernelError:
                    self.held.clear()
                    raise
                async with self.lock:
                    if self.valid(sequence):
                        await self.engine.program(start, tuple(addresses))
                        return
                    await self.put_back(start, end)


class HoldsItsLockAndMaps(ObedientNic):
    """It asks the exporter under the lock that its callback takes."""

    async def map(self, start, end):
        await self.wait_until_valid()
        async with self.mm.mmap_lock.read(), self.lock:
            addresses = await self.p2p_map(start, end)
            await self.engine.program(start, addresses)


class AsksToRead(ObedientNic):
    """It maps for reading, and its device writes."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.write = False


# -- importers: the callback ------------------------------------------------------------------------------------------


class DoesNotDrain(ObedientNic):
    """A beat may still be under way when it gives the pages back."""

    async def let_go(self, start, end):
        await self.engine.clear(start, end)
        await self.p2p_unmap(start, end)


class DrainsBeforeItStops(ObedientNic):
    """The device takes up the next page after the drain, before its translations are gone."""

    async def let_go(self, start, end):
        await self.engine.drain(start, end)
        await self.engine.clear(start, end)
        await self.p2p_unmap(start, end)


class GivesBackBeforeItDrains(ObedientNic):
    """Right but for the order: the exporter has the pages again while a beat is under way."""

    async def let_go(self, start, end):
        await self.engine.clear(start, end)
        await self.p2p_unmap(start, end)
        await self.engine.drain(start, end)


class TakesTheFirstPage(ObedientNic):
    """A wrong sub-range: one page, whatever the range is."""

    def concerned(self, range):
        return range.start, range.start + PAGE_SIZE


class StopsOneShort(ObedientNic):
    """Off by one: it takes the end for the last page's address plus nothing."""

    def concerned(self, range):
        start, end = super().concerned(range)
        return start, end - PAGE_SIZE


class ForgetsTheFirstPage(ObedientNic):
    """Off by one at the other end: ``<`` where ``<=`` is meant."""

    def concerned(self, range):
        start, end = super().concerned(range)
        return start + PAGE_SIZE, end


class UnmapsTwice(ObedientNic):
    """It gives back in the callback, and again when the invalidation is over."""

    async def invalidate_range_start(self, range):
        self.again = tuple(self.held[page] for page in sorted(self.held) if range.start <= page < range.end)
        return await super().invalidate_range_start(range)

    async def invalidate_range_end(self, range):
        from p2plab.p2p.contract import p2p_unmap

        if self.again:
            await p2p_unmap(self.peer, self.again)
        await super().invalidate_range_end(range)


class HearsOnlyClear(ObedientNic):
    """It does not care for munmap."""

    async def invalidate_range_start(self, range):
        return 0 if range.event == "UNMAP" else await super().invalidate_range_start(range)

    async def invalidate_range_end(self, range):
        if range.event != "UNMAP":
            await super().invalidate_range_end(range)


class LetsGoAtTheEnd(ObedientNic):
    """It stops when the invalidation is over, which is too late."""

    async def invalidate_range_start(self, range):
        if range.blockable:
            self.invalidation_begins(range)
        return 0

    async def invalidate_range_end(self, range):
        if range.blockable:
            async with self.lock:
                await self.let_go(*self.concerned(range))
            self.invalidation_ends(range)


class KeepsTheVma(ObedientNic):
    """A stale vma: of munmap it takes only the range, and its other grants point to a vma that may be gone."""

    def concerned(self, range):
        return range.start, range.end


class RemembersOneRange(ObedientNic):
    """The second range is forgotten: it compares with what it mapped first."""

    first = ()

    async def map(self, start, end):
        self.first = self.first or (start, start + PAGE_SIZE)
        await super().map(start, end)

    async def let_go(self, start, end):
        if self.first and start < self.first[1] and self.first[0] < end:
            await super().let_go(*self.first)


class SleepsAlways(ObedientNic):
    """It takes its lock in a call that may not block."""

    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            await self.let_go(*self.concerned(range))
        return 0

    async def invalidate_range_end(self, range):
        self.invalidation_ends(range)


class SaysAgainAlways(ObedientNic):
    """It answers -EAGAIN where its lock is taken, although the caller would wait."""

    async def invalidate_range_start(self, range):
        if self.lock.owner:
            return -errno.EAGAIN
        return await super().invalidate_range_start(range)


class CountsTheRefused(ObedientNic):
    """It counts before it looks whether it may wait; the call that it then refuses has no end."""

    async def invalidate_range_start(self, range):
        self.invalidation_begins(range)
        if not range.blockable:
            return -errno.EAGAIN
        async with self.lock:
            await self.let_go(*self.concerned(range))
        return 0


class ForgetsAnEnd(ObedientNic):
    """It counts the start of every invalidation, and the end only where it held something."""

    async def invalidate_range_start(self, range):
        self.had = bool(self.held)
        return await super().invalidate_range_start(range)

    async def invalidate_range_end(self, range):
        if self.had:
            await super().invalidate_range_end(range)


class TakesMmapLock(ObedientNic):
    """Its callback takes the lock that munmap holds."""

    async def invalidate_range_start(self, range):
        async with self.mm.mmap_lock.read():
            return await super().invalidate_range_start(range)


class MissesTheExit(ObedientNic):
    """The process dies, and it keeps all that it had."""

    async def release(self, mm):
        self.mm_dead = self.closed = True


class ProgramsAgainInTheEnd(ObedientNic):
    """It puts the old translations back when the invalidation is over."""

    async def invalidate_range_start(self, range):
        self.saved = tuple(self.engine.table.items())
        return await super().invalidate_range_start(range)

    async def invalidate_range_end(self, range):
        for page, address in self.saved:
            await self.engine.program(page, (address,))
        await super().invalidate_range_end(range)


# -- importers of today -----------------------------------------------------------------------------------------------


class DoesNotSetTheSequence(OdpNic):
    """Without ``mmu_interval_set_seq`` a retry is not seen."""

    def set_seq(self, cur_seq):
        """Nothing."""


class ReadsTooLate(OdpNic):
    """``read_begin`` comes after the addresses were asked for."""

    async def map(self, start, end):
        from p2plab.mm import mmu_interval_read_begin

        async with self.mm.mmap_lock.read():
            addresses = await self.p2p_map(start, end)
        seq = await mmu_interval_read_begin(self)
        async with self.lock:
            if not self.read_retry(seq):
                await self.engine.program(start, addresses)


# -- exporters --------------------------------------------------------------------------------------------------------


class MovesBeforeItTells(Gpu):
    """The bytes move, and then everybody hears of it."""

    async def move(self, thing, how, verb="moves"):
        async with self.lock:
            self.mark_moving(thing)
            await step(f"{verb} {thing.name}", how, duration=2)
        await self.invalidate(thing)


class AnswersWhileItMoves(Gpu):
    """``p2p_map`` does not wait for the end of a move."""

    def mark_moving(self, thing):
        """Nothing says that it moves."""


class ReversesTheArray(Gpu):
    """The addresses are right, and their order is not."""

    async def p2p_map(self, vma, peer, start, end, pa, write):
        status = await super().p2p_map(vma, peer, start, end, pa, write)
        pa.reverse()
        return status


class ReturnsACount(Gpu):
    """It returns how many pages it gave."""

    async def p2p_map(self, vma, peer, start, end, pa, write):
        return await super().p2p_map(vma, peer, start, end, pa, write) or len(pa)


class OffByOnePage(Gpu):
    """It gives the slot after the one that is meant."""

    async def p2p_map(self, vma, peer, start, end, pa, write):
        status = await super().p2p_map(vma, peer, start, end, pa, write)
        if not status:
            pa[:] = [address + PAGE_SIZE for address in pa]
        return status


class HoldsItsLockAndTells(Gpu):
    """It waits for the importers' callbacks with the lock that ``p2p_unmap`` takes."""

    async def move(self, thing, how, verb="moves"):
        async with self.lock:
            self.mark_moving(thing)
            await self.invalidate(thing)
            await step(f"{verb} {thing.name}", how, duration=2)


class AsksOnce(Gpu):
    """It tests the permission of the first map only."""

    asked = False

    def check(self, vma, write):
        if not self.asked:
            super().check(vma, write)
        self.asked = True


class KeepsWhatItRefuses(Gpu):
    """It refuses the whole after it has lent a page, and leaves that in its books."""

    async def p2p_map(self, vma, peer, start, end, pa, write):
        if end - start > PAGE_SIZE:
            await super().p2p_map(vma, peer, start, start + PAGE_SIZE, pa[:1], write)
            return -errno.ENOMEM
        return await super().p2p_map(vma, peer, start, end, pa, write)


#: Class, the rules that a reviewer would name, the scene, its knobs.
SMALL = {"pages": 2}
WRONG = (
    (ChecksThenUses, ("programs-only-valid",), "defrag-obedient", SMALL),
    (NeverLooksAgain, ("programs-only-valid",), "defrag-obedient", SMALL),
    (ComparesParity, ("programs-only-valid",), "defrag-obedient", {**SMALL, "moves": 2}),
    (LooksOnlyAtTheCount, ("programs-only-valid",), "defrag-obedient", SMALL),
    (KeepsTheOldAddresses, ("programs-only-valid", "no-stale-dma"), "defrag-obedient", SMALL),
    (LosesTheWakeUp, ("no-deadlock",), "defrag-obedient", SMALL),
    (IgnoresTheErrno, ("programs-only-valid", "address-works", "no-stale-dma"), "disasters", {}),
    (LeaksWhatItHad, ("obedience", "balanced-unmap"), "defrag-obedient", {**SMALL, "process": "unmaps"}),
    (LeaksOnPartialFailure, ("balanced-unmap", "obedience"), "disasters", {}),
    (HoldsItsLockAndMaps, ("no-deadlock",), "defrag-obedient", SMALL),
    (AsksToRead, ("writes-as-asked",), "defrag-obedient", SMALL),
    (DoesNotDrain, ("obedience",), "defrag-obedient", SMALL),
    (DrainsBeforeItStops, ("obedience",), "defrag-obedient", SMALL),
    (GivesBackBeforeItDrains, ("no-stale-dma", "obedience"), "defrag-obedient", SMALL),
    (TakesTheFirstPage, ("obedience",), "defrag-obedient", SMALL),
    (StopsOneShort, ("obedience",), "defrag-obedient", SMALL),
    (ForgetsTheFirstPage, ("obedience",), "defrag-obedient", SMALL),
    (UnmapsTwice, ("balanced-unmap",), "defrag-obedient", SMALL),
    (HearsOnlyClear, ("obedience",), "defrag-obedient", {**SMALL, "process": "unmaps"}),
    (LetsGoAtTheEnd, ("obedience",), "defrag-obedient", SMALL),
    (KeepsTheVma, ("vma-alive",), "defrag-obedient", {**SMALL, "process": "unmaps-by-parts", "moves": 0}),
    (RemembersOneRange, ("obedience",), "defrag-obedient", SMALL),
    (SleepsAlways, ("never-sleeps",), "f5-sleeps-non-blocking", {}),
    (SaysAgainAlways, ("refuses-rightly",), "defrag-obedient", SMALL),
    (CountsTheRefused, ("refuses-rightly", "gives-up-for-cause"), "f7-counts-and-refuses", {}),
    (ForgetsAnEnd, ("gives-up-for-cause", "no-deadlock"), "defrag-obedient", SMALL),
    (TakesMmapLock, ("stays-out-of-mm", "no-deadlock"), "defrag-obedient", {**SMALL, "process": "unmaps"}),
    (MissesTheExit, ("obedience", "balanced-unmap"), "defrag-obedient", {**SMALL, "process": "exits"}),
    (ProgramsAgainInTheEnd, ("programs-only-valid",), "defrag-obedient", SMALL),
    (DoesNotSetTheSequence, ("programs-only-valid",), "f22-skips-set-seq", {}),
    (ReadsTooLate, ("programs-only-valid",), "defrag-obedient", SMALL),
    (MovesBeforeItTells, ("told-first", "told-before-moved"), "defrag-obedient", SMALL),
    (AnswersWhileItMoves, ("no-map-while-moving", "told-before-moved", "told-first"), "defrag-obedient", SMALL),
    (ReversesTheArray, ("right-when-given",), "defrag-obedient", SMALL),
    (ReturnsACount, ("returns-zero",), "defrag-obedient", SMALL),
    (OffByOnePage, ("right-when-given",), "defrag-obedient", SMALL),
    (HoldsItsLockAndTells, ("no-deadlock", "lock-order"), "defrag-obedient", SMALL),
    (AsksOnce, ("asked-each-time",), "e11-asks-once", {}),
    (KeepsWhatItRefuses, ("refusal-keeps-nothing",), "defrag-obedient", SMALL),
)
