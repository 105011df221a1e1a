"""The *check* button: every order of events of this scene, searched a slice at a time so that the page stays alive."""

from __future__ import annotations

import asyncio
import os
import sys
from html import escape

import ipywidgets as widgets

from p2plab.lab.frame import Frame, row
from p2plab.lab.pane import BokehPane
from p2plab.lab.session import Session
from p2plab.search import Checking, Violation
from p2plab.search.picture import MOST, picture_of
from p2plab.search.report import headline, shrunk
from p2plab.views.figures_more import state_graph_figure
from p2plab.views.graph_picture import depth_of, state_graph

#: The kernel is busy for at most about this long (seconds) before it listens to the page again.
SLICE = 0.05
#: A search in the lab gives up after this many seconds and says how far it came.
BUDGET = 60.0
#: A large search is shared out among so many processes, where there are processors for them.
WORKERS = 4


class Checker:
    """Button, progress and answer. A counterexample opens in the lab; the run that was there is kept as a token."""

    def __init__(self, frame: Frame, session: Session) -> None:
        self.frame, self.session = frame, session
        self.search: Checking | None = None
        self.task: asyncio.Task[None] | None = None
        self.start = frame.button(
            "check every order", "is there an order of events that breaks a rule?", self._begin, "search"
        )
        self.stop = frame.button("cancel", "stop the search and say how far it came", self._cancel)
        self.stop.layout.display = "none"
        self.words = widgets.HTML()
        self.graph = widgets.VBox()
        self.box = widgets.VBox([row(self.start, self.stop, self.words), self.graph])

    def _begin(self) -> None:
        settings = dict(self.session.run.settings)
        if "play" in settings:
            settings["play"] = "story"  # by hand nobody would do anything
        self.search = Checking(self.session.run.scenario, knobs=settings, budget=BUDGET, workers=workers())
        self._show(running=True)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no page is waiting: a script, or a test
            while self._slice():
                pass
        else:
            self.task = loop.create_task(self._slices())

    def _cancel(self) -> None:
        if self.search is not None:
            self.search.cancel()

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
        assert self.search is not None
        verdict = self.search.advance(SLICE)
        self._show(running=verdict is None)
        if verdict is None:
            return True
        said = escape(headline(verdict))
        if isinstance(verdict, Violation):
            self.session.show(verdict.run)
            smaller = f" {escape(shrunk(verdict, verdict.shrunk))}." if verdict.shrunk is not None else ""
            said = f'<span role="alert">{said}. It is open here: {escape(verdict.what)}.{smaller}</span>'
        self.words.value = f'<span data-view="check">{said}</span>'
        self._draw()
        self.frame.refresh()
        return False

    def _draw(self) -> None:
        """The explored states, where they are few enough to be told apart."""
        assert self.search is not None
        graph = self.search.graph
        if graph is None or len(graph) > MOST:
            self.graph.children = ()
            return
        seen = picture_of(graph)
        pane = BokehPane("state-graph", state_graph_figure(depth_of(seen)), state_graph(seen))
        folded = widgets.Accordion([pane])
        folded.titles = (f"the {len(seen.nodes)} states of this search",)
        self.graph.children = (folded,)

    def _show(self, running: bool) -> None:
        assert self.search is not None
        self.start.disabled = running
        self.stop.layout.display = "" if running else "none"
        if running:
            p = self.search.progress
            doing = f"{p.frontier:,} to follow, up to {p.switches} switches, {p.seconds:.1f} s"
            if self.search.shrinking:
                doing = "something breaks: looking for a smaller story"
            self.words.value = (
                f'<span data-view="check" role="status">{p.states:,} states, {p.rate:,.0f} a second, {doing}</span>'
            )


def workers() -> int:
    """How many processes a large search may have here: one where Python runs inside a browser."""
    if sys.platform == "emscripten":
        return 1
    return max(1, min(WORKERS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1))
