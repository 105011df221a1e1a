"""``check``: a search and then, where something breaks, its story made smaller. ``Checking`` is the same, in slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from p2plab.check.graph import StateGraph
from p2plab.check.parallel.share import Sharing, team_for
from p2plab.check.parallel.team import NoWorkers
from p2plab.check.search import Progress, Search
from p2plab.check.shrink import Shrinking
from p2plab.check.verdict import Effort, Incomplete, Verdict, Violation
from p2plab.core.scenario import Scenario

if TYPE_CHECKING:
    from distributed import Client

#: Seconds that making a story smaller may take at least; more if the search took more, and only what the budget leaves.
SHRINKING = 0.2


class Checking:
    """A check that can be watched and stopped: call :meth:`advance` until there is a ``verdict``."""

    def __init__(
        self,
        scene: Scenario,
        *,
        shrink: bool = True,
        workers: int = 1,
        cluster: str | Client | None = None,
        **options: Any,
    ) -> None:
        """``options`` are those of :class:`~p2plab.check.search.Search`. :exc:`BadInput` as there.

        ``workers``: so many processes share a large search; ``cluster``: those of a Dask cluster do (``tcp://host:port``,
        or a ``distributed.Client``). The answer is the same.
        """
        self.search = Search(scene, **options)
        make = team_for(workers, cluster)
        self.sharing = None if make is None else Sharing(self.search, make)
        self.verdict: Verdict | None = None
        self._options = options
        self._shrink = shrink
        self._shrinking: Shrinking | None = None

    def advance(self, seconds: float) -> Verdict | None:
        """Go on for about that long; the verdict, once there is one."""
        if self.verdict is not None:
            return self.verdict
        if self._shrinking is not None:
            if self._shrinking.advance(seconds):
                self.verdict = self._shrinking.answer
            return self.verdict
        found = self._searched(seconds)
        if isinstance(found, Violation) and self._shrink and (left := self._seconds_left(found)) > 0:
            self._shrinking = Shrinking(self.search.scene, found, left, self._options, exact=self.search.exact)
            return None
        self.verdict = found
        return found

    def cancel(self) -> Verdict:
        """Stop here: what was found so far, or how far the search came."""
        if self.verdict is None:
            self.verdict = self._shrinking.answer if self._shrinking is not None else self.search.cancel()
            if self.sharing is not None:
                self.sharing.close()
        return self.verdict

    @property
    def shrinking(self) -> bool:
        """Whether something breaks, and the story is being made smaller."""
        return self._shrinking is not None and self.verdict is None

    @property
    def progress(self) -> Progress:
        """How far the search is."""
        return self.search.progress

    @property
    def graph(self) -> StateGraph | None:
        """The states met so far; None before the first slice, and None where they are too many for this."""
        return self.search.graph

    def _searched(self, seconds: float) -> Verdict | None:
        if self.sharing is None:
            return self.search.advance(seconds)
        try:
            found = self.search.advance(seconds)
            self.sharing.look()
            return found
        except NoWorkers as error:
            self.sharing.close()
            effort = self.search.progress
            return Incomplete(self.search.scene.name, str(error), None, Effort(effort.states, 0, effort.seconds))
        except BaseException:
            self.sharing.close()
            raise

    def _seconds_left(self, found: Violation) -> float:
        seconds = max(SHRINKING, found.effort.seconds)
        budget = self.search.budget
        return seconds if budget is None else min(seconds, budget - found.effort.seconds)


def check(scene: Scenario, **options: Any) -> Verdict:
    """Try every order of a scene's events: see :class:`Checking` and :class:`~p2plab.check.search.Search` for the options.

    Takes up to ``budget`` seconds.
    """
    checking = Checking(scene, **options)
    while checking.advance(0.5) is None:
        pass
    assert checking.verdict is not None
    return checking.verdict
