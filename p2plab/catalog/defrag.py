"""The GPU defragments its BAR while a NIC writes through it: an obedient NIC, and one that ignores the notifier.

The machine is one that a real kernel described: two switches, a GPU-like device with a 128 MiB BAR below the first, and
another device beside it that plays the NIC. The figures (slots, pages, ticks) are illustrative.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from p2plab.catalog.ignorant import IgnorantNic
from p2plab.core.errors import BadInput, KernelError
from p2plab.core.places import recorded_machines
from p2plab.core.scenario import Knob, Role, Scenario
from p2plab.core.tracked import Tracked
from p2plab.core.worker import Worker
from p2plab.core.world import World
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import MAP_SHARED, AddressSpace
from p2plab.p2p.aperture import PAGE_SIZE, Aperture
from p2plab.p2p.engine import Transfer
from p2plab.p2p.exporter import EXPORTERS
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.importer import IMPORTERS as KINDS
from p2plab.p2p.importer import Importer
from p2plab.p2p.memory import DeviceMemory
from p2plab.p2p.things import Things
from p2plab.pci import Machine, read_recording

MACHINE = "q35_switch2"
GPU, BAR = "0000:03:00.0", 2
NICS = {"same-switch": "0000:04:00.0", "other-switch": "0000:08:00.0"}
IMPORTERS: dict[str, type[Importer]] = {"obedient": ObedientNic, "ignorant": IgnorantNic}
BASE = 0x7F55_5540_0000
RULES = (
    "obedience",
    "no-stale-dma",
    "balanced-unmap",
    "no-overlap",
    "predictability",
    "no-deadlock",
    "lock-order",
    "no-crash",
)


@functools.cache
def recorded_machine() -> Machine:
    """The machine of the scenes, read once: it never changes."""
    return read_recording(recorded_machines()[MACHINE])


class Desk(Tracked):
    """What the three workers of the scene can do: the process, the GPU's driver, the NIC's driver."""

    def __init__(self, world: World, settings: Mapping[str, Any]) -> None:
        if int(settings["slots"]) < int(settings["pages"]) + 4:
            raise BadInput(
                f"slots={settings['slots']} is not possible with pages={settings['pages']}: 4 more are needed"
            )
        machine = recorded_machine()
        self.pages = int(settings["pages"])
        self.write = settings["dma"] == "write"
        nic = world.role("importer", IMPORTERS[str(settings.get("importer", "obedient"))])
        self.mm = AddressSpace("app")
        memory = DeviceMemory(4 * self.pages + 8)
        bar = next(r for r in machine[GPU].bars if r.index == BAR)
        aperture = Aperture("gpu", bar.start, int(settings["slots"]), memory)
        self.gpu = world.role("exporter", Gpu)("gpu", GPU, machine, memory, aperture)
        fabric = Fabric(machine)
        fabric.attach(GPU, BAR, aperture)
        self.first = memory.create("B", "app2", 1)
        self.ours = memory.create("A", "app", self.pages)
        self.later = memory.create("C", "app2", 3)
        aperture.place(self.first)
        aperture.place(self.ours, at=3)  # slots 1 and 2 are the hole that a defragmentation closes
        self.end = BASE + self.pages * PAGE_SIZE
        self.listening = False
        self.story = settings["play"] == "story"
        self.app = Worker(world, "app", {"mmap": self.mmap, "munmap": self.munmap}, ["mmap"])
        self.driver = Worker(
            world,
            "gpu",
            {"defrag": self.defrag, "invalidate": self.invalidate},
            ["defrag"] if self.story else [],
            int(settings["defrag_at"]),
        )
        self.worker = Worker(world, "nic", {"map": self.map, "dma": self.dma, "unmap": self.unmap})
        bdf = NICS[str(settings["nic"])]
        self.nic = nic(world, "nic", bdf, self.mm, fabric, int(settings["beat"]))
        self.nic.map_again = self.map_again

    async def mmap(self) -> None:
        """The process maps the GPU's object A; the NIC's driver listens to its address space."""
        if self.mm.vmas:
            raise KernelError("EEXIST", "A is mapped already")
        if not self.listening:
            self.listening = True
            await self.nic.listen(BASE, self.end)
        await self.mm.mmap(BASE, self.pages * PAGE_SIZE, flags=MAP_SHARED, file=self.gpu.open_file("A"))
        if self.story:
            self.worker.post("map")  # the user's program goes on: register the memory, then ring the doorbell

    async def munmap(self) -> None:
        """The process unmaps it."""
        await self.mm.munmap(BASE, self.pages * PAGE_SIZE)

    async def map(self) -> None:
        """The NIC maps A through the process's vma; a refusal goes to the user."""
        await self.nic.map(BASE, self.end)
        if self.story:
            self.story = False
            self.worker.post("dma")

    def map_again(self) -> None:
        """The NIC's driver puts it on its own list; the notifier's caller does not wait for it."""
        self.worker.post("map")

    async def dma(self) -> None:
        """The user rings the doorbell: one transfer over all of A."""
        self.nic.engine.start(Transfer(BASE, self.end, self.write))

    async def unmap(self) -> None:
        """The user gives the memory region back."""
        await self.nic.unmap(BASE, self.end)

    async def defrag(self) -> None:
        """The GPU closes the holes of its aperture and puts a new object into the room that this made."""
        await self.gpu.defrag()
        if None in self.gpu.aperture.slots_of(self.later):
            await self.gpu.place(self.later)

    async def invalidate(self) -> None:
        """The GPU takes A back without moving it."""
        await self.gpu.invalidate(self.ours)


def build(world: World, settings: Mapping[str, Any]) -> None:
    """The desk, its buttons, and what the views look for."""
    desk = Desk(world, settings)
    world.things = Things(
        spaces=(desk.mm,),
        exporters=(desk.gpu,),
        importers=(desk.nic,),
        base=BASE,
        width=desk.pages,
        machine=desk.gpu.machine,
    )

    def button(name: str, worker: Worker, help: str, why_not: Callable[[], str], label: str = "") -> None:
        world.action(name, help, lambda: worker.post(name), why_not, label)

    def no_vma() -> str:
        return "" if desk.mm.vmas else "the process has not mapped A"

    def nothing_mapped() -> str:
        return "" if desk.nic.engine.table else "the NIC has mapped nothing"

    button("mmap", desk.app, "the process maps A", lambda: "A is mapped already" if desk.mm.vmas else "")
    button("map", desk.worker, "the NIC asks for A's addresses", no_vma)
    button("dma", desk.worker, "the NIC starts a transfer over A", nothing_mapped, "start DMA")
    button("invalidate", desk.driver, "the GPU takes A back, without moving it", no_vma)
    button("defrag", desk.driver, "the GPU closes the holes of its aperture", lambda: "")
    button("unmap", desk.worker, "the NIC gives A back", nothing_mapped)
    button("munmap", desk.app, "the process unmaps A", no_vma)


_KNOBS = (
    Knob("beat", 4, "ticks that one page takes on the bus (illustrative)", low=1, high=100, ticks=True),
    Knob("defrag_at", 24, "when the GPU starts, in ticks, if the clock decides", low=0, high=10_000, ticks=True),
    Knob("pages", 4, "pages of object A", low=1, high=16),
    Knob("slots", 8, "slots of the BAR aperture", low=8, high=64),
    Knob("dma", "write", "what the transfer does", choices=("write", "read")),
    Knob("nic", "same-switch", "where the NIC is plugged in", choices=tuple(NICS)),
)


_ROLES = {"importer": Role(KINDS, knob="importer"), "exporter": Role(EXPORTERS, ("defrag", "place"))}


def _importer(default: str) -> Knob:
    return Knob("importer", default, "the NIC's driver", choices=tuple(IMPORTERS))


def _play(default: str) -> Knob:
    return Knob("play", default, "whether the workers begin with the story's jobs", choices=("story", "by-hand"))


SCENES = (
    Scenario(
        "defrag-obedient",
        "BAR defragmentation, and a NIC that obeys",
        build,
        knobs=(_importer("obedient"), _play("story"), *_KNOBS),
        story="app nic nic_dma*3 gpu nic_dma ...",
        version=2,
        rules=RULES,
        roles=_ROLES,
        about="The NIC maps A and writes to it. In the middle the GPU moves A to close a hole. The NIC hears the "
        "notifier, stops, drains, gives A back; nothing of anybody else is touched.",
    ),
    Scenario(
        "defrag-ignorant",
        "BAR defragmentation, and a NIC that ignores the notifier",
        build,
        knobs=(_importer("ignorant"), _play("story"), *_KNOBS),
        story="app nic nic_dma*3 gpu nic_dma ...",
        version=2,
        rules=RULES,
        roles=_ROLES,
        breaks="obedience",
        about="The same, but the NIC does nothing when the notifier calls. It goes on writing to the old bus addresses, "
        "which now show an object of another process.",
    ),
    Scenario(
        "workbench",
        "Workbench: a GPU, a NIC and a process, with nothing begun; press the buttons yourself",
        build,
        knobs=(_importer("obedient"), _play("by-hand"), *_KNOBS),
        story="...",
        version=2,
        rules=RULES,
        roles=_ROLES,
        when_cast={"play": "story"},  # nobody presses in a search
        about="The process has its memory mapped; map, start DMA, defrag and unmap are up to you.",
    ),
)
