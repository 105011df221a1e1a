"""How a search grows: state by state first, by symmetry if members are interchangeable, in arrays once it is large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from p2plab.search.graph import StateGraph
from p2plab.search.layers import Layers

if TYPE_CHECKING:
    from p2plab.search.freeze import CellName
    from p2plab.search.symmetric import SymmetricGraph, SymmetricSearch
    from p2plab.search.symmetry import Symmetry
    from p2plab.search.wide import WideGraph
    from p2plab.search.widesearch import WideSearch

#: States after which it is worth a look whether some actors are interchangeable.
WORTH_A_LOOK = 500


class Stages:
    """One search of a graph, whatever it is done with at the moment."""

    def __init__(self, graph: StateGraph, bound: int | None, most: int, small: int, symmetry: bool) -> None:
        """``most``: states; ``small``: so many are searched one by one."""
        self.bound, self.most = bound, most
        self.layers = Layers(graph, bound)
        self.symmetric: SymmetricSearch | None = None
        self.wide: WideSearch | None = None
        self.why_not = ""  #: why a search by symmetry was given up
        self._small = small
        self._looked = bound is not None or not symmetry  # symmetry has no notion of a switch
        self._symmetries: Iterator[tuple[Symmetry, frozenset[CellName]]] = iter(())

    @property
    def current(self) -> Layers | SymmetricSearch | WideSearch:
        """What the search is done with at the moment."""
        return self.wide or self.symmetric or self.layers

    @property
    def graph(self) -> StateGraph | SymmetricGraph | WideGraph:
        """The graph of :attr:`current`."""
        return self.current.graph

    @property
    def states(self) -> int:
        """The states met, or those that the orbits met stand for."""
        return self.symmetric.graph.full if self.current is self.symmetric and self.symmetric else len(self.graph)

    @property
    def found(self) -> tuple[int, int, tuple[str, ...]] | None:
        """(switches, goal, choices) of the simplest story."""
        if self.wide is None:
            return self.layers.found[0] if self.layers.found else None
        return self.wide.found

    def advance(self, seconds: float) -> None:
        """Go on for about that long; at most one stage further."""
        if self.wide is not None:
            self.wide.advance(seconds, self.most)
        elif self.symmetric is not None:
            self._by_symmetry(self.symmetric, seconds)
        else:
            limit = self._small if self._looked else min(WORTH_A_LOOK, self._small)
            self.layers.advance(seconds, states=min(limit, self.most))
            if not self.layers.done and self.layers.graph.expanded >= limit:
                self._grow()

    def without_symmetry(self, why: str) -> None:
        """Search on one by one: members are not interchangeable after all, or a story is wanted."""
        self.symmetric, self.why_not = None, why
        self._symmetries = iter(())

    def _by_symmetry(self, search: SymmetricSearch, seconds: float) -> None:
        from p2plab.search.symmetry import NotSymmetric

        try:
            search.advance(seconds, self.most)
        except NotSymmetric as error:
            self.why_not = str(error)
            self._next_symmetry()
        else:
            if search.broken:
                self.without_symmetry("something breaks, and the simplest story is looked for")

    def _grow(self) -> None:
        graph = self.layers.graph
        try:
            if self._looked:
                from p2plab.search.widesearch import WideSearch

                self.wide = WideSearch(graph, self.bound)
            else:
                from p2plab.search.members import interchangeable

                self._looked = True
                self._symmetries = interchangeable(graph)
                self._next_symmetry()
        except ImportError:  # in a browser there may be no numpy: the small search goes on by itself
            self._small, self._looked = self.most, True

    def _next_symmetry(self) -> None:
        """Search by the next symmetry that there may be; if there is none, on one by one."""
        self.symmetric = None
        for symmetry, ordered in self._symmetries:
            from p2plab.search.symmetric import SymmetricSearch

            self.symmetric = SymmetricSearch(self.layers.graph, symmetry, ordered)
            return
