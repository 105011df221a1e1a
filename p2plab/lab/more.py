"""More pictures of a lab, folded away: who calls whom, the PCI tree, and device memory byte by byte."""

from __future__ import annotations

from html import escape

import ipywidgets as widgets

from p2plab.lab.pane import BokehPane
from p2plab.lab.session import Session
from p2plab.p2p.things import things_of
from p2plab.views.callgraph_picture import call_graph_picture
from p2plab.views.damage import memory_picture
from p2plab.views.figures_more import call_graph_figure, tree_figure
from p2plab.views.pci_pictures import tree_picture
from p2plab.views.picture import Picture


class More:
    """An accordion; a picture is refreshed only when its data changed."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.graph = BokehPane("call-graph", call_graph_figure(), self._graph())
        self.tree = BokehPane("pci-tree", tree_figure(things_of(session.run.world).machine), self._tree())
        self.memory = widgets.HTML()
        self.box = widgets.Accordion([self.graph, self.tree, self.memory])
        self.box.titles = ("who sets and who calls", "PCI tree", "device memory")

    def refresh(self) -> None:
        """Show the session as it is."""
        self.graph.show(self._graph())
        self.tree.show(self._tree())
        self.memory.value = self._memory()

    def _graph(self) -> Picture:
        return call_graph_picture(self.session.run, self.session.step)

    def _tree(self) -> Picture:
        things = things_of(self.session.run.world)
        importers = [importer.peer.bdf for importer in things.importers]
        provider = things.exporters[0].bdf
        return tree_picture(things.machine, provider, importers[0] if importers else provider)

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
