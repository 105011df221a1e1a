"""A case of the catalogue: a broken driver or platform, the rule that must catch it, and its good twin.

Broken and good are one scenario with the knob ``driver``, so that both run, replay and are shown in the same way.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from p2plab.catalog.bench import Bench
from p2plab.catalog.rig import Plan, Setup, roles_of
from p2plab.core.scenario import Knob, Role, Scenario, Words
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.rules import PROMISES

BROKEN, GOOD = "broken", "good"
DRIVER = Knob("driver", BROKEN, "the broken one, or its good twin", choices=(BROKEN, GOOD))
PAGES = Knob("pages", 2, "pages of object A", low=2, high=8)
DMA = Knob("dma", "write", "what the transfer does", choices=("write", "read"))
IOMMU = Knob(
    "iommu",
    "off",
    "on: a stale access faults, or lands in another page of the same importer; lazy: not before the IOTLB is flushed; "
    "off: it can damage any owner's memory",
    choices=("off", "on", "lazy"),
)
CHECKERS = Knob(
    "checkers",
    "on",
    "on: what was freed is poison, and to follow it is an oops; off: a plain kernel (6.12), where nothing happens",
    choices=("on", "off"),
)
USUAL = (PAGES, DMA, IOMMU)
#: The kinds of bench and the plans of a case, by the knob ``driver``.
Twins = Mapping[str, tuple[type[Bench], Plan]]


@dataclass(frozen=True)
class Case:
    """``code`` is the scene's number in the documentation; ``sees`` what the learner sees; ``goals`` what must happen.

    ``unmodelled``: why it cannot be shown honestly, or empty.
    """

    code: str
    scenario: Scenario
    sees: str
    goals: tuple[str, ...] = ("maps",)
    unmodelled: str = ""

    @property
    def rule(self) -> str:
        """The name of the rule that must catch it."""
        return self.scenario.breaks


def case(
    code: str,
    slug: str,
    title: str,
    *,
    rule: str,
    about: str,
    sees: str,
    broken: Plan,
    good: Plan | None = None,
    story: str = "app nic nic_dma*3 gpu nic_dma ...",
    bench: type[Bench] = Bench,
    good_bench: type[Bench] | None = None,
    knobs: tuple[Knob, ...] = USUAL,
    goals: tuple[str, ...] = ("maps", "programs", "moves-data"),
    takes: tuple[str, ...] = ("importer", "exporter"),
    version: int = 2,
) -> Case:
    """A case: ``broken`` and ``good`` (the plain plan if None) use ``bench`` (the good one
    ``good_bench`` if given); ``story`` shows the break. ``takes``: the roles that
    your own class can play."""
    twins = {BROKEN: (bench, broken), GOOD: (good_bench or bench, good or Plan())}
    watched = PROMISES if rule in PROMISES else (*PROMISES, rule)
    scenario = Scenario(
        name=f"{code.lower()}-{slug}",
        title=title,
        build=Setup(functools.partial(_chosen, twins)),
        version=version,
        knobs=(DRIVER, *knobs),
        story=story,
        rules=watched,
        breaks=rule,
        about=" ".join(about.split()),
        roles={role: part for role, part in _roles(twins).items() if role in takes},
        when_cast={"driver": GOOD},
        words={"driver": twin_words(code, title, " ".join(about.split()), rule)},
        must=goals,
    )
    return Case(code, scenario, " ".join(sees.split()), goals)


def twin_words(code: str, title: str, about: str, rule: str) -> dict[str, Words]:
    """The words of a case's good twin, and of the case with a class that takes the place of both."""
    return {
        GOOD: Words(f"the good twin of {code} ({title}): it keeps {rule}", f"In the broken one: {about}"),
        "": Words(f"the scene of {code} ({title})", f"With {code}'s own driver: {about}"),
    }


def _roles(twins: Twins) -> dict[str, Role]:
    """Where a role's class is the only difference between the twins, the knob ``driver`` has nothing left to choose."""
    (bench, broken), (twin, good) = twins[BROKEN], twins[GOOD]
    knobs = {}
    for role, stand_in in (("importer", ObedientNic), ("exporter", Gpu)):
        same = bench is twin and broken.played_by({role: stand_in}) == good.played_by({role: stand_in})
        knobs[role] = "driver" if same else ""
    return roles_of(bench, broken, good, **knobs)


def _chosen(twins: Twins, settings: Mapping[str, Any]) -> tuple[type[Bench], Plan]:
    bench, plan = twins[str(settings.get("driver", GOOD))]
    return bench, usual(plan, settings)


def usual(plan: Plan, settings: Mapping[str, Any]) -> Plan:
    """The knobs ``pages`` (more pages, more slots), ``dma`` and ``iommu``, where they apply."""
    more = int(settings.get("pages", plan.pages)) - plan.pages
    plan = replace(plan, pages=plan.pages + more, slots=plan.slots + more)
    if "dma" in settings:
        plan = replace(plan, write=settings["dma"] == "write")
    plan = replace(plan, poisoned=settings.get("checkers") != "off")
    iommu = settings.get("iommu")
    return replace(plan, iommu=True, lazy=iommu == "lazy") if iommu in ("on", "lazy") else plan
