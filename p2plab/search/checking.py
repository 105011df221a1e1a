"""``check`` searches and, if something breaks, shrinks the counterexample; ``Checking`` does the same in slices."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from p2plab.core.scenario import Scenario
from p2plab.search.graph import StateGraph
from p2plab.search.parallel.share import Sharing, team_for
from p2plab.search.parallel.team import NoWorkers
from p2plab.search.search import Progress, Search
from p2plab.search.shrink import Shrinking
from p2plab.search.verdict import Effort, Incomplete, Verdict, Violation

if TYPE_CHECKING:
    from distributed import Client

#: Seconds that shrinking may take: at least these, as many as the search took if those are more, and never over the budget.
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
        """``options`` are those of :class:`~p2plab.search.search.Search`. :exc:`BadInput` as there.

        ``workers``: number of processes that share a large search; ``cluster``: a Dask cluster whose workers share it
        (``tcp://host:port``, or a ``distributed.Client``). The answer is the same.
        """
        self.search = Search(scene, **options)
        make = team_for(workers, cluster)
        self.sharing = None if make is None else Sharing(self.search, make)
        self.verdict: Verdict | None = None
        self._options, self._budget = options, self.search.budget
        self._first: Violation | None = None  #: a shorter story that breaks another promise than the scene's own
        self._shrink = shrink
        self._shrinking: Shrinking | None = None

    def advance(self, seconds: float) -> Verdict | None:
        """Continue for about that long. Returns the verdict once there is one."""
        if self.verdict is not None:
            return self.verdict
        if self._shrinking is not None:
            if self._shrinking.advance(seconds):
                self.verdict = self._shrinking.answer
            return self.verdict
        found = self._searched(seconds)
        if found is None or self._looks_for_its_own(found):
            return None
        if self._first is not None:
            found = dataclasses.replace(found, also=self._first) if isinstance(found, Violation) else self._first
        if isinstance(found, Violation) and self._shrink and (left := self._left(found)) > 0:
            seconds = min(left, max(SHRINKING, found.effort.seconds))
            options = {**self._options, "closed": self.search.closed}
            self._shrinking = Shrinking(self.search.scene, found, seconds, options, exact=self.search.exact)
            return None
        self.verdict = found
        return found

    def _looks_for_its_own(self, found: Verdict) -> bool:
        """A scene of the catalogue is about one promise: if another one breaks first, the search goes on for its own."""
        scene, left = self.search.scene, self._left(found)
        own = scene.breaks
        if self._first is not None or not isinstance(found, Violation) or found.rule == own or left <= 0:
            return False
        if scene.cast or self._options.get("rules") is not None or own not in self.search.rules:
            return False
        self._first = found
        self._options = {**self._options, "rules": [own]}
        self.search = Search(scene, **{**self._options, "budget": None if self._budget is None else left})
        if self.sharing is not None:
            self.sharing.search = self.search
        return True

    def cancel(self) -> Verdict:
        """Stop. Returns what was found so far, or how far the search got."""
        if self.verdict is None:
            found = self._shrinking.answer if self._shrinking is not None else self._first
            self.verdict = found if found is not None else self.search.cancel()
            if self.sharing is not None:
                self.sharing.close()
        return self.verdict

    @property
    def shrinking(self) -> bool:
        """Whether something broke and the counterexample is being shrunk."""
        return self._shrinking is not None and self.verdict is None

    @property
    def progress(self) -> Progress:
        """How far the search has got."""
        return self.search.progress

    @property
    def graph(self) -> StateGraph | None:
        """The states visited so far; None before the first slice, and once there are too many of them."""
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
            known = self.search.scene.given(self.search.knobs)
            spent = Effort(effort.states, 0, effort.seconds)
            return Incomplete(self.search.scene.name, str(error), None, spent, knobs=known)
        except BaseException:
            self.sharing.close()
            raise

    def _left(self, found: Verdict) -> float:
        """Seconds left of the budget."""
        if self._budget is None:
            return float("inf")
        return self._budget - found.effort.seconds - (self._first.effort.seconds if self._first is not None else 0.0)


def check(scene: Scenario, **options: Any) -> Verdict:
    """Search every order of a scene's events. :class:`Checking` and :class:`~p2plab.search.search.Search` list the options.

    Takes up to ``budget`` seconds.
    """
    checking = Checking(scene, **options)
    while checking.advance(0.5) is None:
        pass
    assert checking.verdict is not None
    return checking.verdict
