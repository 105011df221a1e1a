"""Which code sets the callbacks and which calls them: one story in each wiring, with the posted reachability test as a knob."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from p2plab.catalog.bench import scene
from p2plab.catalog.rig import Plan
from p2plab.core.kernels import NAMES, TODAY
from p2plab.core.scenario import Knob
from p2plab.drivers.doorbell import Doorbell
from p2plab.drivers.pinned import PinsUntilUnmap
from p2plab.drivers.pinning_gpu import PinningGpu
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
    wiring = settings["wiring"]
    plan = replace(plan, wiring=wiring, rules=settings["test"], iommu=settings["iommu"] == "on")
    if wiring == "ioremap-helper":
        return replace(plan, exporter=Doorbell, gpu=())
    if wiring == "vma-dma-map-range-pin":
        return replace(plan, importer=PinsUntilUnmap, exporter=PinningGpu, ram=plan.pages)
    return plan


SCENES = (
    scene(
        "wirings",
        "the callbacks: who sets them, who calls them",
        Plan(),
        turn=_turned,
        knobs=_KNOBS,
        story="app nic nic_dma*3 gpu nic_dma ...",
        version=4,
        about="The NIC maps, the GPU moves, the NIC maps again. The call graph of the run shows who set the two callbacks "
        "and who called them: in the series alone nobody sets them; as intended the exporter does, in its mmap, and "
        "only HMM calls; as the reviewer expected HMM sets its own and core VMA code calls them; a helper sets its own for a "
        "BAR that never moves (so nothing moves here); with the last API of the thread any importer calls core VMA code, and "
        "may ask for a pin, which this GPU grants in main memory.",
    ),
)
