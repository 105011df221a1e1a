"""Who sets and who calls: the same story in four wirings, with the posted test of reachability switchable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from p2plab.catalog.bench import scene
from p2plab.catalog.rig import Plan
from p2plab.core.kernels import NAMES, TODAY
from p2plab.core.scenario import Knob
from p2plab.p2p.wiring import WIRINGS

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


def _turned(plan: Plan, settings: Mapping[str, Any]) -> Plan:
    return replace(plan, wiring=settings["wiring"], rules=settings["test"], iommu=settings["iommu"] == "on")


SCENES = (
    scene(
        "wirings",
        "the callbacks: who sets them, who calls them",
        Plan(),
        turn=_turned,
        knobs=_KNOBS,
        story="app nic nic_dma*3 gpu nic_dma ...",
        version=3,
        about="The NIC maps, the GPU moves, the NIC maps again. The call graph of the run shows who set the two callbacks "
        "and who called them: in the series alone nobody sets them; as intended the exporter does, in its mmap, and "
        "only HMM calls; as the reviewer expected HMM sets and core VMA code calls.",
    ),
)
