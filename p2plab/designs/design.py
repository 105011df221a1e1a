"""A design: what each line of the step list does under it, and the source of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from p2plab.catalog.rig import Rig, Station, any_time, job
from p2plab.core.errors import BadInput, KernelError
from p2plab.core.events import emit
from p2plab.core.scenario import Knob, Role
from p2plab.core.worker import Worker
from p2plab.designs.lines import StepBegun, StepEnded
from p2plab.designs.memory import ALL, PAGES
from p2plab.mm import KERNELS, TODAY, Kernel

#: The kernels whose source was read for the designs, oldest first: those of the project, and 6.19, which brought VFIO's
#: dma-buf; its memory management here is today's.
ORDER = ("rfc2019", "6.1", "6.12", "6.19", "7.3")
MM: Mapping[str, Kernel] = {**KERNELS, "6.19": TODAY}
#: What is watched under every design.
COMMON = ("no-stale-dma", "told-first", "no-overlap", "no-deadlock", "lock-order", "no-crash")
SET_UP, MAP, DMA, WANTS_BACK, WANTS_PART = "set up", "map", "DMA", "wants its memory back", "wants one page back"
STARTS, UNMAP, UNPLUG, EXIT, AGAIN = "starts DMA", "unmap", "unplug", "process exits", "map again"

#: What ``app`` and the exporter's thread do in each choice of the knob ``steps``.
LISTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "move": ((SET_UP, MAP, DMA, UNMAP), (WANTS_BACK,)),
    "part": ((SET_UP, MAP, DMA, UNMAP), (WANTS_PART,)),
    "unplug": ((SET_UP, MAP, DMA, UNMAP), (UNPLUG,)),
    "exit": ((SET_UP, MAP, STARTS, EXIT), ()),
    "all": ((SET_UP, MAP, DMA, UNMAP), (WANTS_BACK, UNPLUG)),
    "by-hand": ((SET_UP,), ()),
}


#: Classes of importers. Each design says which it serves, from where, at what price, and which it refuses.
ODP, STOPS, NVME, GUEST, GPU, KERNEL = CLASSES = (
    "NIC that faults",
    "NIC that can be stopped",
    "NVMe",
    "VFIO guest",
    "other GPU",
    "kernel user, no vma",
)


class Player(Worker):
    """Does one actor's lines of the list, and records how each ended."""

    def post(self, job: str) -> None:
        """Put a line on the list, within the running step; once is enough."""
        if job not in self.inbox:
            super().post(job)

    def begins(self, job: str) -> None:
        """A line of the list."""
        emit(StepBegun(job))

    def ends(self, job: str, error: KernelError | None) -> None:
        """A user whose map failed gives up, and only cleans up."""
        if error is None:
            emit(StepEnded(job, "", ""))
            return
        if self.name == "app":
            self.inbox = [UNMAP] if job in (MAP, DMA) and UNMAP in self.inbox else []
        emit(StepEnded(job, error.name, error.sentence))


class Alone(Station):
    """The importer's thread."""

    again = AGAIN


class DesignRig(Rig):
    """One design on a rig: a subclass does each line of the list; lines that it does not override do nothing.

    ``importers`` and ``exporters`` are the choices of the knobs of these names; ``roles``: what your own class can be; it
    replaces the knob's class.
    """

    worker = Player
    station = Alone
    importers: ClassVar[dict[str, type[Any]]] = {}
    exporters: ClassVar[dict[str, type[Any]]] = {}
    roles: ClassVar[Mapping[str, Role]] = {}
    knobs: ClassVar[tuple[Knob, ...]] = ()  #: knobs of this design alone
    importer: Any
    kernel = TODAY.name  #: the kernel whose rules apply: the knob of that name, or the design's only kernel
    later = False  #: whether the exporter has nothing to lend any more, once it has its memory back

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """The exporter's lines, and what goes wrong."""
        self.owner_lines = LISTS[str(settings["steps"])][1]
        self.kernel = str(settings["kernel"])
        self.trouble = str(settings["trouble"])
        self.later = self.trouble == "later"

    def since(self, kernel: str) -> bool:
        """Whether the play is of that kernel or a later one."""
        return ORDER.index(self.kernel) >= ORDER.index(kernel)

    # -- the list ---------------------------------------------------------------------------------------------------

    @job("app", SET_UP, why_not=any_time)
    async def begin(self) -> None:
        """The design's set-up; from here on the exporter may do anything at any time."""
        await self.set_up()
        for line in self.owner_lines:
            self.driver.post(line)

    @job("app", MAP, why_not=any_time)
    async def map(self) -> None:
        """The importer gets DMA addresses and programs its device."""
        raise NotImplementedError

    @job("app", DMA, why_not=any_time)
    async def dma(self) -> None:
        """The user's transfer over all of the memory. -EIO where the driver has given up on the mapping."""
        if self.importer.dead:
            raise KernelError("EIO", "the mapping is lost: the transfer completes with an error")
        await self.importer.dma(ALL)
        if self.importer.dead:
            raise KernelError("EIO", "the mapping was lost: the transfer completed with an error")

    @job("app", STARTS, why_not=any_time)
    async def submit(self) -> None:
        """The user rings the doorbell, and does not wait."""
        await self.importer.submit(ALL)

    @job("app", UNMAP, why_not=any_time)
    async def unmap(self) -> None:
        """The importer's user is done with the memory."""
        raise NotImplementedError

    @job("app", EXIT, why_not=any_time)
    async def exit(self) -> None:
        """The process exits without unmapping anything."""
        raise NotImplementedError

    @job("gpu", WANTS_BACK, why_not=any_time)
    async def wants_all(self) -> None:
        """The exporter wants all of its memory back."""
        await self.take_back(0, PAGES - 1)

    @job("gpu", WANTS_PART, why_not=any_time)
    async def wants_part(self) -> None:
        """The exporter wants the last page back."""
        await self.take_back(PAGES - 1, PAGES - 1)

    @job("gpu", UNPLUG, why_not=any_time)
    async def unplug(self) -> None:
        """The exporter's device is removed."""
        raise KernelError("EOPNOTSUPP", "this memory belongs to no device that could be removed")

    @job("nic", AGAIN, why_not=any_time)
    async def again(self) -> None:
        """The importer maps again; if refused, its device completes what is queued with an error."""
        try:
            await self.map()
        except KernelError:
            self.importer.dead = True
            self.importer.engine.abort()
            raise

    # -- what the lines consist of ----------------------------------------------------------------------------------

    async def set_up(self) -> None:
        """The exporter offers its memory, the importer gets a handle."""
        raise NotImplementedError

    async def take_back(self, first: int, last: int) -> None:
        """The exporter wants pages ``first`` to ``last`` of its memory back."""
        raise NotImplementedError


@dataclass(frozen=True)
class Answer:
    """What the sources say to one question, and where; ``corrected``: why a run's answer differs, or says more.

    ``then``: the answers of older kernels, where they differ.
    """

    said: str
    source: str
    corrected: str = ""
    then: Mapping[str, Answer] = field(default_factory=dict)

    def in_kernel(self, kernel: str) -> Answer:
        """The answer of that kernel."""
        return self.then.get(kernel, self)


@dataclass(frozen=True)
class Fate:
    """What becomes of one class of importer: the ``run`` that shows it, how the class imports, and the source.

    ``run`` may be another design's (``p2pdma-pages/no-pages``); empty: no such importer exists, and the source says why.
    ``then``: the fates in older kernels, where they differ.
    """

    run: str
    note: str
    source: str
    then: Mapping[str, Fate] = field(default_factory=dict)

    def in_kernel(self, kernel: str) -> Fate:
        """The fate in that kernel."""
        return self.then.get(kernel, self)


@dataclass(frozen=True)
class Design:
    """A whole design: every table is derived from these.

    ``since``: the version that brought it; ``kernels``: those whose source was read, oldest first, of :data:`ORDER`.
    ``posted``: its series, on top of its only kernel, where it is not merged. ``source``: where its rules are
    written; ``simplified``: what the model leaves out. ``faulty``: the knobs' values of the broken importers and exporters,
    each with the rule that must catch it. ``runs``: its additional runs, by name. ``answers``: one for
    each question of :mod:`p2plab.designs.matrix`; ``fates``: one for each class of importer.
    """

    name: str
    title: str
    since: str
    kernels: tuple[str, ...]
    play: type[DesignRig]
    source: str
    simplified: str
    rules: tuple[str, ...]
    answers: Mapping[str, Answer]
    fates: Mapping[str, Fate]
    good: tuple[str, ...] = ("good",)
    faulty: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    posted: str = ""
    version: int = 3

    def __post_init__(self) -> None:
        if not self.kernels or set(self.kernels) - set(ORDER):
            raise BadInput(f"{self.name}: kernels {', '.join(self.kernels)}; there are {', '.join(ORDER)}")

    @property
    def scene(self) -> str:
        """The name of its scenario."""
        return f"design-{self.name}"

    @property
    def newest(self) -> str:
        """The default kernel of its scene and of the tables."""
        return self.kernels[-1]

    @property
    def years(self) -> str:
        """Since which version, or that it was only posted, in a phrase."""
        return self.since if not self.posted else f"{self.since}, not merged"

    def label(self, kernel: str) -> str:
        """``6.12``; of a series that is not merged, ``7.3 + <Message-ID>``."""
        return f"{kernel} + {self.posted}" if self.posted else kernel
