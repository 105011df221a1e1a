"""Handing a large search over to workers, and taking it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from p2plab.core.errors import BadInput
from p2plab.search.parallel.team import NoWorkers
from p2plab.search.search import Search

if TYPE_CHECKING:
    from distributed import Client

    from p2plab.search.parallel.graph import SharedGraph
    from p2plab.search.parallel.team import Team

#: Number of states from which workers are used: below it they cost more than they gain.
PAYS = 500_000
#: Seconds after the budget in which a worker may still answer.
GRACE = 3.0
#: Maximum number of workers.
MOST = 256


def team_for(workers: int, cluster: str | Client | None) -> Callable[[], Team] | None:
    """A function that makes the requested team; None for a search in one process. :exc:`BadInput`."""
    if not 1 <= workers <= MOST:
        raise BadInput(f"workers={str(workers)[:20]} is not possible; allowed: 1 to {MOST}")
    if cluster is not None:
        from p2plab.search.parallel.cluster import Cluster

        parts = workers if workers > 1 else None
        Cluster(cluster, parts).close()  # a mistyped address is an error at once
        return lambda: Cluster(cluster, parts)
    if workers == 1:
        return None
    return lambda: _processes(workers)


def _processes(workers: int) -> Team:
    try:
        from p2plab.search.parallel.processes import Processes

        return Processes(workers)
    except (ImportError, OSError) as error:
        raise NoWorkers(f"no other process can be started here ({error}); ask for one worker") from None


class Sharing:
    """Gives a search to a team once it is large; again if it restarted, because of two states with one hash."""

    def __init__(self, search: Search, make: Callable[[], Team]) -> None:
        self.team: Team | None = None
        self._graph: SharedGraph | None = None
        self.search = search
        self.lost = 0  #: how many workers died so far and were replaced
        self._make = make

    def look(self) -> None:
        """Hand the search over if it is time. :exc:`NoWorkers`."""
        arrays = self.search.arrays
        if self.team is not None and self.search.budget is not None:
            self.team.limit(max(0.0, self.search.budget - self.search.progress.seconds) + GRACE)
        if self.search.verdict is not None or not self.search.exact:  # the end, or a search that only replays
            self.close()
            return
        if arrays is None or arrays.graph is self._graph or len(arrays.graph) < PAYS // 2:
            return
        if self.team is None:
            self.team = self._make()  # they start up while the search goes on here
            if self.search.budget is not None:
                self.team.limit(max(0.0, self.search.budget - self.search.progress.seconds) + GRACE)
        if len(arrays.graph) < PAYS:
            return
        from p2plab.search.arrays.graph import ArrayGraph  # numpy: only now
        from p2plab.search.parallel.graph import SharedGraph

        self._forget()
        assert isinstance(arrays.graph, ArrayGraph)
        self._graph = SharedGraph(arrays.graph, self.team)
        arrays.move(self._graph)

    def close(self) -> None:
        """Let the workers go."""
        self._forget()
        if self.team is not None:
            self.team.close()
        self.team = None

    def __del__(self) -> None:
        """An abandoned search leaves no process behind."""
        self.close()

    def _forget(self) -> None:
        if self._graph is not None:
            self.lost += self._graph.losses
            self._graph.close()
        self._graph = None
