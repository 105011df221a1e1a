"""Answers to own-scene: a reference, one of another shape, and the well-known wrong ones."""

from __future__ import annotations

from p2plab.catalog.bench import Bench, Plan, job, scene
from p2plab.catalog.rig import BASE, elsewhere
from p2plab.core.actors import step
from p2plab.core.scenario import Scenario
from p2plab.course.kit import PAGE_SIZE
from p2plab.mm import LINUX_6_12
from p2plab.pci import read_machine

_MACHINE = "q35_switch1"


class InTwoParts(Bench):
    """One page goes, later the other one."""

    @job("app")
    async def unmap_last(self) -> None:
        """The process unmaps A's second page."""
        await self.mm.munmap(BASE + PAGE_SIZE, PAGE_SIZE)

    @job("app")
    async def unmap_first(self) -> None:
        """The process unmaps A's first page."""
        await self.mm.munmap(BASE, PAGE_SIZE)


class PullsAway(Bench):
    """Moves, and tells nobody."""

    @job("gpu")
    async def pull(self) -> None:
        """The GPU moves A without a word."""
        async with self.gpu.lock:
            await step("moves A", lambda: self.gpu.pull_down(self.memory.objects["A"]))


def _on(importer: str, plan: Plan, bench: type[Bench] = InTwoParts) -> Scenario:
    return elsewhere(scene("mine", "a scene", plan, bench=bench), read_machine(_MACHINE), "03:00.0", (importer,))


def unmaps_in_two_parts() -> Scenario:
    """First the second page, then the rest."""
    plan = Plan(pages=2, app=("mmap", "unmap_last", "unmap_first"), gpu=(), then=(), kernel=LINUX_6_12)
    return _on("04:00.0", plan)


def gpu_follows() -> Scenario:
    """Nobody unmaps a second time: the GPU takes the rest back."""
    plan = Plan(pages=2, app=("mmap", "unmap_first"), gpu=("invalidate",), then=(), kernel=LINUX_6_12)
    return _on("04:00.0", plan)


def unmaps_all() -> Scenario:
    """The whole mapping at once."""
    return _on("04:00.0", Plan(pages=2, app=("mmap", "munmap"), gpu=(), then=(), kernel=LINUX_6_12))


def maps_nothing() -> Scenario:
    """The process maps, and nobody asks for it."""
    plan = Plan(pages=2, app=("mmap", "unmap_last"), maps=False, gpu=(), then=(), kernel=LINUX_6_12)
    return _on("04:00.0", plan)


def out_of_reach() -> Scenario:
    """The importer is below another root port."""
    plan = Plan(pages=2, app=("mmap", "unmap_last"), gpu=(), then=(), kernel=LINUX_6_12)
    mine = scene("mine", "a scene", plan, bench=InTwoParts)
    return elsewhere(mine, read_machine("q35_rootports"), "01:00.0", ("02:00.0",))


def breaks_it_itself() -> Scenario:
    """Whoever plays: the GPU moves without a word."""
    return _on("04:00.0", Plan(pages=1, app=("mmap",), gpu=("pull",), then=(), kernel=LINUX_6_12), PullsAway)


def on_the_course_s() -> Scenario:
    """On the machine that every scene has."""
    plan = Plan(pages=2, app=("mmap", "unmap_last", "unmap_first"), gpu=(), then=(), kernel=LINUX_6_12)
    return scene("mine", "a scene", plan, bench=InTwoParts)
