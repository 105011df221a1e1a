"""The scenes: each a scenario with a story, the rules it watches, and the verdict that must come out.

``CASES`` are the 48 failures F1–F23, E1–E18 and C1–C7, each with its good twin; ``SCENES`` are all scenarios by name.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from p2plab.catalog import core, defrag, exporters, fate, importers, wirings
from p2plab.catalog.case import BROKEN, GOOD, Case
from p2plab.core.errors import BadInput
from p2plab.core.scenario import Scenario


def _cases() -> dict[str, Case]:
    found = {}
    for package in (importers, exporters, core):
        for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
            case: Case = importlib.import_module(f"{package.__name__}.{name}").CASE
            found[case.code] = case
    return found


#: Every case by its code (``F1``), in the order of the documentation.
CASES: dict[str, Case] = _cases()

#: Every scene by its name.
SCENES: dict[str, Scenario] = {
    scene.name: scene
    for scene in (*defrag.SCENES, *wirings.SCENES, *fate.SCENES, *(case.scenario for case in CASES.values()))
}


#: Rooms above this one that bring scenes of their own: asked, by name only, for what is not found here.
ROOMS_ABOVE = ("p2plab.designs",)


def find(name: str) -> Scenario:
    """The scene of that name, or of that code; :exc:`BadInput` says which there are, the nearest first."""
    if name in SCENES:
        return SCENES[name]
    if name.upper() in CASES:
        return CASES[name.upper()].scenario
    for room in ROOMS_ABOVE:
        more: dict[str, Scenario] = importlib.import_module(room).SCENES
        if name in more:
            return more[name]
    near = difflib.get_close_matches(name[:60], SCENES, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise BadInput(f"there is no scene {name[:60]!r}; there are {', '.join(SCENES)}{hint}")


__all__ = ["BROKEN", "CASES", "GOOD", "SCENES", "Case", "find"]
