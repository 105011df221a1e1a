"""Searching in arrays: breadth first for a proof; fewest switches first once something is known to break."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.search.arrays.graph import CHUNK, ArrayGraph, NumberedGraph
from p2plab.search.arrays.states import Collision
from p2plab.search.graph import Story
from p2plab.search.model import Model
from p2plab.search.steps import NOWHERE, breach_of

Ints = npt.NDArray[Any]


class Breadth:
    """Expands every state, breadth first, until something breaks or all are done."""

    def __init__(self, graph: NumberedGraph) -> None:
        self.graph = graph
        self.expanded = 0

    @property
    def frontier(self) -> int:
        """How many states are known and not expanded."""
        return len(self.graph) - self.expanded

    @property
    def complete(self) -> bool:
        """Whether all are expanded."""
        return self.expanded == len(self.graph)

    def advance(self, seconds: float, states: int) -> None:
        """Go on for about that long, or until there are that many states; stops after the chunk that breaks something."""
        deadline = time.perf_counter() + seconds
        while not self.complete and not self.graph.breaches and len(self.graph) <= states:
            self.one_chunk()
            if time.perf_counter() > deadline:
                return

    def one_chunk(self) -> None:
        """Expand the next states, whether or not something breaks."""
        last = min(len(self.graph), self.expanded + CHUNK * self.graph.parts)
        self.graph.expand(np.arange(self.expanded, last))
        self.expanded = last


class ArrayLayers:
    """Fewest switches first, then fewest steps, on nodes (state, last actor). States are expanded when needed."""

    def __init__(self, graph: NumberedGraph, bound: int | None = None) -> None:
        self.graph, self.bound = graph, bound
        self.switches = 0
        self.found: Story | None = None
        self.done = False
        self._actors = len(self.graph.actors)
        self._came: Ints = np.full(1, -2, np.int64)
        self._here: dict[int, list[tuple[Ints, Ints]]] = {}
        self._later: dict[int, list[tuple[Ints, Ints]]] = {}
        self._begin()

    @property
    def frontier(self) -> int:
        """How many steps are known and not yet followed."""
        return sum(len(nodes) for layer in (self._here, self._later) for many in layer.values() for nodes, _ in many)

    def advance(self, seconds: float) -> None:
        """Go on for about that long."""
        deadline = time.perf_counter() + seconds
        while not self.done and time.perf_counter() < deadline:
            if not self._here:
                if not self._later or self.switches == self.bound:
                    self.done = True
                    return
                self._here, self._later = self._later, {}
                self.switches += 1
            length = min(self._here)
            self._visit(length, self._here.pop(length))

    def _begin(self) -> None:
        self.graph.expand(np.zeros(1, np.int64))
        if 0 in self.graph.breaches_of:
            self.found = Story(0, self.graph.breaches[self.graph.breaches_of[0][0]].broken, ())
            self.done = True
            return
        for actor, successor in enumerate(self.graph.followers(0)):
            if successor != NOWHERE:
                node = np.array([successor * self._actors + actor], np.int64)
                self._here.setdefault(1, []).append((node, np.full(1, -1, np.int64)))

    def _visit(self, length: int, many: list[tuple[Ints, Ints]]) -> None:
        nodes = np.concatenate([nodes for nodes, _ in many])
        came = np.concatenate([came for _, came in many])
        states = nodes // self._actors
        broken = np.flatnonzero(states < NOWHERE)
        if broken.size:
            self._meet(breach_of(int(states[broken[0]])), int(came[broken[0]]), int(nodes[broken[0]] % self._actors))
            return
        # Each once, in order of discovery: which of the smallest stories is found must not depend on state numbers.
        first = np.sort(np.unique(nodes, return_index=True)[1])
        nodes, came = nodes[first], came[first]
        self._room(int(nodes.max()))
        fresh = self._came[nodes] == -2
        nodes, came = nodes[fresh], came[fresh]
        if not nodes.size:
            return
        self._came[nodes] = came
        states, last = nodes // self._actors, nodes % self._actors
        self.graph.expand(states)
        for index in np.flatnonzero(np.isin(states, list(self.graph.breaches_of))):
            self._meet(self.graph.breaches_of[int(states[index])][0], int(came[index]), int(last[index]))
            return
        followers = self.graph.edges.of(states)
        for actor in range(self._actors):
            successors = followers[:, actor].astype(np.int64)
            able = successors != NOWHERE
            for layer, chosen in ((self._here, able & (last == actor)), (self._later, able & (last != actor))):
                if chosen.any():
                    layer.setdefault(length + 1, []).append((successors[chosen] * self._actors + actor, nodes[chosen]))

    def _room(self, node: int) -> None:
        if node >= len(self._came):
            more = max(node + 1, 2 * len(self._came)) - len(self._came)
            self._came = np.concatenate([self._came, np.full(more, -2, np.int64)])

    def _meet(self, breach: int, came: int, last: int) -> None:
        choices = [self.graph.actors[last]]
        while came >= 0:
            choices.append(self.graph.actors[came % self._actors])
            came = int(self._came[came])
        self.found = Story(self.switches, self.graph.breaches[breach].broken, tuple(reversed(choices)))
        self.done = True


class ArraySearch:
    """A :class:`~p2plab.search.graph.Searcher`.

    First all states breadth first; once something is known to break, or under a bound, layer by layer.
    """

    def __init__(self, model: Model, bound: int | None) -> None:
        self.model, self.bound = model, bound
        self._seed = 1
        self._begin()

    def _begin(self) -> None:
        self.graph: NumberedGraph = ArrayGraph(self.model, self._seed)
        self.breadth = Breadth(self.graph)
        self.layers: ArrayLayers | None = None

    def move(self, graph: NumberedGraph) -> None:
        """Go on in another graph, which has taken over this one's content."""
        self.graph = self.breadth.graph = graph
        if self.layers is not None:
            self.layers.graph = graph

    @property
    def frontier(self) -> int:
        """How many states or steps wait to be followed."""
        return self.breadth.frontier if self.layers is None else self.layers.frontier

    @property
    def switches(self) -> int:
        """The number of switches tried so far, if searched in that order."""
        return 0 if self.layers is None else self.layers.switches

    @property
    def complete(self) -> bool:
        """Whether every state was expanded and nothing breaks."""
        return self.breadth.complete and not self.graph.breaches

    @property
    def found(self) -> Story | None:
        """The simplest story."""
        return None if self.layers is None else self.layers.found

    @property
    def done(self) -> bool:
        """Whether there is nothing more to do."""
        return self.complete or (self.layers is not None and self.layers.done)

    def advance(self, seconds: float, states: int) -> None:
        """Go on for about that long, up to that many states."""
        try:
            if self.layers is None and self.bound is None and not self.graph.breaches:
                self.breadth.advance(seconds, states)
            if self.layers is None and (self.bound is not None or self.graph.breaches):
                self.layers = ArrayLayers(self.graph, self.bound)
            if self.layers is not None:
                self.layers.advance(seconds)
        except Collision:  # two states with one hash, which is very rare: other random numbers tell them apart
            self._seed += 1
            self._begin()
