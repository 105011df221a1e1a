"""Ways through a wide graph that do not depend on how its states are numbered: who comes to rest, and who is met first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from p2plab.search.wide import WideGraph

Ints = npt.NDArray[Any]


#: So many states at a time are asked where they lead to.
BLOCK = 1 << 13


def restless(graph: WideGraph) -> int | None:
    """As :func:`p2plab.search.liveness.restless`, when all states are expanded."""
    count = len(graph)
    calm = np.zeros(count + 1, bool)  # the last one stands for "no such successor"
    calm[graph.resting()] = True
    calm[[goal.state for goal in graph.goals]] = True
    _follow(graph, calm)
    todo = np.flatnonzero(~calm[:count])[::-1]  # successors mostly have larger numbers
    while todo.size:
        left = []
        for states in np.array_split(todo, 1 + len(todo) // BLOCK):
            good = graph.edges.leads_to(states, calm)
            calm[states] = good
            left.append(states[~good])
        before, todo = len(todo), np.concatenate(left)
        if len(todo) == before:
            return first_met(graph, ~calm[:count])
    return None


def _follow(graph: WideGraph, calm: Ints) -> None:
    """Mark all that come to rest if it is always the last of those that can who steps: one step, two, four, ..."""
    count = len(graph)
    ways: Ints = np.arange(count, dtype=np.int32)
    for first in range(0, count, BLOCK):
        states = np.arange(first, min(count, first + BLOCK))
        states = states[~calm[states]]
        ways[states] = np.maximum(graph.edges.last(states), 0)
    before, now = -1, 0
    while now != before:
        before, now = now, 0
        for first in range(0, count, BLOCK):
            its = ways[first : first + BLOCK] = ways.take(ways[first : first + BLOCK])
            now += int(np.count_nonzero(calm.take(its)))
    for first in range(0, count, BLOCK):
        its = ways[first : first + BLOCK]
        calm[first : first + len(its)] |= calm.take(its)


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
        followers = graph.edges.of(level).ravel().astype(np.int64)
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
