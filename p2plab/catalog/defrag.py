"""The GPU defragments its BAR while a NIC writes through it: an obedient NIC, and one that ignores the notifier.

The machine was recorded from a real kernel: two switches, a GPU-like device with a 128 MiB BAR below the first, and
another device beside it that plays the NIC. The figures (slots, pages, ticks) are illustrative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from p2plab.catalog.bench import Bench, scene
from p2plab.catalog.case import IOMMU, usual
from p2plab.catalog.ignorant import IgnorantNic
from p2plab.catalog.rig import BASE, NICS, SECOND_NIC, Plan, any_time, job
from p2plab.core.actors import step, wait_event
from p2plab.core.errors import BadInput
from p2plab.core.scenario import Knob, Scenario, Value, Words
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import TODAY
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.importer import Importer

IMPORTERS: dict[str, type[Importer]] = {"obedient": ObedientNic, "ignorant": IgnorantNic}
#: What the process may do with memory in use: the knob's value -> its jobs. mprotect notifies no listener here: see F17.
PROCESS = {
    "stays": (),
    "unmaps": ("munmap",),
    "unmaps-part": ("munmap_part",),
    "unmaps-by-parts": ("munmap_part", "munmap"),
    "forks": ("fork",),
    "exits": ("exit",),
}


class Desk(Bench):
    """The usual bench; its process may also unmap a part, fork or exit."""

    @job("app")
    async def munmap_part(self) -> None:
        """The process unmaps the last page of A."""
        await self.mm.munmap(BASE + (self.plan.pages - 1) * PAGE_SIZE, PAGE_SIZE)

    @job("app")
    async def fork(self) -> None:
        """The process forks; no listener watches the child's copy."""
        await self.mm.fork("child")

    @job("app")
    async def exit(self) -> None:
        """The process exits without unmapping anything."""
        mine = [station for station in self.stations if station.mm is self.mm]
        await wait_event(lambda: not any(station.users for station in mine), "mm_users is 0")
        for station in mine:
            station.exited = True
        await self.mm.exit()

    @job("gpu", needs=("defrag",), why_not=any_time)
    async def defrag_again(self) -> None:
        """Another process frees B, and the GPU closes the resulting hole: A moves once more."""
        if "B" in self.memory.objects:
            await step("frees B", lambda: self.gpu.destroy(self.memory.objects["B"]))
        await self.gpu.defrag()


def _turned(plan: Plan, settings: Mapping[str, Any]) -> Plan:
    pages, slots = int(settings["pages"]), int(settings["slots"])
    if slots < pages + 4:
        raise BadInput(f"slots={slots} is not possible with pages={pages}: 4 more are needed")
    kind = IMPORTERS[str(settings.get("importer", "obedient"))]
    plan = replace(
        usual(plan, settings),
        slots=slots,
        importer=kind,
        more=(kind,) * (int(settings["importers"]) - 1),
        importers_at=(NICS[str(settings["nic"])], SECOND_NIC),
        beat=int(settings["beat"]),
        gpu_ready=int(settings["defrag_at"]),
        app=("mmap", *PROCESS[str(settings["process"])]),
        gpu=("defrag", "defrag_again")[: int(settings["moves"])],
    )
    return plan if settings["play"] == "story" else replace(plan, app=("mmap",), gpu=(), then=(), maps=False)


_KNOBS = (
    Knob("beat", 4, "ticks that one page takes on the bus (illustrative)", low=1, high=100, ticks=True),
    Knob("defrag_at", 24, "when the GPU starts, in ticks, if the clock decides", low=0, high=10_000, ticks=True),
    Knob("pages", 4, "pages of object A", low=1, high=16),
    Knob("slots", 8, "slots of the BAR aperture", low=8, high=64),
    Knob("dma", "write", "what the transfer does", choices=("write", "read")),
    Knob("nic", "same-switch", "where the NIC is plugged in", choices=tuple(NICS)),
    Knob("process", "stays", "what the process does meanwhile", choices=tuple(PROCESS)),
    Knob("moves", 1, "how often the GPU moves A", low=0, high=2),
    Knob("importers", 1, "how many NICs map A", low=1, high=2),
    IOMMU,
)


#: What happens with each importer.
_OBEYS = Words(
    "BAR defragmentation, and a NIC that obeys",
    "The NIC maps A and writes to it. In the middle the GPU moves A to close a hole. The NIC hears the notifier, stops, "
    "drains, gives A back; nothing of anybody else is touched.",
)
_IGNORES = Words(
    "BAR defragmentation, and a NIC that ignores the notifier",
    "The NIC maps A and writes to it. In the middle the GPU moves A to close a hole. The NIC does nothing when the notifier "
    "calls. It goes on writing to the old bus addresses, which now show an object of another process.",
    "obedience",
)
_YOURS = Words("BAR defragmentation", "The NIC maps A and writes to it. In the middle the GPU moves A to close a hole.")
_WORDS = {"importer": {"obedient": _OBEYS, "ignorant": _IGNORES, "": _YOURS}}


def _scene(
    name: str,
    said: Words,
    importer: str = "obedient",
    play: str = "story",
    story: str = "",
    words: Mapping[str, Mapping[str, Words]] | None = None,
) -> Scenario:
    return scene(
        name,
        said.title,
        Plan(kernel=TODAY, at=3, later=3),  # slots 1 and 2 are the hole that a defragmentation closes
        bench=Desk,
        turn=_turned,
        knobs=(
            Knob("importer", importer, "the NIC's driver", choices=tuple(IMPORTERS)),
            Knob("play", play, "whether the workers begin with the story's jobs", choices=("story", "by-hand")),
            *_KNOBS,
        ),
        importer="importer",
        when_cast={
            "play": "story",
            "importer": "obedient",
        },  # no button is pressed in a search; only your class is on trial
        story=story or "app nic nic_dma*3 gpu nic_dma ...",
        breaks=said.breaks,
        version=3,
        about=said.about,
        words=words,
    )


#: Your class is also tried with each of these alone. A partial munmap beside a move has some 200,000 states.
VARIANTS: tuple[Mapping[str, Value], ...] = (
    {"process": "unmaps"},
    {"process": "unmaps-part"},
    {"process": "unmaps-by-parts", "moves": 0},
    {"process": "forks"},
    {"process": "exits"},
    {"moves": 2},
    {"importers": 2},
    {"iommu": "on"},
)

SCENES = (
    replace(
        _scene("defrag-obedient", _OBEYS, words=_WORDS),
        small={"pages": 2},
        variants=VARIANTS,
    ),
    _scene("defrag-ignorant", _IGNORES, importer="ignorant", words=_WORDS),
    _scene(
        "workbench",
        Words(
            "Workbench: a GPU, a NIC and a process, with nothing begun; press the buttons yourself",
            "The process has its memory mapped; map, start DMA, defrag and unmap are up to you.",
        ),
        play="by-hand",
        story="...",
    ),
)
