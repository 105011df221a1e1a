"""Answers as new students write them: wrong in ways that a list of known mistakes does not have."""

from typing import NamedTuple

from p2plab.course.kit import Gpu, power_off, refuse_maps, step, wait_event
from p2plab.course.solutions.right import Drains, Maps


class NoCount(Maps):
    async def invalidate_range_start(self, range):
        async with self.lock:
            await self.engine.clear(range.start, range.end)
            await self.p2p_unmap(range.start, range.end)
        return 0


class CountsWithoutLock(Maps):
    async def invalidate_range_start(self, range):
        self.invalidation_begins(range)
        await self.engine.clear(range.start, range.end)
        await self.p2p_unmap(range.start, range.end)
        return 0


class ForgetsAwait(Maps):
    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            self.engine.clear(range.start, range.end)
            self.p2p_unmap(range.start, range.end)
        return 0


class ClearsARange(Maps):
    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(range)
        return 0


class PlainWith(Maps):
    async def invalidate_range_start(self, range):
        with self.lock:
            self.invalidation_begins(range)
        return 0


class Acquires(Maps):
    async def invalidate_range_start(self, range):
        self.lock.acquire()
        self.invalidation_begins(range)
        return 0


class Spins(Maps):
    async def invalidate_range_start(self, range):
        while self.held:
            pass
        return 0


class DrainsLast(Maps):
    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(range.start, range.end)
            await self.p2p_unmap(range.start, range.end)
            await self.engine.drain(range.start, range.end)
        return 0


class KeepsTheFirstAnswer(Drains):
    async def map(self, start, end):
        while True:
            sequence = await self.wait_until_valid()
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                async with self.lock:
                    if self.valid(sequence):
                        await self.engine.program(start, addresses)
                        return


class GivesUp(Drains):
    async def map(self, start, end):
        sequence = await self.wait_until_valid()
        async with self.mm.mmap_lock.read():
            addresses = await self.p2p_map(start, end)
            async with self.lock:
                if not self.valid(sequence):
                    await self.put_back(start, end)
                    return
                await self.engine.program(start, addresses)

    async def invalidate_range_end(self, range):
        self.invalidations -= 1


class _Unplugs(Gpu):
    async def refuse(self):
        async with self.lock:
            await step("refuses new maps", lambda: refuse_maps(self, "unplug"))

    async def off(self):
        async with self.lock:
            await step("powers off", lambda: power_off(self, "unplug"))


class InvalidatesNames(_Unplugs):
    async def unplug(self):
        await self.refuse()
        for thing in self.files:
            await self.invalidate(thing)
        await wait_event(lambda: not self.lent, "nothing is lent any more")
        await self.off()


class InvalidatesFiles(_Unplugs):
    async def unplug(self):
        await self.refuse()
        for file in self.files.values():
            await self.invalidate(file)
        await wait_event(lambda: not self.lent, "nothing is lent any more")
        await self.off()


class Polls(_Unplugs):
    async def unplug(self):
        print("going")
        await self.refuse()
        while self.lent:
            await step("looks whether anything is lent")
        await self.off()


class Attempt(NamedTuple):
    exercise: str
    answer: type
    cause: str  #: a phrase of the hint that names the mistake
    where: str  #: a phrase of the line


ATTEMPTS = (
    Attempt("obey", NoCount, "`invalidations` is 0, and it is -1", "await self.wait_until_valid()"),
    Attempt("obey", CountsWithoutLock, "the callback did not wait for it", "await self.engine.program"),
    Attempt("obey", ForgetsAwait, "clear() and p2p_unmap() did not run", "self.engine.clear(range.start, range.end)"),
    Attempt("obey", ClearsARange, "missing 1 required positional argument: 'end'", "await self.engine.clear(range)"),
    Attempt("obey", PlainWith, "taken with `async with`", "with self.lock:"),
    Attempt("obey", Acquires, "taken with `async with`", "self.lock.acquire()"),
    Attempt("obey", Spins, "Spins.invalidate_range_start, line", ""),
    Attempt("obey-in-flight", DrainsLast, "nothing waited for it after the translation went", "DrainsLast"),
    Attempt("no-stale-map", KeepsTheFirstAnswer, "was never given back", "await self.engine.program"),
    Attempt("no-stale-map", GivesUp, "nobody asked for it again", "async with self.mm.mmap_lock.read()"),
    Attempt("survive-unplug", InvalidatesNames, "takes a BufferObject", "await self.invalidate(thing)"),
    Attempt("survive-unplug", InvalidatesFiles, "takes a BufferObject", "await self.invalidate(file)"),
    Attempt("survive-unplug", Polls, "no importer was told to give anything back", "looks whether anything is lent"),
)
