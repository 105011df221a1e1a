"""The rig: a machine with an exporter, processes and importers, made from a plan.

:mod:`p2plab.catalog.bench` gives its actors the usual jobs, and makes a scene of it; :mod:`p2plab.designs` gives them the
step list. All figures (pages, slots, ticks) are illustrative.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

from p2plab.core.actors import JobFunction
from p2plab.core.errors import BadInput
from p2plab.core.places import recorded_machines
from p2plab.core.scenario import Role, Scenario
from p2plab.core.tracked import Tracked
from p2plab.core.worker import Worker
from p2plab.core.world import World
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import PROT_READ, PROT_WRITE, RFC2019, AddressSpace, Kernel
from p2plab.p2p.aperture import PAGE_SIZE, Aperture
from p2plab.p2p.exporter import EXPORTERS
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.importer import IMPORTERS, Importer, kernel_for
from p2plab.p2p.iommu import Iommu
from p2plab.p2p.mapper import Mapper
from p2plab.p2p.memory import DeviceMemory, MainMemory
from p2plab.p2p.things import Lender, Things
from p2plab.pci import Machine, reach_verdict, read_recording
from p2plab.pci.dma import largest_memory_bar

T = TypeVar("T", bound=Callable[..., Any])

#: The recorded machine of the scenes, and the functions in its roles.
MACHINE = "q35_switch2"
GPU, BAR = "0000:03:00.0", 2
NICS = {"same-switch": "0000:04:00.0", "other-switch": "0000:08:00.0"}
#: A second function of the NIC, which the recorded machine does not have: for scenes with two importers.
SECOND_NIC = "0000:04:00.1"
#: The ending of a scene's name when it is played on another machine.
ELSEWHERE = "-elsewhere"
#: Where the first process maps, and where a second one does: apart, so that pictures with both are legible.
BASE = 0x7F55_5540_0000
BASE2 = BASE + 0x100_0000


@functools.cache
def recorded_machine() -> Machine:
    """The machine of the scenes, read once: it never changes."""
    return read_recording(recorded_machines()[MACHINE])


@functools.cache
def with_second_nic() -> Machine:
    """The same with the second NIC."""
    recorded = recorded_machine()
    second = replace(recorded[NICS["same-switch"]], bdf=SECOND_NIC, resources=())
    return replace(recorded, devices=(*recorded.devices, second))


#: The buttons of the usual story, in its order; those of a scene come after them.
STORY = ("mmap", "map", "dma", "invalidate", "defrag", "unmap", "munmap")

# -- jobs ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """What an actor can be asked to do: a button, and a word of a plan's script.

    ``needs``: exporter methods that it calls and that not every exporter has. ``why_not``: why the button makes
    no sense now, or empty; it is called with the owner of the job.
    """

    actor: str
    name: str
    needs: tuple[str, ...]
    label: str
    why_not: Callable[[Any], str]


def no_vma(owner: Any) -> str:
    """For jobs that need the process's mapping."""
    return "" if owner.mm.vmas else "the process has not mapped A"


def any_time(owner: Any) -> str:
    """For jobs that make sense at any time."""
    return ""


def job(
    actor: str,
    name: str = "",
    *,
    needs: tuple[str, ...] = (),
    label: str = "",
    why_not: Callable[[Any], str] = no_vma,
) -> Callable[[T], T]:
    """Declare a method as a job of ``app``, ``gpu``, ``nic`` or ``fate``. The default ``name`` is the method's."""
    if actor not in ("app", "gpu", "nic", "fate"):
        raise ValueError(f"a job of {actor!r}: the actors are app, gpu, nic and fate")

    def declare(method: T) -> T:
        called = name or method.__name__
        method.job = Job(actor, called, needs, label or called, why_not)  # type: ignore[attr-defined]
        return method

    return declare


def jobs_of(kind: type) -> dict[str, Job]:
    """Method -> job, for all jobs that a class and its bases declare; an override need not declare it again."""
    return _jobs_of(kind)


@functools.cache
def _jobs_of(kind: type[Any]) -> dict[str, Job]:
    found = {}
    for base in reversed(kind.__mro__):
        for method, value in vars(base).items():
            if isinstance(declared := getattr(value, "job", None), Job):
                found[method] = declared
    return found


# -- plans --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What a rig is made of, and what its actors do first (jobs by name, in order).

    None means the default of the scenes' machine or of the exporter's class.
    """

    importer: type[Mapper] = ObedientNic
    exporter: type[Any] = Gpu  #: an :class:`Exporter`, except where a design shares memory that belongs to no device
    more: tuple[type[Mapper], ...] = ()  #: further importers
    aperture: type[Aperture] = Aperture
    kernel: Kernel = RFC2019
    machine: Machine | None = None
    exporter_at: str = GPU
    bar: int = BAR  #: the BAR through which the exporter's memory is seen
    importers_at: tuple[str, ...] = (NICS["same-switch"], SECOND_NIC)  #: further ones share the last
    pages: int = 2  #: of object A, which the process maps
    slots: int = 5
    at: int = 2  #: A's first slot (-1: none); slot 0 shows B, and from slot 1 on is a hole
    later: int = 1  #: pages of object C, which needs a place after a defragmentation
    second_object: str = "A"  #: what further importers map
    second_process: bool = False  #: whether further importers have a separate process
    iommu: bool = False
    lazy: bool = False  #: whether the IOMMU flushes its IOTLB some time after an unmap
    ats: str = "off"  #: whether devices cache translations: ``on``, or ``kept`` where they are never dropped
    poisoned: bool = True  #: whether a freed vma is poisoned, as with ``slub_debug=P``, or keeps its last content
    ram: int = 0  #: frames of main memory to fall back to
    wiring: str | None = None
    rules: str | None = None
    policy: str | None = None
    cap: int | None = None
    timed: bool = False  #: whether hmm_range_wait_until_valid gives up after its time
    write: bool = True
    beat: int = 1  #: ticks that one page takes on the bus
    gpu_ready: int = 0  #: when the exporter begins (ticks), if the clock decides
    prot: int = PROT_READ | PROT_WRITE
    maps: bool = True  #: whether the user goes on to map once the process has mapped
    app: tuple[str, ...] = ("mmap",)
    gpu: tuple[str, ...] = ("defrag",)
    fate: tuple[str, ...] = ()
    then: tuple[str, ...] = ("dma",)  #: what an importer's user does after the first map

    def played_by(self, cast: Mapping[str, type]) -> Plan:
        """The plan with these classes; an importer class plays all importers, under a kernel that has its notifier."""
        importer = cast.get("importer", self.importer)
        more = self.more if "importer" not in cast else (importer,) * len(self.more)
        kernel = kernel_for(self.kernel, importer)
        return replace(self, importer=importer, more=more, kernel=kernel, exporter=cast.get("exporter", self.exporter))


# -- the rig ------------------------------------------------------------------------------------------------------------


class Station(Tracked):
    """One importer with a worker for its user's jobs, and the range of the process that it mirrors."""

    again: ClassVar[str] = "map"  #: the job that maps what an invalidation took

    def __init__(self, rig: Rig, number: int) -> None:
        plan = rig.plan
        self.name = "nic" if number == 0 else f"nic{number + 1}"
        self.bdf = plan.importers_at[min(number, len(plan.importers_at) - 1)]
        self.mm = rig.mm if number == 0 else rig.mm2
        self.start = BASE if self.mm is rig.mm else BASE2
        self.end = self.start + plan.pages * PAGE_SIZE
        self.write = plan.write
        self.then = plan.then
        self.listening = False
        self.users = 0  #: maps under way: each holds the process's ``mm_users``, so that its memory cannot go away
        self.exited = False  #: whether the process has gone (``mmget_not_zero`` fails)
        self.worker: Worker
        self.importer: Mapper

    def map_again(self) -> None:
        """The driver queues it; the notifier's caller does not wait for it."""
        self.worker.post(self.again)


class Rig(Tracked):
    """Everything that a scene has. ``importer`` is the first one; ``app``, ``driver`` and each station have a worker."""

    station: ClassVar[type[Station]] = Station
    worker: ClassVar[type[Worker]] = Worker

    def __init__(self, world: World, plan: Plan, settings: Mapping[str, Any]) -> None:
        plan = plan.played_by(world.cast)
        self.plan = plan
        self.machine = self.make_machine()
        self.mm = AddressSpace("app", plan.kernel)
        self.mm2 = AddressSpace("app2", plan.kernel) if plan.second_process else self.mm
        self.mm.poisoned = self.mm2.poisoned = plan.poisoned
        self.memory = DeviceMemory(3 * plan.pages + plan.later + 2)
        bar = next(r for r in self.machine[plan.exporter_at].bars if r.index == plan.bar)
        self.aperture = plan.aperture("gpu", bar.start, plan.slots, self.memory)
        iommu = Iommu(plan.lazy, plan.ats) if plan.iommu else None
        self.fabric = Fabric(self.machine, iommu, MainMemory(plan.ram) if plan.ram else None)
        self.fabric.attach(plan.exporter_at, plan.bar, self.aperture)
        self.fill(settings)
        self.gpu = self.make_exporter()
        self.app = self._worker(world, "app", plan.app)
        self.driver = self._worker(world, "gpu", plan.gpu, plan.gpu_ready)
        self.fate: Worker | None = None
        self.stations = [self._station(world, number, kind) for number, kind in enumerate((plan.importer, *plan.more))]
        self.importer = self.stations[0].importer
        if iommu is not None and plan.lazy:
            world.actor("iommu", iommu.flushes)
        self.prepare(settings)
        if plan.fate or any(job.actor == "fate" for job in jobs_of(type(self)).values()):
            self.fate = self._worker(world, "fate", plan.fate)
        self._show(world)

    # -- what a scene may change ------------------------------------------------------------------------------------

    def make_machine(self) -> Machine:
        """The machine of the scene. It must not change, since scenes are built again and again."""
        return self.plan.machine or (with_second_nic() if self.plan.more else recorded_machine())

    def make_exporter(self) -> Any:
        """The exporter, under the plan's policies."""
        plan = self.plan
        made = plan.exporter("gpu", plan.exporter_at, self.machine, self.memory, self.aperture, self.fabric)
        for name in ("wiring", "rules", "policy", "cap"):
            if (value := getattr(plan, name)) is not None:
                setattr(made, name, value)
        return made

    def fill(self, settings: Mapping[str, Any]) -> None:
        """The objects: B in slot 0, A behind the hole, C without a place yet."""
        for name, owner, pages in (("B", "app2", 1), ("A", "app", self.plan.pages), ("C", "app2", self.plan.later)):
            self.memory.create(name, owner, pages)
        self.aperture.place(self.memory.objects["B"])
        if self.plan.at >= 0:
            self.aperture.place(self.memory.objects["A"], at=self.plan.at)

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """For a scene's additions, once everything is there."""

    def shown(self) -> int:
        """How many pages the views show."""
        return self.plan.pages

    def lender(self) -> Lender:
        """Whose memory the views show."""
        lender: Lender = self.gpu
        return lender

    # -- making it --------------------------------------------------------------------------------------------------

    def _station(self, world: World, number: int, kind: type[Mapper]) -> Station:
        plan, station = self.plan, self.station(self, number)
        station.worker = self._worker(world, station.name, (), owners=(station, self) if number == 0 else (station,))
        timed = {"timed": True} if plan.timed and issubclass(kind, Importer) else {}
        station.importer = kind(world, station.name, station.bdf, station.mm, self.fabric, plan.beat, **timed)
        station.importer.map_again = station.map_again
        return station

    def _worker(
        self, world: World, name: str, inbox: tuple[str, ...], ready: int = 0, owners: tuple[Tracked, ...] = ()
    ) -> Worker:
        actor = "nic" if owners else name
        jobs: dict[str, JobFunction] = {}
        for owner in owners or (self,):
            jobs |= {j.name: getattr(owner, m) for m, j in jobs_of(type(owner)).items() if j.actor == actor}
        return self.worker(world, name, jobs, inbox, ready)

    def _show(self, world: World) -> None:
        """What views find, and a button for each job of the process, the exporter, the first importer and fate."""
        world.things = Things(
            tuple(dict.fromkeys(station.mm for station in self.stations)),
            (self.lender(),),
            tuple(station.importer for station in self.stations),
            BASE,
            self.shown(),
            self.machine,
        )
        nic = self.stations[0]
        buttons = [
            (name, declared, worker, owner)
            for actor, worker, owner in (
                ("app", self.app, self),
                ("gpu", self.driver, self),
                ("nic", nic.worker, nic),
                ("nic", nic.worker, self),
                ("fate", self.fate, self),
            )
            for name, declared in jobs_of(type(owner)).items()
            if declared.actor == actor and all(hasattr(self.gpu, need) for need in declared.needs)
        ]
        order = {name: number for number, name in enumerate(STORY)}
        for name, declared, worker, owner in sorted(buttons, key=lambda button: order.get(button[1].name, len(STORY))):
            self._button(world, declared, worker, owner, getattr(owner, name).__doc__)

    @staticmethod
    def _button(world: World, declared: Job, worker: Worker | None, owner: Tracked, help: str | None) -> None:
        assert worker is not None
        world.action(
            declared.name.replace(" ", "-").lower(),
            f"{worker.name}: {(help or declared.name).splitlines()[0]}",
            lambda: worker.post(declared.name),
            lambda: declared.why_not(owner),
            declared.label,
        )


@dataclass(frozen=True)
class Setup:
    """How a scene is built: ``choose`` turns the knobs into a plan and the kind of rig that carries it out.

    ``at`` replaces fields of every plan: see :func:`elsewhere`.
    """

    choose: Callable[[Mapping[str, Any]], tuple[type[Rig], Plan]]
    at: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, world: World, settings: Mapping[str, Any]) -> None:
        """Build the world."""
        rig, plan = self.choose(settings)
        rig(world, replace(plan, **self.at), settings)

    def made_of(self, settings: Mapping[str, Any], classes: Mapping[str, type]) -> Any:
        """What the scene consists of with these classes: of two scenes with the same parts only one need be searched."""
        rig, plan = self.choose(settings)
        usual = ("driver", "importer", "exporter", "pages", "dma", "iommu")
        return rig, plan.played_by(classes), {name: value for name, value in settings.items() if name not in usual}


def importers_of(scene: Scenario) -> int:
    """How many importers the scene can have with its knobs; 0 where it brings its own machine."""
    if not isinstance(scene.build, Setup):
        return 0
    most = {knob.name: knob.default if knob.choices else knob.high for knob in scene.knobs}
    return 1 + len(scene.build.choose(most)[1].more)


def elsewhere(
    scene: Scenario, machine: Machine, exporter: str, importers: tuple[str, ...], bar: int | None = None
) -> Scenario:
    """The scene on another machine: its roles by BDF, and the BAR of the exporter's memory (default: the largest).

    Its name says so, and a token of it replays only where the machine is given again. :exc:`BadInput` where the scene
    brings its own machine, or a function or the BAR is not there; :exc:`NotKnown` where the machine does not show whether an
    importer reaches the exporter. A BAR that is too small for the scene's slots is found when it is built (-EINVAL).
    """
    if not isinstance(scene.build, Setup):
        raise BadInput(f"{scene.name} brings its own machine")
    if not importers:
        raise BadInput("an importer is needed")
    if len(importers) > (most := importers_of(scene)):
        raise BadInput(f"{scene.name} has {most} importer{'s' * (most > 1)}, not {len(importers)}")
    exporter, importers = machine[exporter].bdf, tuple(machine[bdf].bdf for bdf in importers)
    if exporter in importers:
        raise BadInput(f"{exporter} cannot be both the exporter and an importer")
    largest = largest_memory_bar(machine[exporter])
    shown = machine[exporter].resource(bar) if bar is not None else largest
    if shown is None or not (shown.bar and shown.mem and shown.sized) or shown.unset:
        which = "memory BAR" if bar is None else f"memory BAR {bar}"
        raise BadInput(f"{exporter} has no {which} with an address and a size")
    for importer in importers:
        _ = reach_verdict(machine, exporter, importer).reachable  # NotKnown
    at = {"machine": machine, "exporter_at": exporter, "importers_at": importers, "bar": shown.index}
    return replace(scene, name=f"{scene.name}{ELSEWHERE}", build=replace(scene.build, at=at))


def roles_of(rig: type[Rig], *plans: Plan, importer: str = "", exporter: str = "") -> dict[str, Role]:
    """The roles of a scene; ``importer`` and ``exporter`` are the knobs that choose their classes otherwise."""
    script = {word for plan in plans for word in (*plan.app, *plan.gpu, *plan.fate, *plan.then)}
    needs = [need for job in jobs_of(rig).values() if job.name in script for need in job.needs]
    return {
        "importer": Role(IMPORTERS, knob=importer),
        "exporter": Role(EXPORTERS, tuple(dict.fromkeys(needs)), exporter),
    }
