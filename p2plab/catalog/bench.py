"""The bench of the scenes: a rig whose process maps, whose exporter moves, and whose importers map and transfer.

Your own scene is a :class:`Plan` and, where an actor does more than usual, a subclass of :class:`Bench` with jobs::

    class Twice(Bench):
        @job("gpu")
        async def twice(self) -> None:
            "Take A back twice in a row."
            await self.invalidate()
            await self.invalidate()

    SCENE = scene("taken-back-twice", "the GPU takes A back twice", Plan(gpu=("twice",)), bench=Twice)

The plan says which machine and classes to use, and what each actor begins with; each job is also a button.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from p2plab.catalog.rig import BASE, Plan, Rig, Setup, Station, any_time, job, roles_of
from p2plab.core.errors import KernelError
from p2plab.core.scenario import Knob, Scenario, Value, Words
from p2plab.core.world import World
from p2plab.mm import MAP_SHARED
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import device_parts
from p2plab.p2p.engine import Transfer
from p2plab.p2p.mapper import Mapper
from p2plab.rules import PROMISES


def mapped_already(owner: Any) -> str:
    """For the button that maps."""
    return "A is mapped already" if owner.mm.vmas else ""


def nothing_mapped(station: BenchStation) -> str:
    """For what needs the importer's mapping."""
    return "" if station.importer.engine.table else "the NIC has mapped nothing"


class BenchStation(Station):
    """The requests of an importer's user."""

    @job("nic")
    async def map(self) -> None:
        """The importer maps the process's part of the range, one part per vma; then the user goes on."""
        parts = device_parts(self.mm, self.start, self.end)
        if not parts or self.exited:
            raise KernelError("EFAULT", "nothing is mapped there that could be lent")
        self.users += 1
        try:
            for start, end in parts:
                await self.importer.map(start, end)
        finally:
            self.users -= 1
        for name in self.then:
            self.worker.post(name)
        self.then = ()

    @job("nic", label="start DMA", why_not=nothing_mapped)
    async def dma(self) -> None:
        """The user rings the doorbell: one transfer over the whole range."""
        await self.importer.submit(Transfer(self.start, self.end, self.write))

    @job("nic", why_not=nothing_mapped)
    async def unmap(self) -> None:
        """The user gives the memory region back."""
        await self.importer.unmap(self.start, self.end)


class Bench(Rig):
    """The usual jobs of the process and of the exporter."""

    station = BenchStation

    def _station(self, world: World, number: int, kind: type[Mapper]) -> Station:
        made = super()._station(world, number, kind)
        made.worker.check(self.plan.then)  # set by its map
        return made

    @job("app", why_not=mapped_already)
    async def mmap(self) -> None:
        """Each process maps its object; the importers' drivers listen; then their users ask for a mapping."""
        if all(station.mm.find_vma_intersection(station.start, station.end) for station in self.stations):
            raise KernelError("EEXIST", "A is mapped already")
        length = self.plan.pages * PAGE_SIZE
        for station in self.stations:
            if station.mm.find_vma_intersection(station.start, station.end) is None:
                thing = "A" if station is self.stations[0] else self.plan.second_object
                file = self.gpu.open_file(thing)
                await station.mm.mmap(station.start, length, self.plan.prot, MAP_SHARED, file)
            if not station.listening:
                station.listening = True
                await station.importer.listen(station.start, station.end)
            if self.plan.maps:
                station.worker.post("map")

    @job("app")
    async def munmap(self) -> None:
        """The process unmaps all of A."""
        await self.mm.munmap(BASE, self.plan.pages * PAGE_SIZE)

    @job("gpu", needs=("defrag", "place"), why_not=any_time)
    async def defrag(self) -> None:
        """The GPU closes the holes of its aperture, and puts C into the space gained."""
        await self.gpu.defrag()
        later = self.memory.objects["C"]
        if None in self.aperture.slots_of(later):
            await self.gpu.place(later)

    @job("gpu")
    async def invalidate(self) -> None:
        """The GPU takes A back without moving it."""
        await self.gpu.invalidate(self.memory.objects["A"])


#: How the knobs change a plan.
Turn = Callable[[Plan, Mapping[str, Any]], Plan]


def as_it_is(plan: Plan, settings: Mapping[str, Any]) -> Plan:
    """No knob changes anything."""
    return plan


def _chosen(bench: type[Bench], plan: Plan, turn: Turn, settings: Mapping[str, Any]) -> tuple[type[Rig], Plan]:
    return bench, turn(plan, settings)


def scene(
    name: str,
    title: str,
    plan: Plan,
    *,
    bench: type[Bench] = Bench,
    knobs: tuple[Knob, ...] = (),
    turn: Turn = as_it_is,
    importer: str = "",
    exporter: str = "",
    when_cast: Mapping[str, Value] | None = None,
    story: str = "...",
    rules: tuple[str, ...] = PROMISES,
    breaks: str = "",
    about: str = "",
    words: Mapping[str, Mapping[str, Words]] | None = None,
    version: int = 1,
) -> Scenario:
    """A scene: ``turn`` changes the plan by the knobs, whose names ``importer`` and ``exporter`` choose a role's class.

    The rest is as in :class:`~p2plab.core.scenario.Scenario`.
    """
    return Scenario(
        name,
        title,
        Setup(functools.partial(_chosen, bench, plan, turn)),
        version=version,
        knobs=knobs,
        story=story,
        rules=rules,
        breaks=breaks,
        about=" ".join(about.split()),
        roles=roles_of(bench, plan, importer=importer, exporter=exporter),
        when_cast=when_cast or {},
        words=words or {},
        must=("maps", "programs", "moves-data") if "dma" in plan.then else ("maps", "programs"),
    )


__all__ = ["Bench", "BenchStation", "Plan", "job", "scene"]
