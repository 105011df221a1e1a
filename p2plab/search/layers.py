"""Fewest switches first, then fewest steps: a search over (state, last actor), layer by layer.

A layer holds what can be reached with one more switch than the layer before; within it, shorter comes first. So the
first broken promise found has the simplest story. A layer asks only for the step of the actor that stepped last; the
others' steps there are computed when the next layer begins, which for most stories is never.
"""

from __future__ import annotations

import time

from p2plab.search.graph import StateGraph, Story
from p2plab.search.steps import NOWHERE, breach_of

#: Where the first node came from; no node has this number.
_START = -(1 << 62)


class Layers:
    """A :class:`~p2plab.search.graph.Searcher`. ``stories`` has all that were found: one, if it stops at the first."""

    def __init__(self, graph: StateGraph, bound: int | None = None, stop_at_first: bool = True) -> None:
        self.graph = graph
        self.bound = bound
        self.stop_at_first = stop_at_first
        self.stories: list[Story] = []
        self.switches = 0
        self.done = False
        self.complete = False  #: whether every state was expanded
        self._actors = len(graph.actors)
        self._came: dict[int, int] = {}
        self._here: dict[int, list[tuple[int, int]]] = {
            0: [(self._actors, _START)]
        }  #: by length: (node, its predecessor)
        self._to_switch: dict[
            int, list[int]
        ] = {}  #: by length: nodes of the layer before, where another actor takes over
        self._later: dict[int, list[int]] = {}

    @property
    def found(self) -> Story | None:
        """The simplest story."""
        return self.stories[0] if self.stories else None

    @property
    def frontier(self) -> int:
        """How many nodes are known and not yet followed."""
        return sum(len(some) for layer in (self._here, self._to_switch, self._later) for some in layer.values())

    def advance(self, seconds: float, states: int | None = None) -> None:
        """Search on for that long, or until that many states are expanded."""
        deadline = time.perf_counter() + seconds
        while not self.done and time.perf_counter() < deadline:
            if states is not None and self.graph.expanded >= states:
                return
            if not self._here and not self._to_switch and not self._next_layer():
                return
            self._one_length(min((*self._here, *self._to_switch)), deadline)

    def _one_length(self, length: int, deadline: float) -> None:
        switching = self._to_switch.get(length, [])
        while switching:
            self._switch(length, switching.pop())
            if time.perf_counter() > deadline:
                return
        self._to_switch.pop(length, None)
        nodes = self._here.get(length, [])
        while nodes:
            self._visit(length, *nodes.pop())
            if self.done or time.perf_counter() > deadline:
                return
        self._here.pop(length, None)

    def _next_layer(self) -> bool:
        if not self._later:
            self.done = self.complete = True
            return False
        if self.bound is not None and self.switches >= self.bound:
            self.done, self.complete = True, not self._somebody_could_switch()
            return False
        self.switches += 1
        self._to_switch, self._later = {length: nodes[::-1] for length, nodes in self._later.items()}, {}
        return True

    def _somebody_could_switch(self) -> bool:
        return any(
            self.graph.step(node // (self._actors + 1), actor) != NOWHERE
            for nodes in self._later.values()
            for node in nodes
            for actor in range(self._actors)
            if actor != node % (self._actors + 1)
        )

    def _visit(self, length: int, node: int, came: int) -> None:
        if node in self._came:
            return
        self._came[node] = came
        state, last = divmod(node, self._actors + 1)
        if state < NOWHERE:  # a breach that a step led to, put here so that it is found in its turn
            self._meet(breach_of(state), node)
            return
        self.graph.look_at(state)
        for breach in self.graph.breaches_of.get(state, ()):
            self._meet(breach, node)
        if last == self._actors:
            self._switch(length + 1, node)
            return
        successor = self.graph.step(state, last)
        if successor != NOWHERE:
            self._here.setdefault(length + 1, []).append((successor * (self._actors + 1) + last, node))
        self._later.setdefault(length + 1, []).append(node)

    def _switch(self, length: int, node: int) -> None:
        """From a node of the layer before, every other actor that can step."""
        state, last = divmod(node, self._actors + 1)
        for actor in range(self._actors):
            if actor != last:
                successor = self.graph.step(state, actor)
                if successor != NOWHERE:
                    self._here.setdefault(length, []).append((successor * (self._actors + 1) + actor, node))

    def _meet(self, breach: int, node: int) -> None:
        choices: list[str] = []
        while node != _START:
            last = node % (self._actors + 1)
            choices += self.graph.actors[last : last + 1]  # none for the first node
            node = self._came[node]
        self.stories.append(Story(self.switches, self.graph.breaches[breach].broken, tuple(reversed(choices))))
        self.done |= self.stop_at_first
