"""The pictures of a lab, in its drawer: every picture of a run, and the states of the last search."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from p2plab.lab.checker import Checker
from p2plab.lab.explorer import Explorer
from p2plab.lab.pane import BokehPane
from p2plab.lab.session import Session
from p2plab.p2p.things import things_of
from p2plab.views.picture import Look, RunPicture
from p2plab.views.pictures import PICTURES


class More:
    """An accordion. A picture is made when its part is first opened, and follows the run while it is open."""

    def __init__(self, frame: Explorer, session: Session, checker: Checker) -> None:
        self.session, self.checker = session, checker
        self.panes: dict[str, BokehPane] = {}
        self._drawn_for: dict[str, Any] = {}
        self._frame = frame
        self.tables = {name: widgets.HTML() for name, picture in PICTURES.items() if picture.table is not None}
        self.states = widgets.VBox()
        self.parts = {name: self.tables.get(name, widgets.VBox()) for name in PICTURES} | {"states": self.states}
        self.box = widgets.Accordion(list(self.parts.values()))
        self.box.titles = (*(picture.title for picture in PICTURES.values()), "states of the last search")
        self.box.observe(frame.handler(lambda _change: None), "selected_index")

    def open(self, name: str) -> None:
        """As clicking the title of a part."""
        self.box.selected_index = list(self.parts).index(name)

    def refresh(self) -> None:
        """Show the session as it is, in the part that is open."""
        if self.box.selected_index is None:
            return
        name = list(self.parts)[self.box.selected_index]
        if name == "states":
            self._states()
            return
        picture, at = PICTURES[name], Look(self.session.run, self.session.step, self.session.page)
        if picture.table is not None:
            self.tables[name].value = picture.table(at)
        else:
            self._draw(picture, at)

    def _draw(self, picture: RunPicture, at: Look) -> None:
        name, shape, tapped = picture.name, self._shape(), picture.tapped
        assert picture.figure is not None
        if name not in self.panes:
            heard = self._frame.handler(lambda x, y: tapped(self.session, x, y)) if tapped is not None else None
            self.panes[name] = BokehPane(name, picture.figure(at.run), picture.draw(at), heard)
            self.parts[name].children = (self.panes[name],)
        else:
            another = picture.figure(at.run) if self._drawn_for[name] != shape else None
            self.panes[name].show(picture.draw(at), another)
        self._drawn_for[name] = shape

    def _shape(self) -> tuple[Any, ...]:
        """What shapes a figure, apart from its columns."""
        world = self.session.run.world
        things = things_of(world)
        return self.session.run.scenario.name, things.width, len(things.exporters[0].aperture), tuple(world.actors)

    def _states(self) -> None:
        words = "Press “check every order” first; a search of few states is drawn here."
        self.states.children = (self.checker.graph or widgets.HTML(f"<p>{words}</p>"),)
