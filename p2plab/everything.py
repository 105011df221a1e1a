"""The composition root: every scene, design, rule and kind of event, collected here and nowhere else.

Rooms below it know nothing of it; rooms above it ask here, so an answer never depends on what was imported before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from p2plab import core, mm, p2p, rules
from p2plab import designs as _designs
from p2plab.catalog import CASES as _CASES
from p2plab.catalog import SCENES as _CATALOG
from p2plab.catalog import Case
from p2plab.core.collect import classes
from p2plab.core.errors import BadInput
from p2plab.core.events import Event
from p2plab.core.names import unknown
from p2plab.core.scenario import Scenario
from p2plab.designs import DESIGNS
from p2plab.rules import RULES

#: Every case by its code: those of the contract of 2019, then those of designs of today.
CASES: Mapping[str, Case] = {**_CASES, **_designs.CASES}
#: Every scene by its name: those of the catalogue, the designs' cases, then the designs under the step list.
SCENES: Mapping[str, Scenario] = {
    **_CATALOG,
    **{case.scenario.name: case.scenario for case in _designs.CASES.values()},
    **_designs.SCENES,
}


def kinds_by_name(kinds: Iterable[type[Event]]) -> dict[str, type[Event]]:
    """Kinds of event by their names. TypeError where two have the same: a name in a file must mean one thing."""
    found: dict[str, type[Event]] = {}
    for kind in kinds:
        other = found.setdefault(kind.__name__, kind)
        if other is not kind:
            raise TypeError(f"two kinds of event are called {kind.__name__}: {other.__module__}, {kind.__module__}")
    return found


#: Every kind of event by its name, as a log in a file spells it.
EVENTS: Mapping[str, type[Event]] = kinds_by_name(
    kind for room in (core, mm, p2p, rules, _designs) for kind in classes(room, Event)
)


def find(name: str) -> Scenario:
    """The scene of that name (``defrag-obedient``) or code (``F1``); :exc:`BadInput` says which there are."""
    case = CASES.get(name.upper())
    if case is not None:
        return case.scenario
    if name in SCENES:
        return SCENES[name]
    raise BadInput(unknown("scene", name, [*SCENES, *CASES], "`p2plab scenes`"))


__all__ = ["CASES", "DESIGNS", "EVENTS", "RULES", "SCENES", "find"]
