"""Scenes to play with: a disaster that may strike at any moment, and an aperture that two importers fill."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from p2plab.catalog.bench import Bench, Plan, roles_of
from p2plab.catalog.exporters.e04_refuses_later import Oversubscribed
from p2plab.core.scenario import Knob, Scenario
from p2plab.core.worker import Worker
from p2plab.core.world import World
from p2plab.drivers.disasters import come_back, go_away, reset
from p2plab.drivers.nic import ObedientNic
from p2plab.p2p.placing import POLICIES
from p2plab.rules import PRICES, PROMISES

DISASTERS = ("unplug", "PCI-error", "GPU-hang", "suspend", "reset")


class Fate(Bench):
    """An actor ``fate`` strikes the GPU, once, whenever the schedule lets it."""

    def add_fate(self, world: World, what: str) -> None:
        """The actor and its one job."""
        self.what = what
        self.fate = Worker(world, "fate", {"strike": self.strike, "resume": self.resume}, ["strike"])

    async def strike(self) -> None:
        """The disaster, in as good an order as it leaves time for."""
        if self.what in ("reset", "GPU-hang"):
            await reset(self.gpu)
        else:
            await go_away(self.gpu, self.what)

    async def resume(self) -> None:
        """After a suspend the GPU comes back."""
        await come_back(self.gpu)


def _disasters(world: World, settings: Mapping[str, Any]) -> None:
    bench = Fate(world, Plan(), settings)
    bench.add_fate(world, str(settings["what"]))
    bench.show(world)
    world.action(
        "resume",
        "fate: the GPU comes back after a suspend",
        lambda: bench.fate.post("resume"),
        lambda: "" if bench.gpu.gone == "suspend" else "the GPU is not suspended",
    )


def _policies(plan: Plan, world: World, settings: Mapping[str, Any]) -> None:
    slots = 3 + int(settings["spare"])
    chosen = replace(plan, policy=str(settings["policy"]), cap=int(settings["cap"]), slots=slots)
    Oversubscribed(world, chosen, settings).show(world)


_POLICIES = Plan(gpu_does=("render",), later=2, at=1, ram=True, nic2=ObedientNic)
SCENES = (
    Scenario(
        "disasters",
        "unplug, PCI error, GPU hang, suspend or reset, at any moment",
        _disasters,
        knobs=(Knob("what", "unplug", "what befalls the GPU", choices=DISASTERS),),
        story="app nic nic_dma*3 fate ...",
        rules=PROMISES,
        roles=roles_of(Fate, Plan()),
        about="The GPU's driver refuses new maps, takes everything back, waits until nothing is lent, and only then is the "
        "device gone or reset. What was mapped before may now be refused: the thread's list of what is really bad.",
    ),
    Scenario(
        "policies",
        "an aperture that is too small, under four policies",
        functools.partial(_policies, _POLICIES),
        knobs=(
            Knob("policy", "reserve", "what the GPU does where there is no room", choices=tuple(POLICIES)),
            Knob("cap", 2, "slots that may be lent, under the policy `cap`", low=0, high=8),
            Knob("spare", 0, "slots more than too few", low=0, high=8),
        ),
        story="app nic nic2 nic_dma*3 gpu nic nic2 ...",
        rules=(*PROMISES, *PRICES),
        roles=roles_of(Oversubscribed, _POLICIES),
        about="Two importers map A, and the GPU needs the aperture for its own work. Whether A is evicted and refused, kept, "
        "or moved to main memory is the policy's choice; each pays in its own coin.",
    ),
)
