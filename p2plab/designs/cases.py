"""Cases of the catalogue under a design of today: a broken driver, the rule that must catch it, and its good twin.

Like :mod:`p2plab.catalog.case`, with a design's scene instead of the bench: a case is that scene with its knobs set, and
the knob ``driver`` for the two twins. Their codes are D1, D2, …; a design's module lists its own as ``CASES``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from p2plab.catalog.case import BROKEN, DRIVER, GOOD, Case, twin_words
from p2plab.catalog.rig import Plan, Rig, Setup
from p2plab.core.scenario import Scenario
from p2plab.core.world import World
from p2plab.designs.design import Design
from p2plab.designs.steps import STORY, chosen, knobs_of


@dataclass(frozen=True)
class SetKnobs(Setup):
    """A design's scene with its knobs set: ``settled`` derives all their values from that of ``driver``."""

    settled: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict

    def __call__(self, world: World, settings: Mapping[str, Any]) -> None:
        """Build the world."""
        rig, plan = self.choose(settings)
        rig(world, replace(plan, **self.at), self.settled(settings))


def _settled(design: Design, twins: Mapping[str, Mapping[str, str]], settings: Mapping[str, Any]) -> Mapping[str, Any]:
    defaults = {knob.name: knob.default for knob in knobs_of(design)}
    return defaults | dict(twins[str(settings.get("driver", GOOD))])


def _chosen(
    design: Design, twins: Mapping[str, Mapping[str, str]], settings: Mapping[str, Any]
) -> tuple[type[Rig], Plan]:
    return chosen(design, _settled(design, twins, settings))


def design_case(
    code: str,
    slug: str,
    design: Design,
    title: str,
    *,
    rule: str,
    about: str,
    sees: str,
    broken: Mapping[str, str],
    good: Mapping[str, str] | None = None,
    story: str = STORY,
) -> Case:
    """A case: the knobs' values of the broken one, and of its twin (without importer and exporter, if None is given)."""
    drivers = ("importer", "exporter")
    twin = {name: value for name, value in broken.items() if name not in drivers} if good is None else good
    twins = {BROKEN: broken, GOOD: twin}
    build = SetKnobs(partial(_chosen, design, twins), settled=partial(_settled, design, twins))
    scenario = Scenario(
        name=f"{code.lower()}-{slug}",
        title=title,
        build=build,
        knobs=(DRIVER,),
        story=story,
        rules=design.rules,
        breaks=rule,
        about=" ".join(about.split()),
        words={"driver": twin_words(code, title, " ".join(about.split()), rule)},
        must=("maps", "programs", "moves-data"),
    )
    return Case(code, scenario, " ".join(sees.split()))
