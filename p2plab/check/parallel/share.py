"""Handing a search that has grown over to workers: when, to whom, and back."""

from __future__ import annotations

from collections.abc import Callable

from p2plab.check.parallel.graph import SharedGraph
from p2plab.check.parallel.team import Team
from p2plab.check.search import Search

#: States from which on workers are asked: before that they cost more than they bring.
PAYS = 200_000


class Sharing:
    """Gives a search to a team once it is large; again if it began anew, because of two states with one hash."""

    def __init__(self, search: Search, make: Callable[[], Team], pays: int = PAYS) -> None:
        self.search, self.pays = search, pays
        self.team: Team | None = None
        self._make = make
        self._graph: SharedGraph | None = None

    def look(self) -> None:
        """Hand the search over if it is time. :exc:`NoWorkers`."""
        wide = self.search.wide
        if wide is None or wide.graph is self._graph or len(wide.graph) < self.pays or self.search.verdict is not None:
            return
        self._forget()
        if self.team is None:
            self.team = self._make()
        self._graph = SharedGraph(wide.graph, self.team)
        wide.graph = wide.breadth.graph = self._graph
        if wide.layers is not None:
            wide.layers.graph = self._graph

    def close(self) -> None:
        """Let the workers go."""
        self._forget()
        if self.team is not None:
            self.team.close()

    def _forget(self) -> None:
        if self._graph is not None:
            self._graph.close()
        self._graph = None
