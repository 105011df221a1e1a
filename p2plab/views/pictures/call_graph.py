"""The call graph as a picture: parties in columns from caller to callee; what is never set or called is drawn as well."""

from __future__ import annotations

from typing import Any

from p2plab.core.run import Run
from p2plab.views.callgraph import NOBODY, CallGraph, call_graph, call_graph_text
from p2plab.views.picture import AMBER, INK, MINT, PALE, PAPER, ColumnBuilder, Picture, RunPicture

#: The columns are placed from 0 to this.
WIDTH = 3.0
#: Where ``nobody`` is drawn; the other parties are spread around 0.
BELOW = -1.7
#: A party's box, across and down.
BOX = (0.32, 0.5)
#: How far the lines of two that call each other are from the middle.
APART = 0.17
#: The place where the two callbacks are set.
VM_OPS = "vm_ops"


def call_graph_picture(run: Run, step: int) -> Picture:
    """The setters and the callers of the callbacks in the first ``step`` steps."""
    graph = call_graph(entry for entry in run.log if entry.step <= step)
    links = _links(graph)
    places = _places([(caller, target) for caller, target, _ in links])
    parties = ColumnBuilder("x", "y", "label", "colour")
    for name, (x, y) in places.items():
        colour = AMBER if name == NOBODY else MINT if name == VM_OPS else PALE
        parties.row(x=x, y=y, label=name, colour=colour)
    calls = ColumnBuilder("x0", "y0", "x1", "y1", "x", "y", "label")
    joined = _joined(links)
    for (caller, target), words in joined.items():
        x0, y0, x1, y1 = _between(places[caller], places[target])
        if (target, caller) in joined:  # two lines beside each other
            apart = APART if caller < target else -APART
            y0, y1 = y0 + apart, y1 + apart
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        calls.row(x0=x0, y0=y0, x1=x1, y1=y1, x=x, y=y, label=words)
    words = call_graph_text(graph).replace("\n", "; ")
    return Picture(f"In this run: {words}.", {"parties": parties.columns, "calls": calls.columns})


def _between(caller: tuple[float, float], target: tuple[float, float]) -> tuple[float, float, float, float]:
    """From the edge of one box to the edge of the other, so that an arrowhead is visible; a box's call of itself is a point."""
    (x0, y0), (x1, y1) = caller, target
    dx, dy = x1 - x0, y1 - y0
    if not dx and not dy:
        return x0, y0, x1, y1
    share = min(BOX[0] / 2 / abs(dx) if dx else 1, BOX[1] / 2 / abs(dy) if dy else 1)
    return x0 + dx * share, y0 + dy * share, x1 - dx * share, y1 - dy * share


def call_graph_figure(_run: Run) -> Any:
    """Feeds on ``parties`` and ``calls`` of :func:`call_graph_picture`."""
    from p2plab.views import figures as f  # Bokeh is imported only where something is drawn

    across, down = (-0.25, 3.25), (-2.2, 2.2)
    plot = f.new_figure("Who sets and who calls the callbacks", x=across, y=down, height=280)
    calls = f.new_source("calls", "x0", "y0", "x1", "y1", "x", "y", "label")
    plot.segment("x0", "y0", "x1", "y1", source=calls, line_color=INK, line_width=1.5)
    f.arrowheads(plot, calls)
    paper = {"background_fill_color": PAPER, "background_fill_alpha": 0.9, "text_line_height": 1.1}
    plot.text("x", "y", text="label", source=calls, **(f.LABEL | paper | {"text_font_size": "12px"}))
    parties = f.new_source("parties", "x", "y", "label", "colour")
    plot.rect("x", "y", *BOX, source=parties, fill_color="colour", line_color=INK)
    plot.text("x", "y", text="label", source=parties, **f.IN_BOX)
    plot.axis.visible = False
    return plot


def _links(graph: CallGraph) -> list[tuple[str, str, str]]:
    """(from, to, words) of everything to draw."""
    links = [(who, VM_OPS, f"sets {name}") for name, setters in graph.setters.items() for who in setters]
    links += [(e.caller, e.target, f"{e.function} ×{e.times}") for e in graph.edges]
    links += [(NOBODY, VM_OPS, f"calls {name}") for name in graph.uncalled]
    return links


def _joined(links: list[tuple[str, str, str]]) -> dict[tuple[str, str], str]:
    """One line between two parties, for all that it carries."""
    joined: dict[tuple[str, str], list[str]] = {}
    for caller, target, words in links:
        joined.setdefault((caller, target), []).append(words)
    return {pair: "\n".join(words) for pair, words in joined.items()}


def _places(pairs: list[tuple[str, str]]) -> dict[str, tuple[float, float]]:
    """A column for each party, right of all its callers; centred in its column."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    column = dict.fromkeys(names, 0)
    for _ in names:  # enough rounds for any chain; a circle of calls stops growing here
        for caller, target in pairs:
            if caller != target and column[target] <= column[caller] < len(names) - 1:
                column[target] = column[caller] + 1
    places = {}
    last = max(column.values(), default=0)
    if NOBODY in column:  # is drawn below, where its line to the uncalled callback crosses no box
        places[NOBODY] = (WIDTH * column[NOBODY] / max(last, 1), BELOW)
    for number in sorted(set(column.values())):
        here = [name for name in names if column[name] == number and name != NOBODY]
        for row, name in enumerate(here):
            places[name] = (WIDTH * number / max(last, 1), (len(here) - 1) / 2 - row)
    return places


PICTURE = RunPicture(
    "call-graph", "who sets and who calls", lambda at: call_graph_picture(at.run, at.step), call_graph_figure
)
