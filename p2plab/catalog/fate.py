"""Scenes to play with: a disaster that may strike at any moment, and an aperture that two importers fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from p2plab.catalog.bench import Bench, scene
from p2plab.catalog.exporters.e04_refuses_later import Oversubscribed
from p2plab.catalog.rig import Plan, any_time, job
from p2plab.core.scenario import Knob
from p2plab.drivers.disasters import come_back, go_away, reset
from p2plab.drivers.nic import ObedientNic
from p2plab.p2p.placing import POLICIES
from p2plab.rules import PRICES, PROMISES

DISASTERS = ("unplug", "PCI-error", "GPU-hang", "suspend", "reset")


def _not_suspended(fate: Any) -> str:
    return "" if fate.gpu.gone == "suspend" else "the GPU is not suspended"


class DisasterBench(Bench):
    """An actor ``fate`` strikes the GPU once, whenever the schedule chooses."""

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """Which disaster."""
        self.what = str(settings["what"])

    @job("fate", why_not=any_time)
    async def strike(self) -> None:
        """The disaster, as orderly as time allows."""
        if self.what in ("reset", "GPU-hang"):
            await reset(self.gpu)
        else:
            await go_away(self.gpu, self.what)

    @job("fate", why_not=_not_suspended)
    async def resume(self) -> None:
        """After a suspend the GPU comes back."""
        await come_back(self.gpu)


def _policies(plan: Plan, settings: Mapping[str, Any]) -> Plan:
    slots = 3 + int(settings["spare"])
    return replace(plan, policy=str(settings["policy"]), cap=int(settings["cap"]), slots=slots)


SCENES = (
    replace(
        scene(
            "disasters",
            "unplug, PCI error, GPU hang, suspend or reset, at any moment",
            Plan(fate=("strike",)),
            bench=DisasterBench,
            knobs=(Knob("what", "unplug", "what befalls the GPU", choices=DISASTERS),),
            story="app nic nic_dma*3 fate ...",
            version=2,
            about="The GPU's driver refuses new maps, takes everything back, waits until nothing is lent, and only then is the "
            "device gone or reset. What was mapped before may now be refused: the thread's list of what is really bad.",
        ),
        variants=({"what": "reset"}, {"what": "suspend"}),
    ),
    scene(
        "policies",
        "an aperture that is too small, under four policies",
        Plan(gpu=("render",), later=2, at=1, ram=6, more=(ObedientNic,)),
        bench=Oversubscribed,
        turn=_policies,
        knobs=(
            Knob("policy", "reserve", "what the GPU does where there is no room", choices=tuple(POLICIES)),
            Knob("cap", 2, "slots that may be lent, under the policy `cap`", low=0, high=8),
            Knob("spare", 0, "slots more than too few", low=0, high=8),
        ),
        story="app nic nic2 nic_dma*3 gpu nic nic2 ...",
        rules=(*PROMISES, *PRICES),
        version=2,
        about="Two importers map A, and the GPU needs the aperture for its own work. Whether A is evicted and refused, kept, "
        "or moved to main memory is the policy's choice; each pays in its own coin.",
    ),
)
