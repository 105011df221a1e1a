"""The linked pictures of one session: address space, BAR map, timeline; only what changed is sent."""

from __future__ import annotations

from typing import Any

from p2plab.lab.frame import Frame
from p2plab.lab.pane import BokehPane
from p2plab.lab.session import Session
from p2plab.p2p.things import things_of
from p2plab.views import figures
from p2plab.views.barmap import bar_map
from p2plab.views.picture import Picture
from p2plab.views.strip import address_space
from p2plab.views.timeline import timeline


class Panes:
    """``panes`` by name. Clicks into them go to the session: a page to follow, a step to look at."""

    def __init__(self, frame: Frame, session: Session) -> None:
        self.session = session
        taps = {
            "address-space": lambda x, _y: session.follow(int(x // 1)),
            "bar-map": lambda x, _y: session.follow_slot(round(x)),
            "timeline": lambda x, _y: session.look_at(round(x)),
        }
        drawn, pictures = self._figures(), self._pictures()
        self.panes = {name: BokehPane(name, drawn[name], pictures[name], frame.handler(taps[name])) for name in drawn}
        self._drawn_for = self._shape()

    def refresh(self) -> None:
        """Show the session as it is."""
        new = self._figures() if self._shape() != self._drawn_for else {}
        self._drawn_for = self._shape()
        for name, picture in self._pictures().items():
            self.panes[name].show(picture, new.get(name))

    def _pictures(self) -> dict[str, Picture]:
        run, step, page = self.session.run, self.session.step, self.session.page
        return {
            "address-space": address_space(run, step, page),
            "bar-map": bar_map(run, step, page),
            "timeline": timeline(run, step, self.session.board),
        }

    def _figures(self) -> dict[str, Any]:
        run = self.session.run
        return {
            "address-space": figures.address_space_figure(run),
            "bar-map": figures.bar_map_figure(run),
            "timeline": figures.timeline_figure(run),
        }

    def _shape(self) -> tuple[Any, ...]:
        """What a figure itself depends on, apart from its columns."""
        things = things_of(self.session.run.world)
        slots = len(things.exporters[0].aperture)
        return self.session.run.scenario.name, things.width, slots, tuple(self.session.run.world.actors)
