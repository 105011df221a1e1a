"""One reference answer for each exercise, as short as the exercise allows."""

from __future__ import annotations

from p2plab.core.errors import KernelError
from p2plab.course.kit import (
    PAGE_SIZE,
    Gpu,
    Importer,
    MmuNotifierRange,
    Peer,
    Vma,
    errno,
    power_off,
    refuse_maps,
    step,
    wait_event,
)


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


#: Exercise -> the class that passes it.
RIGHT: dict[str, type] = {
    "obey": Obeys,
    "obey-in-flight": Drains,
    "no-stale-map": Drains,
    "no-deadlock": Complete,
    "partial-ranges": Complete,
    "remap-after-defrag": Drains,
    "predictable-under-pressure": FallsBack,
    "survive-unplug": Orderly,
}
