"""Answers as new students write them: wrong in ways that a list of known mistakes does not have."""

from typing import Any, NamedTuple

from p2plab.catalog.bench import Bench, Plan, job, scene
from p2plab.catalog.rig import BASE, elsewhere
from p2plab.course.kit import (
    PAGE_SIZE,
    CallbackToWrite,
    EndToWrite,
    ExporterToWrite,
    Gpu,
    MapToWrite,
    Rule,
    TwoEngines,
    VfioToMend,
    errno,
    power_off,
    refuse_maps,
    step,
    wait_event,
)
from p2plab.course.solutions.right import Complete, Drains, Maps
from p2plab.mm import LINUX_6_12
from p2plab.pci import read_machine


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


class TakesItTwice(CallbackToWrite):
    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            await self.unmap(range.start, range.end)
        return 0


class SwapsStartAndEnd(CallbackToWrite):
    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(range.end, range.start)
            await self.p2p_unmap(range.end, range.start)
        return 0


class DoesNotWait(MapToWrite):
    async def map(self, start, end):
        while True:
            sequence = self.wait_until_valid()
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                async with self.lock:
                    if self.valid(sequence):
                        await self.engine.program(start, addresses)
                        return
                    await self.put_back(start, end)


class SwapsArguments(MapToWrite):
    async def map(self, start, end):
        async with self.mm.mmap_lock.read():
            addresses = await self.p2p_map(start, end)
            async with self.lock:
                await self.engine.program(addresses, start)


class AwaitsAPost(EndToWrite):
    async def invalidate_range_end(self, range):
        self.invalidations -= 1
        await self.map_again()


class CountsDownTwice(EndToWrite):
    async def invalidate_range_end(self, range):
        self.invalidations -= 1
        self.invalidation_ends(range)


class DrainsTheSame(TwoEngines):
    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(range.start, range.end)
            await self.engine.drain(range.start, range.end)
            self.second.drain(range.start, range.end)
            await self.p2p_unmap(range.start, range.end)
        return 0


class PollsUnderItsLock(ExporterToWrite):
    async def p2p_map(self, vma, peer, start, end, pa, write):
        thing = self.object_behind(vma)
        async with self.lock:
            while thing.moving:
                await step("waits for the move")
            places = self.place_of(thing, vma.pgoff_of(start), (end - start) // PAGE_SIZE)
            self.lend(vma, peer, start, places, pa, write)
            return 0

    async def p2p_unmap(self, vma, peer, start, end, pa):
        return await self.take_back(peer, start, end)

    async def begin_move(self, thing):
        async with self.lock:
            self.mark_moving(thing)
        await self.invalidate(thing)


class EvictsUnderItsLock(Gpu):
    async def p2p_map(self, vma, peer, start, end, pa, write):
        if not self.reaches(peer):
            return -errno.EREMOTEIO
        thing = self.object_behind(vma)
        async with self.lock:
            if thing.moving or None in self.aperture.slots_of(thing):
                await self.evict()
            places = self.place_of(thing, vma.pgoff_of(start), (end - start) // PAGE_SIZE)
            self.lend(vma, peer, start, places, pa, write)
            return 0


class StaysOn(_Unplugs):
    async def unplug(self):
        await self.refuse()
        for thing in self.memory.objects.values():
            await self.invalidate(thing)


class ClosesUnasked(VfioToMend):
    async def last_revoke(self, buf):
        pass


class WaitsUnderResv(VfioToMend):
    async def last_revoke(self, buf):
        async with buf.resv.lock:
            self.revoked = True
            await buf.invalidate_mappings()
            await buf.resv.wait()
            self.kref_put()
            await self.wait_for_completion(buf)
        await step("A is revoked", self.says_revoked)


class AsksUnderTheLock(Complete):
    async def map(self, start, end):
        sequence = await self.wait_until_valid()
        async with self.mm.mmap_lock.read(), self.lock:
            addresses = await self.p2p_map(start, end)
            if self.valid(sequence):
                await self.engine.program(start, addresses)


class Returns(Rule):
    promise = "no beat lands where its importer's grant has gone"

    def see(self, entry):
        if entry.event.kind == "BeatLanded":
            return self.broken(entry, entry.event.importer, "stale")
        return None


class _OffByOne(Bench):
    @job("app")
    async def part(self):
        await self.mm.munmap(BASE + 1, PAGE_SIZE)

    @job("app")
    async def unawaited(self):
        self.mm.munmap(BASE, PAGE_SIZE)


def _with(name):
    plan = Plan(pages=2, app=("mmap", name), gpu=(), then=(), kernel=LINUX_6_12)
    return elsewhere(scene("mine", "mine", plan, bench=_OffByOne), read_machine("q35_switch1"), "03:00.0", ("04:00.0",))


def unaligned():
    return _with("part")


def unawaited():
    return _with("unawaited")


class Attempt(NamedTuple):
    exercise: str
    answer: Any
    cause: str  #: a phrase of the hint that names the mistake
    where: str  #: a phrase of the line; empty where there is none
    recipe: str = ""  #: a phrase of what to write


ATTEMPTS = (
    Attempt(
        "obey", NoCount, "`invalidations` is 0, and it is -1", "await self.wait_until_valid()", "begin with self.inv"
    ),
    Attempt("obey", CountsWithoutLock, "the callback did not wait for it", "await self.engine.program"),
    Attempt("obey", ForgetsAwait, "clear() and p2p_unmap() did not run", "self.engine.clear(range.start, range.end)"),
    Attempt("obey", ClearsARange, "missing 1 required positional argument: 'end'", "await self.engine.clear(range)"),
    Attempt("obey", PlainWith, "taken with `async with`", "with self.lock:"),
    Attempt("obey", Acquires, "taken with `async with`", "self.lock.acquire()"),
    Attempt("obey", Spins, "Spins.invalidate_range_start, line", "while self.held:"),
    Attempt(
        "obey-in-flight", DrainsLast, "nothing waited for it after the translation went", "DrainsLast", "only then p2p"
    ),
    Attempt("no-stale-map", KeepsTheFirstAnswer, "was never given back", "await self.engine.program", "put_back"),
    Attempt("no-stale-map", GivesUp, "nobody asked for it again", "async with self.mm.mmap_lock.read()"),
    Attempt("survive-unplug", InvalidatesNames, "takes a BufferObject", "await self.invalidate(thing)"),
    Attempt("survive-unplug", InvalidatesFiles, "takes a BufferObject", "await self.invalidate(file)"),
    Attempt("obey", TakesItTwice, "nic.lock, which it has itself", "await self.unmap(", "leave the lock"),
    Attempt("obey", SwapsStartAndEnd, "which ends before it begins", "SwapsStartAndEnd"),
    Attempt(
        "no-stale-map", DoesNotWait, "wait_until_valid() did not run", "= self.wait_until_valid()", "write `await`"
    ),
    Attempt(
        "no-stale-map", SwapsArguments, "program takes (start, addresses)", "self.engine.program(addresses, start)"
    ),
    Attempt("no-deadlock", AsksUnderTheLock, "which nic has", "await self.p2p_map", "without self.lock"),
    Attempt("remap-after-defrag", AwaitsAPost, "without `await`", "await self.map_again()"),
    Attempt(
        "remap-after-defrag", CountsDownTwice, "counted down more often than up", "CountsDownTwice", "by one at each"
    ),
    Attempt("two-engines", DrainsTheSame, "drain() did not run", "self.second.drain", "write `await`"),
    Attempt(
        "write-the-exporter", PollsUnderItsLock, "it has gpu.bar all the while", "waits for the move", "hold no lock"
    ),
    Attempt(
        "predictable-under-pressure", EvictsUnderItsLock, "gpu.bar, which it has itself", "self.evict()", "leave the"
    ),
    Attempt(
        "survive-unplug", StaysOn, "`unplug` began at step", "await self.invalidate(thing)", "has to end with power_off"
    ),
    Attempt("find-the-bug", ClosesUnasked, "without notifying it", "def last_revoke", "revokes first"),
    Attempt("find-the-bug", WaitsUnderResv, "lock A.resv, which fate has", "wait_for_completion", "needs that lock"),
    Attempt("own-rule", Returns, "it has to yield it", ""),
    Attempt("own-scene", unaligned, "-EINVAL", "", "mend that call"),
    Attempt("own-scene", unawaited, "munmap() did not run", "", "mend that call"),
    Attempt("survive-unplug", Polls, "no importer was told to give anything back", "looks whether anything is lent"),
)
