"""More pictures of a lab, in its drawer: long timelines, large apertures, who calls whom, the PCI tree, memory byte by byte."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as widgets

from p2plab.lab.checker import Checker
from p2plab.lab.explorer import Explorer
from p2plab.lab.pane import BokehPane
from p2plab.lab.session import Session
from p2plab.p2p.things import things_of
from p2plab.views import figures
from p2plab.views.barmap import bar_map
from p2plab.views.callgraph_picture import call_graph_picture
from p2plab.views.damage import memory_picture
from p2plab.views.figures_more import call_graph_figure, tree_figure
from p2plab.views.pci_pictures import tree_picture
from p2plab.views.picture import Picture
from p2plab.views.timeline import timeline

#: What is in it: the name of the picture, and its title.
PICTURES = {
    "timeline": "timeline of the whole run",
    "bar-map": "BAR aperture, slot by slot",
    "call-graph": "who sets and who calls",
    "pci-tree": "PCI tree",
    "memory": "device memory",
    "states": "states of the last search",
}


class More:
    """An accordion. A picture is made when its part is opened for the first time, and follows the run while it is open."""

    def __init__(self, frame: Explorer, session: Session, checker: Checker) -> None:
        self.session, self.checker = session, checker
        self.panes: dict[str, BokehPane] = {}
        self._drawn_for: dict[str, Any] = {}
        self._taps = {
            "bar-map": frame.handler(lambda x, _y: session.follow_slot(round(x))),
            "timeline": frame.handler(lambda x, _y: session.look_at(round(x))),
        }
        self.memory, self.states = widgets.HTML(), widgets.VBox()
        self.parts = {name: widgets.VBox() for name in PICTURES}
        self.parts |= {"memory": self.memory, "states": self.states}
        self.box = widgets.Accordion(list(self.parts.values()))
        self.box.titles = tuple(PICTURES.values())
        self.box.observe(frame.handler(lambda _change: None), "selected_index")

    def open(self, name: str) -> None:
        """As clicking the title of a part."""
        self.box.selected_index = list(self.parts).index(name)

    def refresh(self) -> None:
        """Show the session as it is, in the part that is open."""
        if self.box.selected_index is None:
            return
        name = list(self.parts)[self.box.selected_index]
        if name == "memory":
            self.memory.value = self._memory()
        elif name == "states":
            self._states()
        else:
            self._picture(name)

    def _picture(self, name: str) -> None:
        run, step = self.session.run, self.session.step
        figure: dict[str, Callable[[], Any]] = {
            "timeline": lambda: figures.timeline_figure(run),
            "bar-map": lambda: figures.bar_map_figure(run),
            "call-graph": call_graph_figure,
            "pci-tree": lambda: tree_figure(things_of(run.world).machine),
        }
        picture: dict[str, Callable[[], Picture]] = {
            "timeline": lambda: timeline(run, step, self.session.board),
            "bar-map": lambda: bar_map(run, step, self.session.page),
            "call-graph": lambda: call_graph_picture(run, step),
            "pci-tree": self._tree,
        }
        shape = self._shape()
        if name not in self.panes:
            self.panes[name] = BokehPane(name, figure[name](), picture[name](), self._taps.get(name))
            self.parts[name].children = (self.panes[name],)
        else:
            self.panes[name].show(picture[name](), figure[name]() if self._drawn_for[name] != shape else None)
        self._drawn_for[name] = shape

    def _shape(self) -> tuple[Any, ...]:
        """What a figure itself depends on, apart from its columns."""
        world = self.session.run.world
        things = things_of(world)
        return self.session.run.scenario.name, things.width, len(things.exporters[0].aperture), tuple(world.actors)

    def _tree(self) -> Picture:
        things = things_of(self.session.run.world)
        importers = [importer.peer.bdf for importer in things.importers]
        provider = things.exporters[0].bdf
        return tree_picture(things.machine, provider, importers[0] if importers else provider)

    def _states(self) -> None:
        words = "Press “check every order” first; a search of few states is drawn here."
        self.states.children = (self.checker.graph or widgets.HTML(f"<p>{words}</p>"),)

    def _memory(self) -> str:
        picture = memory_picture(self.session.run, self.session.step)
        lines = "".join(
            f'<tr class="{"broken" if row.destroyed else ""}"><td>{escape(row.memory)} {row.frame}</td>'
            f"<td>{escape(row.page or '-')}</td><td>{escape(row.owner or '-')}</td><td>{row.generation}</td>"
            f"<td>{escape(row.shown)}</td><td><code>{escape(row.text)}</code></td>"
            f"<td>{'DAMAGED' if row.destroyed else ''}</td></tr>"
            for row in picture.rows
        )
        head = "".join(f"<th>{name}</th>" for name in ("frame", "page", "owner", "generation", "where", "bytes", ""))
        table = f'<table class="p2plab-board" data-view="memory"><tr>{head}</tr>{lines}</table>'
        return f'<p>{escape(picture.alt)}</p><div style="overflow-x:auto">{table}</div>'
