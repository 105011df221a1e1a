"""How a search grows: state by state first, by symmetry if members are interchangeable, in arrays once it is large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from p2plab.search.graph import Graph, Searcher, StateGraph, Story
from p2plab.search.layers import Layers
from p2plab.search.model import Model

if TYPE_CHECKING:
    from p2plab.search.arrays.search import ArraySearch
    from p2plab.search.objects import CellName
    from p2plab.search.symmetry.graph import SymmetricSearch
    from p2plab.search.symmetry.members import Symmetry

#: States after which interchangeable actors are looked for.
WORTH_A_LOOK = 500


class Stages:
    """One search of a graph, with the searcher of its present stage."""

    def __init__(self, model: Model, bound: int | None, most: int, small: int, symmetry: bool) -> None:
        """``most``: maximum number of states; ``small``: states to search in plain Python before switching to numpy."""
        self.bound, self.most = bound, most
        self.model = model
        self.layers = Layers(StateGraph(model), bound)
        self.symmetric: SymmetricSearch | None = None
        self.arrays: ArraySearch | None = None
        self.why_not = ""  #: why a search by symmetry was given up
        self._small = small
        self._looked = bound is not None or not symmetry  # symmetry does not preserve switches
        self._symmetries: Iterator[tuple[Symmetry, frozenset[CellName]]] = iter(())

    @property
    def current(self) -> Searcher:
        """The searcher of the present stage."""
        return self.arrays or self.symmetric or self.layers

    @property
    def graph(self) -> Graph:
        """The graph of :attr:`current`."""
        return self.current.graph

    @property
    def found(self) -> Story | None:
        """The simplest story."""
        return self.current.found

    def advance(self, seconds: float) -> None:
        """Go on for about that long; at most one stage further."""
        if self.arrays is not None:
            self.arrays.advance(seconds, self.most)
        elif self.symmetric is not None:
            self._by_symmetry(self.symmetric, seconds)
        else:
            limit = self._small if self._looked else min(WORTH_A_LOOK, self._small)
            self.layers.advance(seconds, states=min(limit, self.most))
            if not self.layers.done and self.layers.graph.expanded >= limit:
                self._grow()

    def without_symmetry(self, why: str) -> None:
        """Go on state by state: members are not interchangeable after all, or a story is wanted."""
        self.symmetric, self.why_not = None, why
        self._symmetries = iter(())

    def _by_symmetry(self, search: SymmetricSearch, seconds: float) -> None:
        from p2plab.search.symmetry.members import NotSymmetric

        try:
            search.advance(seconds, self.most)
        except NotSymmetric as error:
            self.why_not = str(error)
            self._next_symmetry()
        else:
            if search.broken:
                self.without_symmetry("something breaks, and the simplest story is looked for")

    def _grow(self) -> None:
        try:
            if self._looked:
                from p2plab.search.arrays.search import ArraySearch

                self.arrays = ArraySearch(self.model, self.bound)
            else:
                from p2plab.search.symmetry.members import interchangeable

                self._looked = True
                self._symmetries = interchangeable(self.model)
                self._next_symmetry()
        except ImportError:  # in a browser there may be no numpy: the small search goes on alone
            self._small, self._looked = self.most, True

    def _next_symmetry(self) -> None:
        """Search by the next candidate symmetry; if there is none, state by state."""
        self.symmetric = None
        for symmetry, ordered in self._symmetries:
            from p2plab.search.symmetry.graph import SymmetricSearch

            self.symmetric = SymmetricSearch(self.model, symmetry, ordered)
            return
