"""The *check* button: every order of events of this scene, searched a slice at a time so that the page stays alive.

The search, and NumPy with it, is imported when the button is pressed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

from p2plab.lab.explorer import Explorer
from p2plab.lab.pane import BokehPane
from p2plab.lab.session import Session

if TYPE_CHECKING:
    from p2plab.search import Checking

#: The kernel is busy for at most about this long (seconds) before it listens to the page again.
SLICE = 0.05
#: A search in the lab gives up after this many seconds and says how far it came.
BUDGET = 60.0
#: Maximum number of processes for a large search; never more than there are processors.
WORKERS = 4


class Checker:
    """Progress and answer. A counterexample opens in the lab; the previous run is kept as a token.

    ``said`` is what the stage shows of it: ``words``, ``tone`` and whether it is ``running``; empty before the first search.
    """

    def __init__(self, frame: Explorer, session: Session) -> None:
        self.frame, self.session = frame, session
        self.search: Checking | None = None
        self.task: asyncio.Task[None] | None = None
        self.said: dict[str, Any] = {}
        self.graph: BokehPane | None = None  #: the explored states, if few enough

    def begin(self) -> None:
        """Search; with a page waiting a slice at a time, else to the end. Nothing if a search is under way."""
        if self.said.get("running"):
            return
        from p2plab.search import Checking

        settings = dict(self.session.run.settings)
        if "play" in settings:
            settings["play"] = "story"  # by hand, no button would ever be pressed
        self.search = Checking(self.session.run.scenario, knobs=settings, budget=BUDGET, workers=workers())
        self.graph = None
        self._progress()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no page is waiting: a script, or a test
            while self._slice():
                pass
        else:
            self.task = loop.create_task(self._slices())

    def cancel(self) -> None:
        """Stop, and say how far it came."""
        if self.search is not None:
            self.search.cancel()

    def close(self) -> None:
        """Clear the answer."""
        if not self.said.get("running"):
            self.said = {}

    async def _slices(self) -> None:
        """Slice by slice, with the page's messages in between; what it raises is shown by the lab's guard."""
        go_on = True

        def one() -> None:
            nonlocal go_on
            go_on = False
            go_on = self._slice()

        while go_on:
            self.frame.guard(one)()
            await asyncio.sleep(0.01)

    def _slice(self) -> bool:
        """Search a little; whether there is more to do."""
        from p2plab.search import Pass, Violation
        from p2plab.views.report import headline, shrunk

        assert self.search is not None
        self.said["running"] = False  # unless it goes on: an error must not leave the button dead
        verdict = self.search.advance(SLICE)
        if verdict is None:
            self._progress()
            self.frame.refresh()
            return True
        words, tone = headline(verdict), "good" if isinstance(verdict, Pass) else "wait"
        if isinstance(verdict, Violation):
            self.session.show(verdict.run)
            smaller = f" {shrunk(verdict, verdict.shrunk)}." if verdict.shrunk is not None else ""
            words, tone = f"{words}. It is open here: {verdict.what}.{smaller}", "bad"
        self.said = {"words": words, "tone": tone, "running": False}
        self._draw()
        self.frame.refresh()
        return False

    def _draw(self) -> None:
        """The explored states, where they are few enough to be told apart."""
        from p2plab.views.state_graph import MOST, depth_of, picture_of, state_graph, state_graph_figure

        assert self.search is not None
        graph = self.search.graph
        if graph is not None and len(graph) <= MOST:
            seen = picture_of(graph)
            self.graph = BokehPane("state-graph", state_graph_figure(depth_of(seen)), state_graph(seen))

    def _progress(self) -> None:
        assert self.search is not None
        p = self.search.progress
        doing = f"{p.frontier:,} to follow, up to {p.switches} switches, {p.seconds:.1f} s"
        if self.search.shrinking:
            doing = "something breaks: looking for a smaller story"
        words = f"{p.states:,} states, {p.rate:,.0f} a second, {doing}"
        self.said = {"words": words, "tone": "wait", "running": True}


def workers() -> int:
    """How many processes a large search may have here: one where Python runs inside a browser."""
    if sys.platform == "emscripten":
        return 1
    return max(1, min(WORKERS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1))
