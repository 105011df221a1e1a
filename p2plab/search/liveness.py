"""What only a whole graph can tell: how many runs there are, whether one never ends, whether one leaves a leads-to open.

Runs that never end are shown as a *lasso*: a stem, and a cycle that goes round for ever.

Leads-to is judged under weakly fair schedules: an actor that could step in every state of a cycle steps on it. In a strongly
connected set of open states the walk through all of it is fair if each actor either steps inside the set or cannot step
somewhere in it; if one always could and each of its steps leaves the set, no cycle inside is fair. So judging whole sets
is exact.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from p2plab.search.steps import NOWHERE

if TYPE_CHECKING:
    from p2plab.search.graph import StateGraph


class Steps(Protocol):
    """What is needed of a :class:`~p2plab.search.graph.Graph`."""

    actors: tuple[str, ...]

    def followers(self, state: int) -> Sequence[int]:
        """The successors of a state, one an actor; negative where there is none."""

    def path(self, state: int) -> list[str]:
        """Some choices that lead to a state."""


@dataclass(frozen=True)
class Lasso:
    """Choices that lead to a state, and choices once around a cycle from there; without a cycle the run ends there."""

    stem: tuple[str, ...]
    cycle: tuple[str, ...]


# -- runs that end --------------------------------------------------------------------------------------------------------


def count_orders(graph: StateGraph) -> int | None:
    """The number of runs from the start to their end; None if a loop makes them endless."""
    order = _children_first(graph)
    if order is None:
        return None
    ways = [0] * len(graph)
    for state in order:
        followers = [successor for successor in graph.followers(state) if successor != NOWHERE]
        ways[state] = sum(ways[follower] if follower >= 0 else 1 for follower in followers) or 1
    return ways[0]


def cannot_terminate(graph: StateGraph) -> int | None:
    """The first state from which no run ever ends; None if there is none."""
    before: list[list[int]] = [[] for _ in range(len(graph))]
    for state in range(len(graph)):
        for successor in graph.followers(state):
            if successor >= 0:
                before[successor].append(state)
    can = [False] * len(graph)
    todo = [*graph.terminal(), *graph.breaches_of, *(breach.state for breach in graph.breaches)]
    while todo:
        state = todo.pop()
        if not can[state]:
            can[state] = True
            todo += before[state]
    return next((state for state, ends in enumerate(can) if not ends), None)


def _children_first(graph: StateGraph) -> list[int] | None:
    """The states in an order in which each comes after its successors; None if there is a loop."""
    order: list[int] = []
    mark = bytearray(len(graph))  # 1: being visited, 2: done
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
        for successor in graph.followers(state):
            if successor >= 0:
                if mark[successor] == 1:
                    return None
                if mark[successor] == 0:
                    stack.append(successor)
    return order


# -- runs that do not -----------------------------------------------------------------------------------------------------


def lasso(graph: Steps, state: int) -> Lasso:
    """A run through a state that cannot terminate, up to a loop and once around it."""
    seen: dict[int, int] = {}
    choices: list[str] = []
    stem = graph.path(state)
    while state not in seen:
        seen[state] = len(choices)
        # Each actor in turn, so that the loop shows that no step helps.
        able = [actor for actor, successor in enumerate(graph.followers(state)) if successor >= 0]
        actor = able[len(choices) % len(able)]
        choices.append(graph.actors[actor])
        state = graph.followers(state)[actor]
    return Lasso((*stem, *choices[: seen[state]]), tuple(choices[seen[state] :]))


def stays_open(graph: Steps, open_states: Collection[int], resting: Collection[int]) -> Lasso | None:
    """A run to its end, or a lasso, on which every state is open from some point on; None if no fair run has one."""
    ends = [state for state in resting if state in open_states]
    if ends:
        ways = sorted((len(way), tuple(way)) for way in (graph.path(state) for state in ends[:100]))
        return Lasso(ways[0][1], ())
    for component in _components(graph, open_states):
        if _fair(graph, component):
            start = min(component)
            return Lasso(tuple(graph.path(start)), tuple(_around(graph, component, start)))
    return None


def _components(graph: Steps, states: Collection[int]) -> Iterator[frozenset[int]]:
    """The strongly connected sets of the states (Tarjan), those with a step inside only."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    on_stack: set[int] = set()
    stack: list[int] = []
    for root in states:
        if root in index:
            continue
        work = [(root, iter([f for f in graph.followers(root) if f in states]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            state, followers = work[-1]
            new = next((f for f in followers if f not in index or f in on_stack), None)
            if new is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[state])
                if low[state] == index[state]:
                    found: set[int] = set()
                    while state not in found:
                        found.add(stack.pop())
                    on_stack -= found
                    if len(found) > 1 or state in graph.followers(state):
                        yield frozenset(found)
            elif new in index:
                low[state] = min(low[state], index[new])
            else:
                index[new] = low[new] = len(index)
                stack.append(new)
                on_stack.add(new)
                work.append((new, iter([f for f in graph.followers(new) if f in states])))


def _fair(graph: Steps, component: frozenset[int]) -> bool:
    waiting = set(range(len(graph.actors)))
    for state in component:
        followers = graph.followers(state)
        waiting -= {actor for actor in waiting if followers[actor] < 0 or followers[actor] in component}
        if not waiting:
            return True
    return False


def _around(graph: Steps, component: frozenset[int], start: int) -> Iterator[str]:
    """A closed walk from ``start`` on which each actor steps, or comes through a state in which it cannot."""
    here = start
    for actor in range(len(graph.actors)):
        target = next((s for s in component if graph.followers(s)[actor] in component), None)
        if target is None:  # it cannot step somewhere: go there
            target = next(s for s in component if graph.followers(s)[actor] < 0)
            yield from _way(graph, component, here, target)
            here = target
        else:
            yield from _way(graph, component, here, target)
            yield graph.actors[actor]
            here = graph.followers(target)[actor]
    yield from _way(graph, component, here, start)


def _way(graph: Steps, component: frozenset[int], start: int, end: int) -> list[str]:
    """The shortest choices from one state of a strongly connected set to another."""
    came: dict[int, tuple[int, int]] = {}
    todo = deque([start])
    while todo and end not in came and end != start:
        state = todo.popleft()
        for actor, follower in enumerate(graph.followers(state)):
            if follower in component and follower not in came and follower != start:
                came[follower] = state, actor
                todo.append(follower)
    choices: list[str] = []
    while end != start:
        end, actor = came[end]
        choices.append(graph.actors[actor])
    return choices[::-1]
