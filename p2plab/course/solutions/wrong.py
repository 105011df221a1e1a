"""The well-known wrong answers: each with its exercise, the rule that must catch it, and a word of that rule's recipe."""

from __future__ import annotations

from typing import NamedTuple

from p2plab.course.kit import (
    PAGE_SIZE,
    Gpu,
    MmuNotifierRange,
    Peer,
    Vma,
    errno,
    power_off,
    refuse_maps,
    step,
    wait_event,
)
from p2plab.course.solutions.right import Complete, Drains, Maps, Obeys


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


class Wrong(NamedTuple):
    """A wrong answer, the rule that catches it, and a word that its recipe must contain."""

    exercise: str
    answer: type
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
    Wrong("partial-ranges", FirstPageOnly, "obedience", "range.end"),
    Wrong("partial-ranges", Shifted, "obedience", "range.end"),
    Wrong("partial-ranges", RangeOnly, "vma-alive", "everything you hold of that vma"),
    Wrong("remap-after-defrag", NeverAgain, "must-reach", "map_again"),
    Wrong("remap-after-defrag", MapsInCallback, "lock-order", "map_again"),
    Wrong("predictable-under-pressure", RefusesLater, "predictability", "main memory"),
    Wrong("predictable-under-pressure", WaitsForRoom, "no-deadlock", "for ever"),
    Wrong("predictable-under-pressure", RefusesAll, "must-reach", "nobody"),
    Wrong("survive-unplug", Vanishes, "gone-means-nobody", "refuse_maps"),
    Wrong("survive-unplug", LendsMeanwhile, "gone-means-nobody", "refuse_maps"),
    Wrong("survive-unplug", WaitsUnasked, "no-deadlock", "invalidate"),
)
