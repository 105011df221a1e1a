"""The exercises for an importer: seven skeletons, each with its goal and a recipe for what usually goes wrong."""

from __future__ import annotations

from p2plab.course.exercises.scenes import SCENES
from p2plab.course.exercises.task import Exercise
from p2plab.course.given import CallbackToWrite, EndToWrite, MapToWrite, TwoEngines

_NEVER = "your driver never gets that far in any order: does it map at all, and is the device programmed?"
_HANGS = (
    "somebody waits for ever: which lock does your callback take, and who may hold it while waiting for the callback?"
)
_COUNTS = (
    "each callback has to begin with self.invalidation_begins(range), under self.lock: each end counts down by one"
)
_ENDS = (
    "a coroutine that was made and not awaited, or a loop whose end never comes: what should end it, and who does that?"
)
_GENERAL = {
    "must-reach": _NEVER,
    "no-deadlock": _HANGS,
    "no-deadlock/count": _COUNTS,
    "calls-return": _HANGS,
    "calls-return/count": _COUNTS,
    "comes-to-an-end": _ENDS,
    "lock-order": "two locks are taken in both orders; map takes mmap_lock first and self.lock inside, so keep to that",
    "endless-step": "a loop without an await in it: every round must let others go on",
    "retry-for-ever": "the loop goes round without anything having changed: wait for validity before you ask again",
    "no-crash": "your code raised; the line is in the report. A KernelError from p2p_map may pass through to the user",
    "balanced-unmap": "every page got from p2p_map is given back exactly once, also where a map is tried again",
    "obedience": "compare with the three things that obeying is: clear, drain, p2p_unmap, all before you return",
    "no-stale-dma": "the device used an address after it was taken back: clear the translations before you give pages back",
    "programs-only-valid": "look again under self.lock, right before the device is told: self.valid(sequence)",
    "stays-out-of-mm": "a callback takes no mmap_lock and looks no vma up: the caller may hold it, and the vma may be gone",
    "vma-alive": "a vma pointer is good only inside the callback: give back everything of that vma (self.concerned)",
}


def _task(
    name: str,
    minutes: int,
    given: type,
    goal: str,
    skeleton: str,
    reach: tuple[str, ...] = ("P2PMapped",),
    **hints: str,
) -> Exercise:
    named = {rule.replace("__", "/").replace("_", "-"): hint for rule, hint in hints.items()}
    scene = SCENES[f"exercise-{name}"]
    text = f"class MyNic({given.__name__}):\n{skeleton.strip(chr(10))}\n"
    return Exercise(name, goal, "importer", scene, text, {**_GENERAL, **named}, reach, minutes, given)


TASKS = (
    _task(
        "obey",
        10,
        CallbackToWrite,
        "When the notifier calls, forget the range: translations out of the device, pages back to the exporter.",
        """
    async def invalidate_range_start(self, range):
        return 0  # write here: self.engine.clear(start, end), self.p2p_unmap(start, end)
""",
        obedience="your callback returned and something of the range was still held or translated: engine.clear, then "
        "p2p_unmap, for [range.start, range.end), under self.lock",
        programs_only_valid="begin the callback with self.invalidation_begins(range), under self.lock: that is what "
        "makes self.valid(sequence) false",
    ),
    _task(
        "obey-in-flight",
        10,
        CallbackToWrite,
        "The same while a transfer runs: a beat on the bus cannot be called back, it can only be waited for. Afterwards "
        "nothing of the range is translated, on the bus or held.",
        """
    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            await self.stop(range.start, range.end)
        return 0

    async def stop(self, start, end):
        return  # write here: three awaits, and their order matters
""",
        ("P2PMapped", "BeatLanded"),
        obedience="a beat was in flight when you returned (or pages were left): await self.engine.drain(start, end) after "
        "the clear and before the p2p_unmap",
        no_stale_dma="a beat landed after its page was given back: first clear, so that no new beat begins, then drain, and "
        "only then p2p_unmap",
        no_deadlock="drain waits for beats that are under way; clear first, or new ones keep coming",
    ),
    _task(
        "no-stale-map",
        15,
        MapToWrite,
        "Between p2p_map's answer and programming the device the range may be taken back: find out, and go again, until "
        "the device has an answer that is good.",
        """
    async def map(self, start, end):
        async with self.mm.mmap_lock.read():
            addresses = await self.p2p_map(start, end)
            async with self.lock:
                await self.engine.program(start, addresses)
""",
        ("P2PMapped", "BeatLanded"),
        programs_only_valid="the answer was stale when the device got it: sequence = await self.wait_until_valid() "
        "before p2p_map, and self.valid(sequence) under self.lock after it",
        programs_only_valid__round="what a failed look got is still held, and p2p_map answers from it: it has to be given back "
        "before you go round, await self.put_back(start, end) under self.lock",
        balanced_unmap="when the second look fails, give the pages back before you go round",
        goes_again="the second look failed, and that was all: give the pages back and go round: wait_until_valid, p2p_map, "
        "valid",
    ),
    _task(
        "no-deadlock",
        15,
        MapToWrite,
        "Map without ever waiting in a circle: the move waits for your callback, which takes self.lock, and munmap holds "
        "mmap_lock while it calls.",
        """
    async def map(self, start, end):
        async with self.mm.mmap_lock.read(), self.lock:
            addresses = await self.p2p_map(start, end)  # the exporter may be waiting for our callback
            await self.engine.program(start, addresses)
""",
        no_deadlock="you hold a lock of your callback while you wait for somebody who waits for the callback: ask "
        "p2p_map without self.lock, and take it afterwards to look again",
        calls_return="somebody rests for ever inside a call: p2p_map may wait for a move, and the move for your callback",
    ),
    _task(
        "partial-ranges",
        20,
        CallbackToWrite,
        "Let go of what the range names, whatever part of yours that is; for UNMAP, of all that you hold of that vma, whose "
        "pointer may die with the call. More is legal and slow; less is stale.",
        """
    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            await self.let_go(range.start, range.end - PAGE_SIZE)  # from the first page to the last
        return 0
""",
        obedience="some page of the range was left: let go of [range.start, range.end), whatever part of yours that is",
        balanced_unmap="pages of a vma that was unmapped in part were never given back, or given back twice: for UNMAP let "
        "go of everything you hold of that vma (self.concerned(range) says what)",
        vma_alive="munmap split the vma, and what you kept still has the pointer of before, to the part that was freed: for "
        "UNMAP let go of everything you hold of that vma (self.concerned(range) says what), and map the rest again",
    ),
    _task(
        "remap-after-defrag",
        10,
        EndToWrite,
        "The data is ready after the move: map again, so that the transfer can run. Nothing calls you for that.",
        """
    async def invalidate_range_end(self, range):
        self.invalidations -= 1  # the count is right; what was lost stays lost
""",
        ("P2PMapped", "BeatLanded"),
        must_reach="after the move nobody maps again, so the doorbell rings for nothing: self.invalidation_ends(range) "
        "calls self.map_again() where something was lost",
        no_deadlock__count="the count has to come down by one at each end, or nothing is valid any more: "
        "self.invalidation_ends(range) counts, and posts the map, which must not be waited for inside the callback",
        calls_return="map from the callback and you wait for the move that waits for you: post it with self.map_again()",
        lock_order="the move holds i_mmap_rwsem while it calls you, and munmap takes that under mmap_lock: a callback that "
        "maps takes them the other way round; post the work with self.map_again()",
    ),
    _task(
        "two-engines",
        15,
        TwoEngines,
        "The device has two engines, self.engine and self.second: each has a queue and beats of its own, and both look pages "
        "up in one table. Obey with both.",
        """
    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.drain(range.start, range.end)
            await self.p2p_unmap(range.start, range.end)
            await self.engine.clear(range.start, range.end)
        return 0
""",
        ("P2PMapped", "BeatLanded"),
        obedience="a beat of one engine was on the bus when you returned, or something was left: clear the table, then drain "
        "self.engine and self.second, then p2p_unmap",
        no_stale_dma="one engine still used the page when it was given back: both drain after the clear and before the "
        "p2p_unmap",
    ),
)
