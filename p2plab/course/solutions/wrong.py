"""The well-known wrong answers: each with its exercise, the rule that must catch it, and a word of that rule's recipe."""

from __future__ import annotations

from typing import Any, NamedTuple

from p2plab.course.kit import (
    PAGE_SIZE,
    BufferObject,
    Gpu,
    MmuNotifierRange,
    Peer,
    TwoEngines,
    VfioToMend,
    Vma,
    errno,
    power_off,
    refuse_maps,
    step,
    wait_event,
)
from p2plab.course.solutions import rules, scenes
from p2plab.course.solutions.right import Complete, Drains, FourLines, Lends, Maps, Obeys


class Ignores(Maps):
    """Says yes and keeps everything."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Nothing."""
        return 0

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """Nothing was counted."""


class ClearsOnly(Maps):
    """Forgets p2p_unmap."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Translations out, and that is all."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(range.start, range.end)
        return 0


class NeverMaps(Complete):
    """Breaks no promise, and does nothing."""

    async def map(self, start: int, end: int) -> None:
        """Nothing."""


class DrainsFirst(Maps):
    """The three right things in a wrong order."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Drain, then clear: a new beat may begin in between."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.drain(range.start, range.end)
            await self.engine.clear(range.start, range.end)
            await self.p2p_unmap(range.start, range.end)
        return 0


class LooksOnce(Drains):
    """Trusts the answer."""

    async def map(self, start: int, end: int) -> None:
        """Asks once, programs at once."""
        async with self.mm.mmap_lock.read():
            addresses = await self.p2p_map(start, end)
            async with self.lock:
                await self.engine.program(start, addresses)


class LooksTooEarly(Drains):
    """Looks again, but before it takes the lock."""

    async def map(self, start: int, end: int) -> None:
        """Between the look and the lock anything may happen."""
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


class AsksUnderItsLock(Complete):
    """Holds the callback's lock while it asks."""

    async def map(self, start: int, end: int) -> None:
        """p2p_map may wait for a move, and the move for the callback."""
        async with self.mm.mmap_lock.read(), self.lock:
            addresses = await self.p2p_map(start, end)
            await self.engine.program(start, addresses)


class LocksMmapAgain(Complete):
    """Wants to be sure of the vmas."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """munmap holds mmap_lock while it calls."""
        async with self.mm.mmap_lock.write():
            pass
        return await super().invalidate_range_start(range)


class LocksTheOtherWay(Complete):
    """The right loop, with the two locks the other way round."""

    async def map(self, start: int, end: int) -> None:
        """Its own lock first, mmap_lock inside."""
        async with self.lock:
            sequence = self.sequence
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                if self.valid(sequence):
                    await self.engine.program(start, addresses)
                else:
                    await self.put_back(start, end)


class FirstPageOnly(Maps):
    """One page, whatever the range."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """The first page of its own."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.let_go(min(self.held, default=0), min(self.held, default=0) + PAGE_SIZE)
        return 0


class Shifted(Maps):
    """Off by one page."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Counts from the wrong end."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.let_go(range.start - PAGE_SIZE, range.end - PAGE_SIZE)
        return 0


class RangeOnly(Maps):
    """What the range names, and nothing else, also for UNMAP."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """The rest of a vma that was unmapped in part keeps its old pointer."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.let_go(range.start, range.end)
        return 0


class NeverAgain(Drains):
    """Maps once in its life."""

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """The count is right; what was lost stays lost."""
        self.invalidations -= 1


class MapsInCallback(Drains):
    """Maps again at once, in the notifier's callback."""

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """The move waits for this callback, and p2p_map for the move."""
        self.invalidations -= 1
        if self.lost:
            self.lost = False
            await self.map(range.start, range.end)


class ForgetsTheCount(Drains):
    """Asks again, and leaves the count as it is."""

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """The map that it posts waits until the range is valid, and it never is."""
        if self.lost:
            self.lost = False
            self.map_again()


class WaitsForRoom(Gpu):
    """Never refuses: it waits."""

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """Until somebody makes room, and nobody does."""
        while (said := await super().p2p_map(vma, peer, start, end, pa, write)) == -errno.ENOSPC:
            await wait_event(lambda: bool(self.aperture.free_runs()), "there is room")
        return said


class RefusesAll(Gpu):
    """Who never said yes need not say it again."""

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """No."""
        return -errno.ENOSPC


class RefusesLater(Gpu):
    """The plain Gpu: -ENOSPC to somebody who had it before."""


class Vanishes(Gpu):
    """Gone at once."""

    async def unplug(self) -> None:
        """Whoever has it mapped, has bad luck."""
        async with self.lock:
            await step("powers off", lambda: power_off(self, "unplug"))


class LendsMeanwhile(Gpu):
    """Takes everything back, and lends it again before it goes."""

    async def unplug(self) -> None:
        """Refuses new maps only at the end."""
        for file in list(self.files.values()):
            await self.invalidate(file.thing)
        async with self.lock:
            await step("powers off", lambda: power_off(self, "unplug"))


class WaitsUnasked(Gpu):
    """Waits for mappings to come back, and asks nobody."""

    async def unplug(self) -> None:
        """Refuses, and waits."""
        async with self.lock:
            await step("refuses new maps", lambda: refuse_maps(self, "unplug"))
        await wait_event(lambda: not self.lent, "nothing is lent any more")
        async with self.lock:
            await step("powers off", lambda: power_off(self, "unplug"))


class DrainsOne(TwoEngines):
    """As for a device with one engine."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """The second engine is nobody's."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.let_go(range.start, range.end)
        return 0


class DrainsOneEarly(TwoEngines):
    """Both drain, one of them while the table still has the page."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Between the drain and the clear the second engine begins again."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.second.drain(range.start, range.end)
            await self.let_go(range.start, range.end)
        return 0


class DrainsOneLate(TwoEngines):
    """Both drain, one of them when the page is somebody else's."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """The page is back before the second engine is at rest."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.let_go(range.start, range.end)
            await self.second.drain(range.start, range.end)
        return 0


class LooksOnceAtTheMove(Lends):
    """Waits for the end of a move, and then for its lock."""

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """Another move may begin between the two."""
        thing = self.object_behind(vma)
        await wait_event(lambda: not thing.moving, f"{thing.name} has settled")
        async with self.lock:
            self.check(vma, write)
            places = self.place_of(thing, vma.pgoff_of(start), (end - start) // PAGE_SIZE)
            self.lend(vma, peer, start, places, pa, write)
        return 0


class TellsTooEarly(Lends):
    """Everybody gives it back, then the move begins."""

    async def begin_move(self, thing: BufferObject) -> None:
        """In between somebody maps it again."""
        await self.invalidate(thing)
        async with self.lock:
            self.mark_moving(thing)


class TellsUnderItsLock(Lends):
    """Keeps its lock until everybody has given it back."""

    async def begin_move(self, thing: BufferObject) -> None:
        """p2p_unmap needs that lock."""
        async with self.lock:
            self.mark_moving(thing)
            await self.invalidate(thing)


class ForgetsItsBooks(Lends):
    """Says yes to what comes back, and notes nothing."""

    async def p2p_unmap(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int]) -> int:
        """The books say that it is lent."""
        return 0


class RearmsFirst(VfioToMend):
    """Re-arms before the last wait, whatever is mapped."""

    async def last_revoke(self, buf: Any) -> None:
        """A mapping's reference is forgotten."""
        self.rearm()
        await self.drain(buf)


class PutsNoMore(VfioToMend):
    """Takes the underflow away, and not the wait."""

    def kref_put(self) -> None:
        """Only where there is something to put."""
        if self.kref:
            super().kref_put()


class WaitsNoMore(VfioToMend):
    """Takes the wait away that never ends."""

    async def wait_for_completion(self, buf: Any) -> None:
        """The device goes while somebody has it mapped."""


class DrainsAndNoMore(FourLines):
    """Mends the callback, and looks as it did."""

    async def map(self, start: int, end: int) -> None:
        """The look is outside of the lock."""
        times = 0
        while True:
            sequence = await self.wait_until_valid()
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                if self.valid(sequence):
                    async with self.lock:
                        await self.engine.program(start, addresses)
                        return
            times = self.goes_round(times)


class LooksAndNoMore(FourLines):
    """Mends the look, and forgets what it had got by then."""

    async def map(self, start: int, end: int) -> None:
        """p2p_map answers from what is held."""
        times = 0
        while True:
            sequence = await self.wait_until_valid()
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                async with self.lock:
                    if self.valid(sequence):
                        await self.engine.program(start, addresses)
                        return
            times = self.goes_round(times)


class GoesNoMore(FourLines):
    """One line fewer: it gives up where it should go round."""

    async def map(self, start: int, end: int) -> None:
        """Right, and once."""
        sequence = await self.wait_until_valid()
        async with self.mm.mmap_lock.read():
            addresses = await self.p2p_map(start, end)
            async with self.lock:
                if self.valid(sequence):
                    await self.engine.program(start, addresses)
                    return
                await self.put_back(start, end)

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """And nobody asks for it again."""
        self.invalidations -= 1


class Wrong(NamedTuple):
    """A wrong answer, the rule that catches it, and a word that its recipe must contain."""

    exercise: str
    answer: Any  #: a class, or a function that returns a scene
    rule: str
    recipe: str


WRONG: tuple[Wrong, ...] = (
    Wrong("obey", Ignores, "obedience", "engine.clear"),
    Wrong("obey", ClearsOnly, "obedience", "p2p_unmap"),
    Wrong("obey", NeverMaps, "must-reach", "map at all"),
    Wrong("obey-in-flight", Obeys, "obedience", "drain"),
    Wrong("obey-in-flight", DrainsFirst, "obedience", "drain"),
    Wrong("no-stale-map", LooksOnce, "programs-only-valid", "valid(sequence)"),
    Wrong("no-stale-map", LooksTooEarly, "programs-only-valid", "under self.lock"),
    Wrong("no-deadlock", AsksUnderItsLock, "no-deadlock", "without self.lock"),
    Wrong("no-deadlock", LocksMmapAgain, "stays-out-of-mm", "mmap_lock"),
    Wrong("no-deadlock", LocksTheOtherWay, "lock-order", "mmap_lock first"),
    Wrong("partial-ranges", FirstPageOnly, "obedience", "range.end"),
    Wrong("partial-ranges", Shifted, "obedience", "range.end"),
    Wrong("partial-ranges", RangeOnly, "vma-alive", "everything you hold of that vma"),
    Wrong("remap-after-defrag", NeverAgain, "must-reach", "map_again"),
    Wrong("remap-after-defrag", MapsInCallback, "lock-order", "map_again"),
    Wrong("remap-after-defrag", ForgetsTheCount, "no-deadlock", "has to come down"),
    Wrong("predictable-under-pressure", RefusesLater, "predictability", "main memory"),
    Wrong("predictable-under-pressure", WaitsForRoom, "no-deadlock", "for ever"),
    Wrong("predictable-under-pressure", RefusesAll, "must-reach", "nobody"),
    Wrong("survive-unplug", Vanishes, "gone-means-nobody", "refuse_maps"),
    Wrong("survive-unplug", LendsMeanwhile, "gone-means-nobody", "refuse_maps"),
    Wrong("survive-unplug", WaitsUnasked, "no-deadlock", "invalidate"),
    Wrong("two-engines", DrainsOne, "obedience", "self.second"),
    Wrong("two-engines", DrainsOneEarly, "obedience", "clear the table, then drain"),
    Wrong("two-engines", DrainsOneLate, "no-stale-dma", "before the p2p_unmap"),
    Wrong("write-the-exporter", LooksOnceAtTheMove, "no-map-while-moving", "look again"),
    Wrong("write-the-exporter", TellsTooEarly, "told-before-moved", "mark_moving"),
    Wrong("write-the-exporter", TellsUnderItsLock, "lock-order", "let go of it"),
    Wrong("write-the-exporter", ForgetsItsBooks, "books-agree", "take_back"),
    Wrong("find-the-bug", RearmsFirst, "gone-means-nobody", "whatever is mapped"),
    Wrong("find-the-bug", PutsNoMore, "no-deadlock", "consumed"),
    Wrong("find-the-bug", WaitsNoMore, "gone-means-nobody", "waits for nobody"),
    Wrong("fewest-lines", DrainsAndNoMore, "programs-only-valid", "under one lock"),
    Wrong("fewest-lines", LooksAndNoMore, "programs-only-valid", "given back"),
    Wrong("fewest-lines", GoesNoMore, "goes-again", "go round"),
    Wrong("own-rule", rules.EndsAtTheStart, "", "still clearing and draining"),
    Wrong("own-rule", rules.TrustsTheDriver, "", "whatever the driver"),
    Wrong("own-rule", rules.LooksAtPages, "", "another address"),
    Wrong("own-rule", rules.NeverForgets, "", "may be used again"),
    Wrong("own-scene", scenes.unmaps_all, "", "one of the two pages"),
    Wrong("own-scene", scenes.maps_nothing, "", "has to map something"),
    Wrong("own-scene", scenes.out_of_reach, "", "in reach of each other"),
    Wrong("own-scene", scenes.breaks_it_itself, "", "so it is the scene"),
    Wrong("own-scene", scenes.on_the_course_s, "", "read_lspci"),
)
