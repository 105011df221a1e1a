"""Who sets and who calls: the same story in four wirings, with the posted test of reachability switchable."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from p2plab.catalog.bench import Bench, Plan, roles_of
from p2plab.core.kernels import NAMES, TODAY
from p2plab.core.scenario import Knob, Scenario
from p2plab.core.world import World
from p2plab.p2p.wiring import WIRINGS
from p2plab.rules import PROMISES

_KNOBS = (
    Knob("wiring", "as-intended", "who sets the callbacks, and who calls them", choices=tuple(WIRINGS)),
    Knob(
        "test",
        TODAY,
        "whose test of reachability the exporter uses: a kernel's, or patch 1/5",
        choices=(*NAMES, "as-posted"),
    ),
    Knob("iommu", "off", "on: addresses are IOVAs of one device each", choices=("off", "on")),
)


def _build(plan: Plan, world: World, settings: Mapping[str, Any]) -> None:
    plan = replace(plan, wiring=settings["wiring"], rules=settings["test"], iommu=settings["iommu"] == "on")
    Bench(world, plan, settings).show(world)


SCENES = (
    Scenario(
        "wirings",
        "the callbacks: who sets them, who calls them",
        functools.partial(_build, Plan()),
        version=2,
        knobs=_KNOBS,
        story="app nic nic_dma*3 gpu nic_dma ...",
        rules=PROMISES,
        roles=roles_of(Bench, Plan()),
        about="The NIC maps, the GPU moves, the NIC maps again. The call graph of the run shows who set the two callbacks "
        "and who called them: in the series alone nobody sets them; as intended the exporter does, in its mmap, and "
        "only HMM calls; as the reviewer expected HMM sets and core VMA code calls.",
    ),
)
