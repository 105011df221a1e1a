"""Fewest switches first, then fewest steps: a search over (state, who stepped last), layer by layer.

A layer holds what can be reached with one more switch than the layer before; within it, shorter comes first. So the
first broken promise met is the one with the simplest story. States are expanded only when they are met.
"""

from __future__ import annotations

import time

from p2plab.check.graph import NOWHERE, StateGraph, goal_of

#: Where the first node came from; no node has this number.
_START = -(1 << 62)


class Layers:
    """The search, one slice at a time. ``found``: the goals met so far, as (switches, goal, choices)."""

    def __init__(self, graph: StateGraph, bound: int | None = None, stop_at_first: bool = True) -> None:
        self.graph = graph
        self.bound = bound
        self.stop_at_first = stop_at_first
        self.found: list[tuple[int, int, tuple[str, ...]]] = []
        self.switches = 0
        self.done = False
        self.complete = False  #: whether every state was expanded
        self._actors = len(graph.actors)
        self._came: dict[int, int] = {}
        self._here: dict[int, list[tuple[int, int]]] = {0: [(self._actors, _START)]}
        self._later: dict[int, list[tuple[int, int]]] = {}

    @property
    def frontier(self) -> int:
        """How many steps are known and not yet followed."""
        return sum(map(len, self._here.values())) + sum(map(len, self._later.values()))

    def advance(self, seconds: float, states: int | None = None) -> None:
        """Search on for that long, or until that many states are expanded."""
        deadline = time.perf_counter() + seconds
        while not self.done and time.perf_counter() < deadline:
            if states is not None and self.graph.expanded >= states:
                return
            if not self._here and not self._next_layer():
                return
            length = min(self._here)
            nodes = self._here[length]
            while nodes:
                self._visit(length, *nodes.pop())
                if self.done or time.perf_counter() > deadline:
                    break
            if not nodes:
                del self._here[length]

    def _next_layer(self) -> bool:
        if not self._later:
            self.done = self.complete = True
            return False
        if self.bound is not None and self.switches >= self.bound:
            self.done = True
            return False
        self.switches += 1
        self._here, self._later = self._later, {}
        return True

    def _visit(self, length: int, node: int, came: int) -> None:
        if node in self._came:
            return
        self._came[node] = came
        state, last = divmod(node, self._actors + 1)
        if state < NOWHERE:  # a goal that a step led to, put here so that it is met in its turn
            self._meet(goal_of(state), node)
            return
        successors = self.graph.expand(state)
        for goal in self.graph.goals_of.get(state, ()):
            self._meet(goal, node)
        for actor, successor in enumerate(successors):
            if successor != NOWHERE:
                layer = self._here if last in (actor, self._actors) else self._later
                layer.setdefault(length + 1, []).append((successor * (self._actors + 1) + actor, node))

    def _meet(self, goal: int, node: int) -> None:
        choices: list[str] = []
        while node != _START:
            last = node % (self._actors + 1)
            choices += self.graph.actors[last : last + 1]  # nobody, for the first node
            node = self._came[node]
        self.found.append((self.switches, goal, tuple(reversed(choices))))
        self.done |= self.stop_at_first
