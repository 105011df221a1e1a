"""The second half of a search that has grown: everything breadth first, and the simplest story if something breaks."""

from __future__ import annotations

from p2plab.search.graph import StateGraph
from p2plab.search.visited import Collision
from p2plab.search.wide import WideGraph
from p2plab.search.widelayers import Breadth, WideLayers


class WideSearch:
    """First all states in the order met; once something is known to break, or under a bound, layer by layer."""

    def __init__(self, small: StateGraph, bound: int | None) -> None:
        self.small, self.bound = small, bound
        self._seed = 1
        self._begin()

    def _begin(self) -> None:
        self.graph = WideGraph(self.small, self._seed)
        self.breadth = Breadth(self.graph)
        self.layers: WideLayers | None = None

    @property
    def frontier(self) -> int:
        """How many states or steps wait to be followed."""
        return self.breadth.frontier if self.layers is None else self.layers.frontier

    @property
    def switches(self) -> int:
        """The switches tried so far, where they are tried one by one."""
        return 0 if self.layers is None else self.layers.switches

    @property
    def complete(self) -> bool:
        """Whether every state was expanded and nothing breaks."""
        return self.breadth.complete and not self.graph.goals

    @property
    def found(self) -> tuple[int, int, tuple[str, ...]] | None:
        """(switches, goal, choices) of the simplest story."""
        return None if self.layers is None else self.layers.found

    @property
    def done(self) -> bool:
        """Whether there is nothing more to do."""
        return self.complete or (self.layers is not None and self.layers.done)

    def advance(self, seconds: float, states: int) -> None:
        """Go on for about that long, up to that many states."""
        try:
            if self.layers is None and self.bound is None and not self.graph.goals:
                self.breadth.advance(seconds, states)
            if self.layers is None and (self.bound is not None or self.graph.goals):
                self.layers = WideLayers(self.graph, self.bound)
            if self.layers is not None:
                self.layers.advance(seconds)
        except Collision:  # two states with one hash: once in a very long while; other random numbers tell them apart
            self._seed += 1
            self._begin()
