"""One reference answer for each exercise, as short as the exercise allows; and another one, of another shape."""

from __future__ import annotations

from typing import Any

from p2plab.core.errors import KernelError
from p2plab.course.kit import (
    PAGE_SIZE,
    BufferObject,
    CallbackToWrite,
    EndToWrite,
    EndWritten,
    ExporterToWrite,
    Gpu,
    Importer,
    MapToWrite,
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


class Maps(Importer):
    """The part that looks again before the device is told."""

    async def map(self, start: int, end: int) -> None:
        """Ask, look again under the lock, program or go round."""
        times = 0
        while True:
            sequence = await self.wait_until_valid()
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                async with self.lock:
                    if self.valid(sequence):
                        await self.engine.program(start, addresses)
                        return
                    await self.put_back(start, end)
            times = self.goes_round(times)

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """Count down, and ask again for what was lost."""
        self.invalidation_ends(range)


class Obeys(Maps):
    """Enough where nothing is in flight."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Clear, and give back."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(range.start, range.end)
            await self.p2p_unmap(range.start, range.end)
        return 0


class Drains(Maps):
    """Enough wherever ranges are whole mappings."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Clear, drain, give back: in this order, and all three."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(range.start, range.end)
            await self.engine.drain(range.start, range.end)
            await self.p2p_unmap(range.start, range.end)
        return 0


class Complete(Maps):
    """Any range, any moment."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """All that the range concerns."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.let_go(*self.concerned(range))
        return 0


class FallsBack(Gpu):
    """Keeps its word: where the aperture has no room, main memory has."""

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """As a Gpu, with a second place to look in."""
        if not self.reaches(peer):
            return -errno.EREMOTEIO
        thing = self.object_behind(vma)
        first, count = vma.pgoff_of(start), (end - start) // PAGE_SIZE
        while True:
            await wait_event(lambda: not thing.moving, f"{thing.name} has settled")
            async with self.lock:
                if thing.moving:
                    continue
                try:
                    self.check(vma, write)
                    try:
                        places = self.place_of(thing, first, count)
                    except KernelError:
                        self.move_to_ram(thing)
                        places = self.place_of(thing, first, count)
                except KernelError as error:
                    return -error.errno
                self.lend(vma, peer, start, places, pa, write)
                return 0


class Orderly(Gpu):
    """Goes when nobody has anything of it any more."""

    async def unplug(self) -> None:
        """Refuse, take back, wait, power off."""
        async with self.lock:
            await step("refuses new maps", lambda: refuse_maps(self, "unplug"))
        for file in list(self.files.values()):
            await self.invalidate(file.thing)
        await wait_event(lambda: not self.lent, "nothing is lent any more")
        async with self.lock:
            await step("powers off", lambda: power_off(self, "unplug"))


class BothDrain(TwoEngines):
    """The table first, then each engine."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """No new beat, no old beat, no page."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(range.start, range.end)
            await self.engine.drain(range.start, range.end)
            await self.second.drain(range.start, range.end)
            await self.p2p_unmap(range.start, range.end)
        return 0


class Lends(ExporterToWrite):
    """Waits for the end of a move, and looks again under the lock."""

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """Whether, where, noted."""
        if not self.reaches(peer):
            return -errno.EREMOTEIO
        thing = self.object_behind(vma)
        while True:
            await wait_event(lambda: not thing.moving, f"{thing.name} has settled")
            async with self.lock:
                if thing.moving:
                    continue
                try:
                    self.check(vma, write)
                    places = self.place_of(thing, vma.pgoff_of(start), (end - start) // PAGE_SIZE)
                except KernelError as error:
                    return -error.errno
                self.lend(vma, peer, start, places, pa, write)
                return 0

    async def p2p_unmap(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int]) -> int:
        """Out of the books."""
        return await self.take_back(peer, start, end)

    async def begin_move(self, thing: BufferObject) -> None:
        """Nobody may get it, then nobody may have it."""
        async with self.lock:
            self.mark_moving(thing)
        await self.invalidate(thing)


class Mended(VfioToMend):
    """As it was merged in May 2026: re-armed after each revoke, and closing does nothing where that was done."""

    async def dma_buf_move(self, buf: Any, revoked: bool) -> None:
        """Re-arm after either."""
        if self.revoked == revoked:
            return
        if revoked:
            await self.drain(buf)
            self.rearm()
        else:
            await self.unrevoke(buf)

    async def last_revoke(self, buf: Any) -> None:
        """For good, unless it is."""
        await self.dma_buf_move(buf, True)


class FourLines(EndWritten):
    """The skeleton of fewest-lines with four lines changed."""

    async def map(self, start, end):  # type: ignore[no-untyped-def]
        """The look is under the lock, and what it refused goes back."""
        times = 0
        while True:
            sequence = await self.wait_until_valid()
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                async with self.lock:
                    if self.valid(sequence):
                        await self.engine.program(start, addresses)
                        return
                    await self.put_back(start, end)
            times = self.goes_round(times)

    async def unmap(self, start, end):  # type: ignore[no-untyped-def]
        """As it was."""
        async with self.lock:
            self.engine.abort()
            await self.let_go(start, end)

    async def invalidate_range_start(self, range):  # type: ignore[no-untyped-def]
        """With the beats waited for."""
        start, end = self.concerned(range)
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(start, end)
            await self.engine.drain(start, end)
            await self.p2p_unmap(start, end)
        return 0


# -- of another shape --------------------------------------------------------------------------------------------------


class LetsAllGo(CallbackToWrite):
    """More than it has to: all that an address can say."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Legal, and slow."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.let_go(0, 1 << 48)
        return 0


class CountsItself(MapToWrite):
    """Looks at the counters where others call valid(), and asks before it begins to wait."""

    async def map(self, start: int, end: int) -> None:
        """One lock for the look and the device."""
        done = False
        while not done:
            before = self.sequence
            await wait_event(lambda: self.invalidations == 0, "no invalidation under way")
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                async with self.lock:
                    done = self.sequence == before and not self.invalidations
                    if done:
                        await self.engine.program(start, addresses)
                    else:
                        await self.put_back(start, end)


class OnDemand(EndToWrite):
    """Maps again when the doorbell rings, as a device that faults."""

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """Only the count."""
        self.invalidations -= 1

    async def submit(self, transfer: Any) -> None:
        """Whoever wants to write needs a translation."""
        if transfer.start not in self.engine.table:
            await self.map(transfer.start, transfer.end)
        await super().submit(transfer)


class SecondClears(TwoEngines):
    """By way of the second engine, since the table is one; the engines come to rest in the other order."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """And by let_go for the rest."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.second.clear(range.start, range.end)
            await self.second.drain(range.start, range.end)
            await self.let_go(range.start, range.end)
        return 0


class OneGate(Lends):
    """Closes the whole device while anything moves, and needs no flag of the object's."""

    shut = 0

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """Behind the gate."""
        while True:
            await wait_event(lambda: not self.shut, "the gate is open")
            async with self.lock:
                if not self.shut:
                    try:
                        self.check(vma, write)
                        places = self.place_of(self.object_behind(vma), vma.pgoff_of(start), (end - start) // PAGE_SIZE)
                    except KernelError as error:
                        return -error.errno
                    self.lend(vma, peer, start, places, pa, write)
                    return 0

    async def begin_move(self, thing: BufferObject) -> None:
        """Shut it, then tell everybody."""
        async with self.lock:
            self.shut += 1
            self.mark_moving(thing)
        await self.invalidate(thing)

    def finish_move(self, thing: BufferObject) -> None:
        """Open it again."""
        super().finish_move(thing)
        self.shut -= 1


class ByPolicy(Gpu):
    """What the thread proposed is there already: it has only to be chosen."""

    policy = "ram"


class OneAfterTheOther(Gpu):
    """Empties each object by itself before it goes on to the next."""

    async def unplug(self) -> None:
        """Objects that nobody opened, too."""
        async with self.lock:
            await step("refuses new maps", lambda: refuse_maps(self, "unplug"))
        for thing in self.memory.objects.values():
            await self.invalidate(thing)
        await wait_event(lambda: len(self.lent) == 0, "all is back")
        await step("powers off", lambda: power_off(self, "unplug"))


class Rearms(VfioToMend):
    """As one of the fixes that were posted: it waits again, and finds the count re-armed."""

    async def drain(self, buf: Any) -> None:
        """Each wait leaves the count as it found it."""
        await super().drain(buf)
        self.rearm()


#: Exercise -> the class (for own-scene the function) that passes it.
RIGHT: dict[str, Any] = {
    "obey": Obeys,
    "obey-in-flight": Drains,
    "no-stale-map": Drains,
    "no-deadlock": Complete,
    "partial-ranges": Complete,
    "remap-after-defrag": Drains,
    "predictable-under-pressure": FallsBack,
    "survive-unplug": Orderly,
    "two-engines": BothDrain,
    "write-the-exporter": Lends,
    "find-the-bug": Mended,
    "fewest-lines": FourLines,
    "own-rule": rules.EndsWithTheInvalidation,
    "own-scene": scenes.unmaps_in_two_parts,
}
#: Exercise -> a class that passes it as well, and that nobody would expect.
UNUSUAL: dict[str, Any] = {
    "obey": LetsAllGo,
    "obey-in-flight": LetsAllGo,
    "no-stale-map": CountsItself,
    "no-deadlock": CountsItself,
    "partial-ranges": LetsAllGo,
    "remap-after-defrag": OnDemand,
    "two-engines": SecondClears,
    "write-the-exporter": OneGate,
    "predictable-under-pressure": ByPolicy,
    "survive-unplug": OneAfterTheOther,
    "find-the-bug": Rearms,
    "fewest-lines": Complete,
    "own-rule": rules.KeepsTriples,
    "own-scene": scenes.gpu_follows,
}
