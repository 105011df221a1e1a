"""The exercises for an exporter: lend, keep a promise when there is no room, and leave in good order."""

from __future__ import annotations

from p2plab.course.exercises.scenes import SCENES
from p2plab.course.exercises.task import Exercise
from p2plab.course.given import ExporterToWrite

_WRITE = """
class MyGpu(ExporterToWrite):
    async def p2p_map(self, vma, peer, start, end, pa, write):
        return -errno.ENODEV  # may it have it, where is it now, note it and answer

    async def p2p_unmap(self, vma, peer, start, end, pa):
        return 0

    async def begin_move(self, thing):
        return  # afterwards nobody has the old place, and nobody gets it
"""
_PRESSURE = """
class MyGpu(Gpu):
    async def p2p_map(self, vma, peer, start, end, pa, write):
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
                    return -error.errno  # -ENOSPC, to somebody who had it before: write something better
                self.lend(vma, peer, start, places, pa, write)
                return 0
"""
_UNPLUG = """
class MyGpu(Gpu):
    async def unplug(self):
        async with self.lock:
            await step("power off", lambda: power_off(self, "unplug"))  # and the importers that have it mapped?
"""
_GENERAL = {
    "must-reach": "in no order is anything lent: refusing everybody keeps every promise and helps nobody",
    "no-crash": "your code raised; the line is in the report",
    "lock-order": "invalidate calls the importers, whose p2p_unmap needs self.lock: let go of it before",
    "retry-for-ever": "a loop that looks again and again ends only if somebody can act meanwhile: wait with wait_event, and "
    "hold no lock that they need",
    "comes-to-an-end": "a loop whose end never comes: what should end it, and who does that?",
    "endless-step": "a loop without an await in it: every round must let others go on",
    "no-deadlock": "somebody waits for ever: who would have to act, and what are you holding while you wait?",
    "calls-return": "a call never comes back: p2p_map may refuse, or lend main memory, but not wait for room for ever",
    "returns-zero": "p2p_map returns 0 or a negative errno, not a number of pages",
    "refusal-keeps-nothing": "a p2p_map that fails must have lent nothing",
}

TASKS = (
    Exercise(
        "write-the-exporter",
        "Lend pages, take them back, and let nobody have the old place of an object once it begins to move. The slots, the "
        "books and the moving itself are there.",
        "exporter",
        SCENES["exercise-write-the-exporter"],
        _WRITE.strip() + "\n",
        {
            **_GENERAL,
            "must-reach": "p2p_map refuses everybody: reaches(peer), check(vma, write), place_of(thing, first, count), then "
            "self.lend(vma, peer, start, places, pa, write), and return 0",
            "no-map-while-moving": "thing.moving is looked at before the lock, or not at all: wait until it is false, take "
            "self.lock, look again, and go round where it moves",
            "told-before-moved": "somebody still had it when it moved: self.mark_moving(thing) under self.lock, and only then "
            "await self.invalidate(thing), so that nobody maps it in between",
            "no-deadlock": "invalidate calls the importers, whose p2p_unmap needs self.lock: let go of it before",
            "books-agree": "what comes back stays lent in the books: return await self.take_back(peer, start, end)",
            "predictability": "it had the page before and is refused now: wait until the move is over instead",
            "right-when-given": "the address shows something else by now: ask place_of under the lock in which you lend",
        },
        ("P2PMapped", "BeatLanded"),
        40,
        ExporterToWrite,
    ),
    Exercise(
        "predictable-under-pressure",
        "A range that was lent once can be lent again, although another object took its slots meanwhile.",
        "exporter",
        SCENES["exercise-predictable-under-pressure"],
        _PRESSURE.strip() + "\n",
        {
            **_GENERAL,
            "predictability": "the NIC mapped it before and was refused now. Lend main memory instead "
            "(self.move_to_ram(thing), then place_of again), or keep what was lent once (self.reserved)",
            "right-when-given": "the address that you gave shows something else by now: ask place_of for the place of now",
            "told-before-moved": "bytes moved while somebody had them: begin_move first, which tells everybody",
            "no-map-while-moving": "you answered with the old place of an object that is being moved: wait until it settled",
            "no-stale-dma": "somebody used a place that had changed: tell before you move",
        },
        ("P2PMapped",),
        30,
    ),
    Exercise(
        "survive-unplug",
        "Go in an orderly way: refuse new maps, take everything back, wait until nothing is lent, power off.",
        "exporter",
        SCENES["exercise-survive-unplug"],
        _UNPLUG.strip() + "\n",
        {
            **_GENERAL,
            "must-reach/DeviceGone": "the device never goes: `unplug` has to end with power_off, under self.lock",
            "gone-means-nobody": "somebody still had a mapping when the device went: refuse_maps first, then "
            "`await self.invalidate(thing)` for every thing of self.memory.objects.values(), wait until not self.lent, and "
            "only then power_off",
            "no-stale-dma": "a device used an address after it was taken back, or after the card was gone",
            "address-works": "a good address led to nothing: the card was gone before its mappings were taken back",
            "no-deadlock": "you wait for mappings to come back that nobody was asked for, or with gpu.lock held, which "
            "p2p_unmap needs: invalidate first, and hold no lock meanwhile",
            "calls-return": "you wait for mappings to come back that nobody was asked for, or that are lent anew: "
            "refuse_maps, then invalidate, then wait",
        },
        ("P2PMapped", "DeviceGone"),
        20,
    ),
)
