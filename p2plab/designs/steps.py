"""The scenario that runs the step list under a design.

``app`` sets up, maps, lets the device write, and unmaps; ``gpu`` is the exporter's thread, which wants its memory
back or is unplugged as soon as everything is set up: from there on in any order. ``nic`` is the importer's thread,
which maps again what was lost.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from p2plab.catalog.rig import NICS, Plan, Rig, Setup
from p2plab.core.scenario import Knob, Scenario
from p2plab.designs.design import LISTS, MM, Design
from p2plab.designs.memory import PLAN

#: What may go wrong because of the exporter or the machine.
TROUBLES = {
    "none": "nothing",
    "no-room": "the exporter has nothing to lend from the beginning",
    "later": "once it has its memory back, the exporter has nothing to lend",
    "unreachable": "the importer is below another root port, which nobody vouches for",
    "no-pages": "the exporter's memory has no struct page",
}
#: The order that shows what a design does: every actor goes as far as it can, with the device in the middle of its transfer.
STORY = "app nic_dma*1 gpu nic_dma gpu nic ..."


def knobs_of(design: Design) -> tuple[Knob, ...]:
    """The knobs of every design, and its own."""
    return (
        Knob("steps", "move", "what the process and the exporter do", choices=tuple(LISTS)),
        Knob("importer", "good", "who imports", choices=tuple(design.play.importers)),
        Knob("exporter", "good", "who exports", choices=tuple(design.play.exporters)),
        Knob("trouble", "none", "what goes wrong: " + "; ".join(TROUBLES), choices=tuple(TROUBLES)),
        Knob("kernel", design.newest, "whose rules", choices=design.kernels),
        *design.play.knobs,
    )


def scene_of(design: Design) -> Scenario:
    """The step list under one design, as a scenario."""
    return Scenario(
        name=design.scene,
        title=f"the step list under {design.title}",
        build=Setup(functools.partial(chosen, design)),
        version=design.version,
        knobs=knobs_of(design),
        story=STORY,
        rules=design.rules,
        roles=design.play.roles,
        must=("maps", "programs", "moves-data"),
        about=f"{design.title} ({design.years}). Simplified: {design.simplified}",
    )


def chosen(design: Design, settings: Mapping[str, Any]) -> tuple[type[Rig], Plan]:
    """The rig and the plan for the knobs' values."""
    far = (NICS["other-switch"],) if settings["trouble"] == "unreachable" else PLAN.importers_at
    importer = design.play.importers[str(settings.get("importer", "good"))]
    exporter = design.play.exporters[str(settings.get("exporter", "good"))]
    app = LISTS[str(settings["steps"])][0]
    kernel = MM[str(settings["kernel"])]
    plan = replace(PLAN, kernel=kernel, importer=importer, exporter=exporter, importers_at=far, app=app)
    return design.play, plan
