"""What only the whole graph can tell: how many orders there are, and whether some run can never come to rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from p2plab.search.graph import NOWHERE, StateGraph

if TYPE_CHECKING:
    from p2plab.search.wide import WideGraph

#: Orders are counted in graphs with up to so many steps: it takes some 50 bytes for each.
MOST_COUNTED = 6_000_000


def count_orders(graph: StateGraph | WideGraph) -> int | None:
    """The number of different orders from the start to rest; None if a loop makes them endless, or the graph is huge."""
    if not isinstance(graph, StateGraph):
        from p2plab.search.orders import count_orders as in_arrays

        return in_arrays(graph.edges, len(graph)) if graph.edges.count <= MOST_COUNTED else None
    order = _children_first(graph)
    if order is None:
        return None
    ways = [0] * len(graph.rows)
    for state in order:
        followers = [successor for successor in graph.expand(state) if successor != NOWHERE]
        ways[state] = sum(ways[follower] if follower >= 0 else 1 for follower in followers) or 1
    return ways[0]


def restless(graph: StateGraph) -> int | None:
    """The first state from which nobody ever comes to rest, whatever happens; None if there is none."""
    before: list[list[int]] = [[] for _ in graph.rows]
    for state in range(len(graph.rows)):
        for successor in graph.expand(state):
            if successor >= 0:
                before[successor].append(state)
    calm = [False] * len(graph.rows)
    todo = [*graph.at_rest, *graph.goals_of, *(goal.state for goal in graph.goals)]
    while todo:
        state = todo.pop()
        if not calm[state]:
            calm[state] = True
            todo += before[state]
    return next((state for state, good in enumerate(calm) if not good), None)


class Graph(Protocol):
    """What the small graph and the wide one have in common."""

    actors: tuple[str, ...]

    def followers(self, state: int) -> Sequence[int]:
        """The successors of a state, one an actor."""


def lap(graph: Graph, state: int) -> tuple[list[str], list[str]]:
    """From a state that never rests: the choices to a loop, and those once around it."""
    seen: dict[int, int] = {}
    choices: list[str] = []
    while state not in seen:
        seen[state] = len(choices)
        # Everybody in turn, so that the loop shows that nobody's step helps.
        able = [actor for actor, successor in enumerate(graph.followers(state)) if successor >= 0]
        actor = able[len(choices) % len(able)]
        choices.append(graph.actors[actor])
        state = graph.followers(state)[actor]
    return choices[: seen[state]], choices[seen[state] :]


def _children_first(graph: StateGraph) -> list[int] | None:
    """The states so that each comes after all that it leads to; None if there is a loop."""
    order: list[int] = []
    mark = bytearray(len(graph.rows))  # 1: on the way, 2: done
    stack = [0]
    while stack:
        state = stack[-1]
        if mark[state]:
            stack.pop()
            if mark[state] == 1:
                mark[state] = 2
                order.append(state)
            continue
        mark[state] = 1
        for successor in graph.expand(state):
            if successor >= 0:
                if mark[successor] == 1:
                    return None
                if mark[successor] == 0:
                    stack.append(successor)
    return order
