"""The scenes of the exercises: small benches, so that the search ends in a second or two on any laptop."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from p2plab.catalog.bench import Bench, Plan, roles_of
from p2plab.catalog.defrag import BASE
from p2plab.core.actors import step
from p2plab.core.scenario import Scenario
from p2plab.core.world import World
from p2plab.drivers.disasters import go_away
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.everything import find
from p2plab.mm import LINUX_6_12, unmap_mapping_range
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.memory import BufferObject
from p2plab.rules import PROMISES


class InParts(Bench):
    """Ranges that are not the whole mapping: one page is taken back, one is unmapped.

    Linux 6.12 splits so that the old ``struct vm_area_struct`` is the part that is freed (mm/vma.c,
    ``vms_gather_munmap_vmas``); in the kernel of 2019 it lived on in what stayed. A driver that relies on either is wrong:
    a pointer that it kept for the first page may be dead.
    """

    async def gpu_take_page(self) -> None:
        """The GPU takes A's first page back, for a moment."""
        await unmap_mapping_range(self.gpu.open_file("A").f_mapping, 0, 0)

    async def app_munmap_last(self) -> None:
        """The process unmaps A's second page."""
        await self.mm.munmap(BASE + PAGE_SIZE, PAGE_SIZE)


class MovesThenWorks(Bench):
    """The NIC maps; then the GPU moves the object; only then the user rings the doorbell."""

    async def nic_mapped(self) -> None:
        """The first map is done: now the GPU defragments."""
        self.driver.post("defrag")

    async def gpu_defrag(self) -> None:
        """Close the holes, and tell the user that the data is ready."""
        await super().gpu_defrag()
        self.stations[0].worker.post("dma")


class Pressed(Bench):
    """An aperture that is too small: the GPU wants room for C, and A has to go."""

    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"render": ("begin_move", "take_out", "finish_move")}

    def set_up(self, settings: Mapping[str, Any]) -> None:
        """The policy is the class's own, not the plan's."""
        self.gpu.policy = type(self.gpu).policy

    async def gpu_render(self) -> None:
        """Another process renders: C needs the aperture, and whatever is not reserved goes."""
        shown = [self.memory.objects[name] for name in ("A", "B") if self._is_shown(name)]
        going = [thing for thing in shown if thing.name not in self.gpu.reserved]
        for thing in going:
            await self.gpu.begin_move(thing)
        async with self.gpu.lock:
            await step("makes room for C", lambda: self._swap(going))

    def _is_shown(self, name: str) -> bool:
        return any(slot is not None for slot in self.aperture.slots_of(self.memory.objects[name]))

    def _swap(self, going: list[BufferObject]) -> None:
        """In one step, so that nobody takes the room meanwhile; -ENOSPC if what is reserved leaves too little."""
        for thing in going:
            self.gpu.take_out(thing)
            self.gpu.finish_move(thing)
        self.aperture.place(self.memory.objects["C"])


class OrderlyGpu(Gpu):
    """The default of the scene: it goes as ``drivers/disasters.py`` does."""

    async def unplug(self) -> None:
        """Go once nobody has anything of it."""
        await go_away(self, "unplug")


class Unplugged(Bench):
    """Somebody removes the card; the driver's ``unplug`` does the rest."""

    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"unplug": ("unplug",)}

    async def gpu_unplug(self) -> None:
        """The card is removed."""
        await self.gpu.unplug()


def _build(plan: Plan, bench: type[Bench], world: World, _settings: Mapping[str, Any]) -> None:
    bench(world, plan, {}).show(world)


def scene_of(name: str, about: str, plan: Plan, bench: type[Bench] = Bench) -> Scenario:
    """A plan as a scene under all promises; its drivers can be replaced by role."""
    build, roles = functools.partial(_build, plan, bench), roles_of(bench, plan)
    about = f"{about[0].upper()}{about[1:]}."
    return Scenario(name, name.replace("-", " "), build, rules=PROMISES, about=about, roles=roles)


def _scene(name: str, about: str, plan: Plan, bench: type[Bench] = Bench) -> Scenario:
    return scene_of(f"exercise-{name}", about, plan, bench)


_ONE = Plan(nic=ObedientNic, pages=1, slots=4)
SCENES: dict[str, Scenario] = {
    scene.name: scene
    for scene in (
        _scene("obey", "the GPU defragments while a NIC has a page of it mapped; no DMA", replace(_ONE, then=())),
        _scene("obey-in-flight", "the same with a transfer under way", _ONE),
        _scene("no-stale-map", "the GPU may take the page back while the NIC is mapping it", _ONE),
        _scene(
            "no-deadlock",
            "the GPU moves and the process unmaps, whenever they like",
            replace(_ONE, app=("mmap", "munmap"), then=()),
        ),
        _scene(
            "partial-ranges",
            "one page of two is taken back, and the other is unmapped",
            replace(_ONE, pages=2, app=("mmap", "munmap_last"), gpu_does=("take_page",), then=(), kernel=LINUX_6_12),
            InParts,
        ),
        _scene(
            "remap-after-defrag",
            "first the map, then the move, then the transfer",
            replace(_ONE, gpu_does=(), then=("mapped",)),
            MovesThenWorks,
        ),
        _scene(
            "predictable-under-pressure",
            "the aperture has room for A or for C, and the NIC maps A again",
            Plan(pages=1, slots=3, at=1, later=3, ram=True, gpu_does=("render",), then=()),
            Pressed,
        ),
        _scene(
            "survive-unplug",
            "the card is removed while a NIC writes to it",
            Plan(pages=1, slots=4, gpu=OrderlyGpu, gpu_does=("unplug",)),
            Unplugged,
        ),
    )
}


def find_scene(name: str) -> Scenario:
    """A scene of an exercise, or of the catalogue."""
    return SCENES[name] if name in SCENES else find(name)
