"""The scenes: each a scenario with a story, the rules it watches, and the verdict that must come out.

``CASES`` are the 48 failures F1–F23, E1–E18 and C1–C7, each with its good twin; ``SCENES`` are all scenarios by name.
Both are put together when they are first asked for; :func:`find` imports one case for one name.
"""

from __future__ import annotations

import importlib
import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from p2plab.catalog.case import BROKEN, GOOD, Case
from p2plab.core.errors import BadInput
from p2plab.core.scenario import Scenario

if TYPE_CHECKING:
    #: Every case by its code (``F1``), in the order of the documentation.
    CASES: dict[str, Case]
    #: Every scene by its name.
    SCENES: dict[str, Scenario]

#: The packages of the cases, by the letter of their codes.
_PACKAGES = {"f": "importers", "e": "exporters", "c": "core"}
#: The modules of the other scenes, in the order in which those are listed: before the cases.
_OTHERS = ("defrag", "wirings", "fate")

#: Rooms above this one that bring scenes of their own: asked, by name only, for what is not found here.
ROOMS_ABOVE = ("p2plab.designs",)


def find(name: str) -> Scenario:
    """The scene of that name, or of that code; :exc:`BadInput` says which there are, the nearest first."""
    for case in _cases_like(name):
        if name in (case.scenario.name, case.code) or name.upper() == case.code:
            return case.scenario
    for module in _OTHERS:
        for scene in importlib.import_module(f"{__name__}.{module}").SCENES:
            if scene.name == name:
                found: Scenario = scene
                return found
    scenes = _all()[1]
    if name in scenes:
        return scenes[name]
    for room in ROOMS_ABOVE:
        more: dict[str, Scenario] = importlib.import_module(room).SCENES
        if name in more:
            return more[name]
    import difflib

    near = difflib.get_close_matches(name[:60], scenes, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise BadInput(f"there is no scene {name[:60]!r}; there are {', '.join(scenes)}{hint}")


def _cases_like(name: str) -> list[Case]:
    """The cases whose code a name begins with: one, or none."""
    code = re.match(r"([fec])(\d{1,2})(?![^-])", name[:60].lower())
    if code is None:
        return []
    package = _PACKAGES[code[1]]
    wanted = f"{code[1]}{int(code[2]):02}_"
    return [_case(package, module) for module in _modules(package) if module.startswith(wanted)]


@cache
def _modules(package: str) -> list[str]:
    folder = importlib.import_module(f"{__name__}.{package}").__path__[0]
    return sorted(name.removesuffix(".py") for name in os.listdir(folder) if re.fullmatch(r"[fec]\d\d_\w+\.py", name))


def _case(package: str, module: str) -> Case:
    case: Case = importlib.import_module(f"{__name__}.{package}.{module}").CASE
    return case


def _all() -> tuple[dict[str, Case], dict[str, Scenario]]:
    """``CASES`` and ``SCENES``, put together the first time."""
    names = globals()
    if "CASES" not in names:
        cases = [_case(package, module) for package in _PACKAGES.values() for module in _modules(package)]
        others = [scene for module in _OTHERS for scene in importlib.import_module(f"{__name__}.{module}").SCENES]
        names["SCENES"] = {scene.name: scene for scene in (*others, *(case.scenario for case in cases))}
        names["CASES"] = {case.code: case for case in cases}
    return names["CASES"], names["SCENES"]


def __getattr__(name: str) -> Any:
    if name in ("CASES", "SCENES"):
        _all()
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["BROKEN", "CASES", "GOOD", "SCENES", "Case", "find"]
