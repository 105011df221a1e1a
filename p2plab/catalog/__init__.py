"""The scenes: each a scenario with a story, the rules it watches, and the verdict that must come out."""

from __future__ import annotations

import difflib

from p2plab.catalog import defrag
from p2plab.core.errors import BadInput
from p2plab.core.scenario import Scenario

#: Every scene by its name.
SCENES: dict[str, Scenario] = {scene.name: scene for scene in defrag.SCENES}


def find(name: str) -> Scenario:
    """The scene of that name; :exc:`BadInput` says which there are, the nearest first."""
    if name in SCENES:
        return SCENES[name]
    near = difflib.get_close_matches(name, SCENES, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise BadInput(f"there is no scene {name[:60]!r}; there are {', '.join(SCENES)}{hint}")
