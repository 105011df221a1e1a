"""Ways through a wide graph that do not depend on how its states are numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from p2plab.check.wide import WideGraph

Ints = npt.NDArray[Any]


def first_met(graph: WideGraph, wanted: Ints) -> int:
    """The first of the ``wanted`` states (a truth value each, one of them true), step by step, actors in their order.

    All states must be expanded. From then on the graph's path to that state is the way on which it was met.
    """
    actors = len(graph.actors)
    seen = np.zeros(len(graph), bool)
    level = np.zeros(1, np.int64)
    seen[0] = True
    ways: list[tuple[Ints, Ints]] = []
    while not wanted[level].any():
        followers = graph.successors[level].ravel().astype(np.int64)
        known = np.flatnonzero(followers >= 0)
        places = known[~seen[followers[known]]]
        places = places[np.sort(np.unique(followers[places], return_index=True)[1])]
        ways.append((level, places))
        level = followers[places]
        seen[level] = True
    at = int(np.argmax(wanted[level]))
    found = state = int(level[at])
    for before, places in reversed(ways):
        at, actor = divmod(int(places[at]), actors)
        graph.came_from[state], graph.came_by[state] = before[at], actor
        state = int(before[at])
    return found
