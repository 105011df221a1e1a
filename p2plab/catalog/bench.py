"""The bench that the scenes share: one GPU, one process or two, one importer or two, on a machine that a kernel described.

A scene says in a :class:`Plan` what stands on the bench and what each actor has to do; a subclass of :class:`Bench` adds
jobs as methods named ``app_…``, ``gpu_…`` and ``nic_…``. All figures (pages, slots, ticks) are illustrative.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from p2plab.catalog.defrag import BAR, BASE, GPU, NICS, recorded_machine
from p2plab.core.actors import JobFunction
from p2plab.core.errors import KernelError
from p2plab.core.kernels import TODAY
from p2plab.core.scenario import Role
from p2plab.core.tracked import Tracked
from p2plab.core.worker import Worker
from p2plab.core.world import World
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import MAP_SHARED, PROT_READ, PROT_WRITE, RFC2019, AddressSpace, Kernel
from p2plab.p2p.aperture import PAGE_SIZE, Aperture
from p2plab.p2p.contract import device_parts
from p2plab.p2p.engine import Transfer
from p2plab.p2p.exporter import EXPORTERS
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.importer import IMPORTERS, Importer, kernel_for
from p2plab.p2p.iommu import Iommu
from p2plab.p2p.mapper import Mapper
from p2plab.p2p.memory import DeviceMemory, MainMemory
from p2plab.p2p.things import Things
from p2plab.pci import Machine

#: Where a second process maps: elsewhere, so that pictures with both can be read.
BASE2 = BASE + 0x100_0000
#: A second function of the NIC, which the recorded machine does not have: for scenes with two importers.
SECOND_NIC = "0000:04:00.1"


@functools.cache
def machine() -> Machine:
    """The recorded machine, with the second NIC added. It never changes."""
    recorded = recorded_machine()
    second = replace(recorded[NICS["same-switch"]], bdf=SECOND_NIC, resources=())
    return replace(recorded, devices=(*recorded.devices, second))


@dataclass(frozen=True)
class Plan:
    """What stands on the bench, and what is to be done first (jobs by name, in order)."""

    nic: type[Mapper] = ObedientNic
    gpu: type[Gpu] = Gpu
    nic2: type[Mapper] | None = None  #: a second importer
    aperture: type[Aperture] = Aperture
    kernel: Kernel = RFC2019
    pages: int = 2  #: of object A, which the process maps
    slots: int = 5
    at: int = 2  #: A's first slot; slot 0 shows B, and slot 1 is a hole
    later: int = 1  #: pages of object C, which wants a place after a defragmentation
    second_object: str = "A"  #: what the second importer maps
    second_process: bool = False
    wiring: str = "as-intended"
    rules: str = TODAY
    iommu: bool = False
    ram: bool = False
    policy: str = "refuse"
    cap: int = 0
    timed: bool = False
    write: bool = True
    nic_at: str = "same-switch"
    nic2_at: str = SECOND_NIC
    app: tuple[str, ...] = ("mmap",)
    gpu_does: tuple[str, ...] = ("defrag",)
    then: tuple[str, ...] = ("dma",)  #: what the NIC's user does after the first map
    prot: int = PROT_READ | PROT_WRITE

    def played_by(self, cast: Mapping[str, type]) -> Plan:
        """The plan with classes in its roles. An interval notifier brings the kernel that has it."""
        nic = cast.get("importer")
        plan = self if nic is None else replace(self, nic=nic, nic2=nic if self.nic2 is not None else None)
        plan = replace(plan, kernel=kernel_for(plan.kernel, plan.nic))
        return replace(plan, gpu=cast["exporter"]) if "exporter" in cast else plan


def roles_of(bench: type[Bench], *plans: Plan, importer: str = "", exporter: str = "") -> dict[str, Role]:
    """The parts of a scene on a bench; ``importer`` and ``exporter`` are the knobs that choose who plays them otherwise."""
    needs = [need for plan in plans for job in plan.gpu_does for need in bench.needs.get(job, ())]
    return {
        "importer": Role(IMPORTERS, knob=importer),
        "exporter": Role(EXPORTERS, tuple(dict.fromkeys(needs)), exporter),
    }


class Station(Tracked):
    """One importer with the worker that does its user's jobs, and the range of a process that it mirrors."""

    def __init__(self, world: World, bench: Bench, name: str, kind: type[Mapper], bdf: str, mm: AddressSpace) -> None:
        plan = bench.plan
        self.mm = mm
        self.start = BASE if mm is bench.mm else BASE2
        self.end = self.start + plan.pages * PAGE_SIZE
        self.write = plan.write
        self.then = plan.then
        jobs: dict[str, JobFunction] = {"map": self.map, "dma": self.dma, "unmap": self.unmap}
        if name == "nic":
            jobs |= bench.jobs("nic_")
        self.worker = Worker(world, name, jobs)
        timed = {"timed": True} if plan.timed and issubclass(kind, Importer) else {}
        self.importer: Mapper = kind(world, name, bdf, mm, bench.fabric, **timed)
        self.importer.map_again = self.map_again

    async def map(self) -> None:
        """The importer maps what the process has of the range, one part a vma; then the user goes on."""
        parts = device_parts(self.mm, self.start, self.end)
        if not parts:
            raise KernelError("EFAULT", "nothing is mapped there that could be lent")
        for start, end in parts:
            await self.importer.map(start, end)
        for job in self.then:
            self.worker.post(job)
        self.then = ()

    def map_again(self) -> None:
        """The driver puts it on its own list; the notifier's caller does not wait for it."""
        self.worker.post("map")

    async def dma(self) -> None:
        """The user rings the doorbell: one transfer over the whole range."""
        self.importer.engine.start(Transfer(self.start, self.end, self.write))

    async def unmap(self) -> None:
        """The user gives the memory region back."""
        await self.importer.unmap(self.start, self.end)


class Bench(Tracked):
    """Everything of a scene, and what its actors can do."""

    #: Job -> the methods that it calls on the exporter and that not every exporter has.
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {"defrag": ("defrag", "place")}

    def __init__(self, world: World, plan: Plan, settings: Mapping[str, Any]) -> None:
        plan = plan.played_by(world.cast)
        self.plan = plan
        self.machine = self.make_machine()
        self.mm = AddressSpace("app", plan.kernel)
        self.mm2 = AddressSpace("app2", plan.kernel) if plan.second_process else self.mm
        self.memory = DeviceMemory(3 * plan.pages + plan.later + 2)
        bar = next(r for r in self.machine[GPU].bars if r.index == BAR)
        self.aperture = plan.aperture("gpu", bar.start, plan.slots, self.memory)
        self.fabric = Fabric(self.machine, Iommu() if plan.iommu else None, MainMemory(6) if plan.ram else None)
        self.fabric.attach(GPU, BAR, self.aperture)
        self.gpu = plan.gpu("gpu", GPU, self.machine, self.memory, self.aperture, self.fabric)
        self.gpu.wiring, self.gpu.policy, self.gpu.cap, self.gpu.rules = plan.wiring, plan.policy, plan.cap, plan.rules
        self.fill(settings)
        self.app = Worker(world, "app", self.jobs("app_"), plan.app)
        self.driver = Worker(world, "gpu", self.jobs("gpu_"), plan.gpu_does)
        self.stations = [Station(world, self, "nic", plan.nic, NICS[plan.nic_at], self.mm)]
        if plan.nic2 is not None:
            self.stations.append(Station(world, self, "nic2", plan.nic2, plan.nic2_at, self.mm2))
        self.set_up(settings)

    def make_machine(self) -> Machine:
        """The machine of the scene; one that never changes, since scenes are built again and again."""
        return machine()

    def fill(self, settings: Mapping[str, Any]) -> None:
        """The objects: B in slot 0, A behind the hole, C without a place yet."""
        for name, owner, pages in (("B", "app2", 1), ("A", "app", self.plan.pages), ("C", "app2", self.plan.later)):
            self.memory.create(name, owner, pages)
        self.aperture.place(self.memory.objects["B"])
        if self.plan.at >= 0:
            self.aperture.place(self.memory.objects["A"], at=self.plan.at)

    def set_up(self, settings: Mapping[str, Any]) -> None:
        """For a scene's own additions, once everything stands."""

    def jobs(self, prefix: str) -> dict[str, JobFunction]:
        """The methods that are jobs of one actor, by name."""
        return {name[len(prefix) :]: getattr(self, name) for name in dir(type(self)) if name.startswith(prefix)}

    # -- the processes ----------------------------------------------------------------------------------------------

    async def app_mmap(self) -> None:
        """Each process maps its object; the importers' drivers listen; then their users ask for a mapping."""
        for station in self.stations:
            if station.mm.find_vma_intersection(station.start, station.end) is None:
                thing = "A" if station is self.stations[0] else self.plan.second_object
                length = self.plan.pages * PAGE_SIZE
                file = self.gpu.open_file(thing)
                await station.mm.mmap(station.start, length, self.plan.prot, MAP_SHARED, file)
            await station.importer.listen(station.start, station.end)
            station.worker.post("map")

    async def app_munmap(self) -> None:
        """The process unmaps all of A."""
        await self.mm.munmap(BASE, self.plan.pages * PAGE_SIZE)

    # -- the exporter's own work ------------------------------------------------------------------------------------

    async def gpu_defrag(self) -> None:
        """The GPU closes the holes of its aperture, and puts C into the room that this made."""
        await self.gpu.defrag()
        later = self.memory.objects["C"]
        if None in self.aperture.slots_of(later):
            await self.gpu.place(later)

    async def gpu_invalidate(self) -> None:
        """The GPU takes A back without moving it."""
        await self.gpu.invalidate(self.memory.objects["A"])

    # -- what the views look for ------------------------------------------------------------------------------------

    def shown(self) -> int:
        """How many pages the views show."""
        return self.plan.pages

    def show(self, world: World) -> None:
        """The things and the buttons."""
        world.things = Things(
            spaces=tuple(dict.fromkeys(station.mm for station in self.stations)),
            exporters=(self.gpu,),
            importers=tuple(station.importer for station in self.stations),
            base=BASE,
            width=self.shown(),
            machine=self.machine,
        )
        nic = self.stations[0]
        for name, worker in (("mmap", self.app), ("map", nic.worker), ("dma", nic.worker)):
            self._button(world, name, worker)
        for name, worker in (("invalidate", self.driver), ("defrag", self.driver)):
            self._button(world, name, worker)
        for name, worker in (("unmap", nic.worker), ("munmap", self.app)):
            self._button(world, name, worker)
        for worker in (self.app, self.driver, nic.worker):
            for name in worker.jobs:
                if name not in world.actions:
                    self._button(world, name, worker)

    def _button(self, world: World, name: str, worker: Worker) -> None:
        def mapped() -> str:
            return "" if self.mm.vmas else "the process has not mapped A"

        lacks = [name for name in self.needs.get(name, ()) if not hasattr(self.gpu, name)]
        if worker is self.driver and lacks:
            return
        why_not: dict[str, Callable[[], str]] = {
            "mmap": lambda: "A is mapped already" if self.mm.vmas else "",
            "defrag": lambda: "",
        }
        world.action(
            name,
            f"{worker.name}: {(worker.jobs[name].__doc__ or name).splitlines()[0]}",
            lambda: worker.post(name),
            why_not.get(name, mapped),
        )
