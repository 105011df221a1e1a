"""The scenes of the exercises: small benches, so that the search ends in a second or two on any laptop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from p2plab.catalog.bench import Bench, Plan, job, scene
from p2plab.catalog.rig import BASE, Rig, any_time
from p2plab.core.actors import step
from p2plab.core.scenario import Role, Scenario
from p2plab.course.given import ExporterToWrite, TwoEngines, VfioToMend
from p2plab.designs.cases import SetKnobs
from p2plab.designs.design import MAP, SET_UP, UNMAP
from p2plab.designs.steps import chosen, knobs_of
from p2plab.designs.vfio_dma_buf import DESIGN as VFIO
from p2plab.designs.vfio_dma_buf import VfioDmaBuf
from p2plab.drivers.disasters import go_away
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.everything import find
from p2plab.mm import LINUX_6_12, MmuNotifierRange, unmap_mapping_range
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.memory import BufferObject
from p2plab.rules import Rule, leads_to


class InParts(Bench):
    """Notifications about parts of a mapping: one page is taken back, another is unmapped.

    Linux 6.12 splits so that the old ``struct vm_area_struct`` is the part that is freed (mm/vma.c,
    ``vms_gather_munmap_vmas``); in the kernel of 2019 it lived on in what stayed. A driver that relies on either is wrong:
    a pointer that it kept for the first page may be dead.
    """

    @job("gpu")
    async def take_page(self) -> None:
        """The GPU takes A's first page back, for a moment."""
        await unmap_mapping_range(self.gpu.open_file("A").f_mapping, 0, 0)

    @job("app")
    async def munmap_last(self) -> None:
        """The process unmaps A's second page."""
        await self.mm.munmap(BASE + PAGE_SIZE, PAGE_SIZE)


class MovesThenWorks(Bench):
    """The NIC maps; then the GPU moves the object; only then the user rings the doorbell."""

    @job("nic")
    async def mapped(self) -> None:
        """The first map is done: now the GPU defragments."""
        self.driver.post("defrag")

    @job("gpu")
    async def defrag(self) -> None:
        """Close the holes, and tell the user that the data is ready."""
        await super().defrag()
        self.stations[0].worker.post("dma")


class UnderPressure(Bench):
    """An aperture that is too small: the GPU wants room for C, and A has to go."""

    @job("gpu", needs=("begin_move", "take_out", "finish_move"))
    async def render(self) -> None:
        """Another process renders: C needs the aperture, and whatever is not reserved goes."""
        shown = [self.memory.objects[name] for name in ("A", "B") if self._is_shown(name)]
        going = [thing for thing in shown if thing.name not in getattr(self.gpu, "reserved", ())]
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
    """The default of the scene: it leaves as in ``drivers/disasters.py``."""

    async def unplug(self) -> None:
        """Go once no importer has anything of it mapped."""
        await go_away(self, "unplug")


class Unplugged(Bench):
    """Somebody removes the card; the driver's ``unplug`` does the rest."""

    @job("gpu", needs=("unplug",))
    async def unplug(self) -> None:
        """The card is removed."""
        await self.gpu.unplug()


def scene_of(name: str, about: str, plan: Plan, bench: type[Bench] = Bench) -> Scenario:
    """A plan as a scene under all promises."""
    about = f"{about[0].upper()}{about[1:]}."
    return scene(name, name.replace("-", " "), plan, bench=bench, about=about, version=2)


def _scene(name: str, about: str, plan: Plan, bench: type[Bench] = Bench) -> Scenario:
    return scene_of(f"exercise-{name}", about, plan, bench)


#: An importer that asked goes on until its device has a valid answer: giving up breaks no promise, but is no driver.
_ASKED = leads_to(
    "a page that was asked for is programmed",
    when=lambda entry: entry.event.kind == "MapAsked",
    then=lambda entry: entry.event.kind == "TranslationSet",
)
_ASKED.name = "goes-again"


#: An exporter's records agree with its importers': what came back is removed.
_STRUCK = leads_to(
    "a page that was given back is out of the exporter's books",
    when=lambda entry: entry.event.kind == "P2PUnmapped",
    then=lambda entry: entry.event.kind == "LendingEnded",
)
_STRUCK.name = "books-agree"


def _with(rule: type[Rule], made: Scenario) -> Scenario:
    return replace(made, own={rule.name: rule}, rules=(*made.rules, rule.name))


def _for(role: str, kind: str, base: type, made: Scenario) -> Scenario:
    """The scene, for classes derived from what the exercise gives."""
    return replace(made, roles={role: replace(made.roles[role], bases={kind: base})})


class BothAtRest(TwoEngines):
    """The default of the scene with two engines."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Nothing new may begin, then both come to rest."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(range.start, range.end)
            for engine in (self.engine, self.second):
                await engine.drain(range.start, range.end)
            await self.p2p_unmap(range.start, range.end)
        return 0


class ClosesAnyTime(VfioDmaBuf):
    """A guest's device: its reset leaves the memory disabled, and its file is closed, whichever comes first."""

    async def set_up(self) -> None:
        """From now on both may happen."""
        await super().set_up()
        assert self.fate is not None
        self.driver.post("disable")
        self.fate.post("close")

    @job("gpu", why_not=any_time)
    async def disable(self) -> None:
        """The guest resets the device, and its memory stays disabled."""
        await self.gpu.reset(self.buf, True)

    @job("fate", why_not=any_time)
    async def close(self) -> None:
        """The guest's process closes the device's file."""
        await self.gpu.dma_buf_cleanup(self.buf)


def _vfio_settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """A design's knobs: an importer that unmaps after its callback, and memory that stays disabled."""
    knobs = {knob.name: knob.default for knob in knobs_of(VFIO)}
    return knobs | {"steps": "by-hand", "trouble": "later", "importer": "unmaps-later"}


def _vfio_plan(settings: Mapping[str, Any]) -> tuple[type[Rig], Plan]:
    _rig, plan = chosen(VFIO, _vfio_settings(settings))
    return ClosesAnyTime, replace(plan, app=(SET_UP, MAP, UNMAP))


def _vfio(name: str, about: str) -> Scenario:
    """VFIO's dma-buf in the role of the exporter."""
    return Scenario(
        f"exercise-{name}",
        name.replace("-", " "),
        SetKnobs(_vfio_plan, settled=_vfio_settings),
        rules=VFIO.rules,
        about=about,
        roles={"exporter": Role({"VFIO exporter": VfioToMend})},
        must=("maps", "programs"),
    )


_ONE = Plan(importer=ObedientNic, pages=1, slots=4)
SCENES: dict[str, Scenario] = {
    made.name: made
    for made in (
        _scene("obey", "the GPU defragments while a NIC has a page of it mapped; no DMA", replace(_ONE, then=())),
        _scene("obey-in-flight", "the same with a transfer under way", _ONE),
        _with(_ASKED, _scene("no-stale-map", "the GPU may take the page back while the NIC is mapping it", _ONE)),
        _scene(
            "no-deadlock",
            "the GPU moves and the process unmaps, whenever they like",
            replace(_ONE, app=("mmap", "munmap"), then=()),
        ),
        _scene(
            "partial-ranges",
            "one page of two is taken back, and the other is unmapped",
            replace(_ONE, pages=2, app=("mmap", "munmap_last"), gpu=("take_page",), then=(), kernel=LINUX_6_12),
            InParts,
        ),
        _scene(
            "remap-after-defrag",
            "first the map, then the move, then the transfer",
            replace(_ONE, gpu=(), then=("mapped",)),
            MovesThenWorks,
        ),
        _scene(
            "predictable-under-pressure",
            "the aperture has room for A or for C, and the NIC maps A again",
            Plan(pages=1, slots=3, at=1, later=3, ram=6, gpu=("render",), then=()),
            UnderPressure,
        ),
        _scene(
            "survive-unplug",
            "the card is removed while a NIC writes to it",
            Plan(pages=1, slots=4, exporter=OrderlyGpu, gpu=("unplug",)),
            Unplugged,
        ),
        _for(
            "importer",
            "importer with two engines",
            TwoEngines,
            _scene(
                "two-engines", "the GPU moves a page to which two engines write", replace(_ONE, importer=BothAtRest)
            ),
        ),
        _for(
            "exporter",
            "exporter to write",
            ExporterToWrite,
            _with(_STRUCK, _scene("write-the-exporter", "a NIC maps and writes, and the exporter closes a hole", _ONE)),
        ),
        _vfio("find-the-bug", "A guest disables its device's memory and closes the device, in any order."),
        _with(_ASKED, _scene("fewest-lines", "the GPU moves a page while a NIC maps it and writes to it", _ONE)),
    )
}


def find_scene(name: str) -> Scenario:
    """A scene of an exercise, or of the catalogue."""
    return SCENES[name] if name in SCENES else find(name)
