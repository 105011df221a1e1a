"""The exercises with a given wrong driver: find its bug, or repair it with as few lines as possible."""

from __future__ import annotations

from p2plab.course.exercises.orders import ToFind
from p2plab.course.exercises.scenes import SCENES
from p2plab.course.exercises.task import Exercise
from p2plab.course.given import EndWritten, VfioToMend

_VFIO = """
class MyVfio(VfioToMend):
    # self.kref counts the exporter itself and each mapping; at 0 it completes, once.
    # self.rearm() sets kref to 1 and forgets a completion.

    async def dma_buf_move(self, buf, revoked):
        if self.revoked == revoked:
            return
        if revoked:
            await self.drain(buf)
        else:
            self.rearm()
            await self.unrevoke(buf)

    async def drain(self, buf):
        async with buf.resv.lock:
            self.revoked = True
            await buf.invalidate_mappings()
            await buf.resv.wait()
        self.kref_put()
        await self.wait_for_completion(buf)
        await step("A is revoked", self.says_revoked)

    async def last_revoke(self, buf):
        await self.drain(buf)  # the file is closed: for good
"""
_NIC = """
class MyNic(EndWritten):
    async def map(self, start, end):
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

    async def unmap(self, start, end):
        async with self.lock:
            self.engine.abort()
            await self.let_go(start, end)

    async def invalidate_range_start(self, range):
        start, end = self.concerned(range)
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(start, end)
            await self.p2p_unmap(start, end)
        return 0
"""
_WAITS = "the second wait is for a completion that the first one consumed, and nothing is mapped that could complete it again"

TASKS = (
    Exercise(
        "find-the-bug",
        "VFIO's dma-buf as it was merged in January 2026: a revoke puts its own reference and waits until every mapping is "
        'gone. Mend the class, or name the order that breaks it, as check("app*2 …"): gpu resets, which revokes, and fate '
        "closes the file.",
        "exporter",
        SCENES["exercise-find-the-bug"],
        _VFIO.strip() + "\n",
        {
            "no-deadlock": f"{_WAITS}: re-arm after each revoke, and where the buffer is revoked already, closing waits for "
            "nothing",
            "gone-means-nobody": "the device went while somebody had it mapped: rearm() sets kref to 1 whatever is mapped, and "
            "a wait that is left out waits for nobody; re-arm only after the wait",
            "no-deadlock/lock": "you wait under buf.resv.lock for mappings to go, and who gives one back needs that lock: wait "
            "after it",
            "told-first": "the memory went and nobody was told: a device that closes revokes first",
            "no-stale-dma": "a device used the memory after it was revoked: both waits are needed, fences and mappings",
            "must-reach": "the device never goes: closing has to come to its end",
            "no-crash": "your code raised; the line is in the report",
        },
        ("DeviceGone",),
        30,
        VfioToMend,
        broken=ToFind("no-deadlock", VfioToMend, ("gpu", "fate")),
    ),
    Exercise(
        "fewest-lines",
        "A driver with more than one mistake. Mend it, and change as few lines as you can: every order must hold, and the "
        "number of lines is said beside the smallest that is known.",
        "importer",
        SCENES["exercise-fewest-lines"],
        _NIC.strip() + "\n",
        {
            "programs-only-valid": "the look and the programming belong under one lock, and what a failed look got is given "
            "back before the next round",
            "programs-only-valid/round": "what a failed look got is still held, and p2p_map answers from it: it has to be "
            "given back before you go round, await self.put_back(start, end) under self.lock",
            "obedience": "a beat is on the bus when the callback returns: drain between the clear and the p2p_unmap",
            "no-stale-dma": "a beat landed after its page was given back: drain between the clear and the p2p_unmap",
            "goes-again": "after a failed look the map has to go round, not to give up",
            "no-deadlock/count": "each callback has to begin with self.invalidation_begins(range), under self.lock: each end "
            "counts down by one",
            "no-deadlock": "p2p_map may wait for a move, and the move for your callback: do not hold self.lock meanwhile",
            "balanced-unmap": "every page got from p2p_map is given back exactly once",
            "retry-for-ever": "the loop goes round without anything having changed: wait for validity before you ask again",
            "no-crash": "your code raised; the line is in the report",
        },
        ("P2PMapped", "BeatLanded"),
        30,
        EndWritten,
        smallest=4,
    ),
)
