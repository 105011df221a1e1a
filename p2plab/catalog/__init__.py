"""The scenes: each a scenario with a story, the rules it watches, and the expected verdict.

``CASES`` are the 58 failures F1–F23, E1–E18, C1–C7, X1–X3, L1–L3 and H1–H4, each with its good twin; ``SCENES`` are all
scenarios by name. A module of this room adds a case by its ``CASE`` and other scenes by its ``SCENES``; nothing else names it.
"""

from __future__ import annotations

import sys

from p2plab.catalog.case import BROKEN, GOOD, Case
from p2plab.core.collect import modules
from p2plab.core.scenario import Scenario

_MODULES = list(modules(sys.modules[__name__]))
_CASES: list[Case] = [module.CASE for module in _MODULES if hasattr(module, "CASE")]

#: Every case by its code (``F1``), in the order of the documentation.
CASES: dict[str, Case] = {
    case.code: case for case in sorted(_CASES, key=lambda case: ("FECXLH".index(case.code[0]), int(case.code[1:])))
}
#: Every scene by its name; first those that are not cases.
SCENES: dict[str, Scenario] = {
    scene.name: scene
    for scene in (
        *(scene for module in _MODULES for scene in getattr(module, "SCENES", ())),
        *(case.scenario for case in CASES.values()),
    )
}

__all__ = ["BROKEN", "CASES", "GOOD", "SCENES", "Case"]
