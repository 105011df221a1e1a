"""More Bokeh figures (a machine, memory before and after, a call graph): made once, then only fed columns; exact hex labels."""

from __future__ import annotations

from typing import Any

from bokeh.models import HoverTool, Range1d

from p2plab.mm.ask import Effect
from p2plab.pci import Machine
from p2plab.views import mm_picture
from p2plab.views.figures import LABEL, hatch, legend_above, new_figure, new_source
from p2plab.views.pci_pictures import WIDTH, map_depth, tree_height
from p2plab.views.picture import GREY, INK, PAPER

#: How far to the right a line of the tree may begin and still be read.
TREE_WIDTH = 16


def address_map_figure(machine: Machine) -> Any:
    """Feeds on ``boxes`` and ``ticks`` of :func:`~p2plab.views.pci_pictures.address_map_picture`."""
    depth = map_depth(machine)
    across, down = Range1d(start=-5, end=WIDTH + 5), Range1d(start=depth + 0.1, end=-1.2)
    plot = new_figure(
        "Address map: windows around BARs, widths by logarithm", x_range=across, y_range=down, height=110 + 32 * depth
    )
    boxes = new_source("boxes", "left", "right", "bottom", "top", "label", "colour", "hover")
    drawn = plot.quad(
        left="left", right="right", bottom="bottom", top="top", source=boxes, fill_color="colour", line_color=INK,
        line_width=0.6,
    )  # fmt: skip
    words = LABEL | {"text_align": "left", "text_baseline": "top", "text_font_size": "12px"}
    plot.text("left", "bottom", text="label", source=boxes, x_offset=3, y_offset=4, **words)
    ticks = new_source("ticks", "x", "label")
    plot.scatter("x", -0.15, marker="inverted_triangle", size=7, color=INK, source=ticks)
    plot.text("x", -0.35, text="label", source=ticks, **(LABEL | {"text_baseline": "bottom", "text_font_size": "11px"}))
    plot.add_tools(HoverTool(renderers=[drawn], tooltips="@hover"))
    plot.axis.visible = False
    return plot


def tree_figure(machine: Machine) -> Any:
    """Feeds on ``lines`` and ``links`` of :func:`~p2plab.views.pci_pictures.tree_picture`."""
    count = tree_height(machine)
    across, down = Range1d(start=-0.5, end=TREE_WIDTH), Range1d(start=-count + 0.3, end=0.7)
    plot = new_figure("PCI tree", x_range=across, y_range=down, height=60 + 24 * count)
    links = new_source("links", "x0", "y0", "x1", "y1")
    plot.segment("x0", "y0", "x1", "y1", source=links, line_color=GREY)
    lines = new_source("lines", "x", "y", "label", "colour", "role")
    plot.scatter("x", "y", size=13, fill_color="colour", line_color=INK, source=lines)
    left = LABEL | {"text_align": "left"}
    plot.text("x", "y", text="label", source=lines, x_offset=12, **left)
    role = left | {"text_font_style": "bold", "text_align": "right"}
    plot.text(TREE_WIDTH - 0.1, "y", text="role", source=lines, **role)
    plot.axis.visible = False
    return plot


def before_and_after_figure(answer: Effect) -> Any:
    """Feeds on ``bars`` of :func:`~p2plab.views.mm_picture.before_and_after`; made anew for each answer."""
    lanes = mm_picture.rows(answer)
    low, high = mm_picture.extent(answer)
    across = Range1d(start=low - 0.5, end=high + 0.5)
    plot = new_figure("Before and after", x_range=across, y_range=lanes, height=114 + 34 * len(lanes))
    bars = new_source("bars", "left", "right", "row", "kind", "colour", "hatch", "hover")
    bar = {"y": "row", "left": "left", "right": "right", "height": 0.8}
    drawn = plot.hbar(source=bars, fill_color="colour", line_color=INK, line_width=0.6, legend_field="kind", **bar)
    hatch(plot.hbar, bars, **bar)
    legend_above(plot)
    labels = new_source("labels", "x", "row", "label")
    plot.text("x", "row", text="label", source=labels, x_offset=5, **(LABEL | {"text_align": "left"}))
    plot.add_tools(HoverTool(renderers=[drawn], tooltips="@hover"))
    plot.xaxis.axis_label = "page, from the start of the mapping"
    return plot


def call_graph_figure() -> Any:
    """Feeds on ``parties`` and ``calls`` of :func:`~p2plab.views.callgraph_picture.call_graph_picture`."""
    across, down = Range1d(start=-0.25, end=3.25), Range1d(start=-2.2, end=2.2)
    plot = new_figure("Who sets and who calls the callbacks", x_range=across, y_range=down, height=280)
    calls = new_source("calls", "x0", "y0", "x1", "y1", "x", "y", "label")
    plot.segment("x0", "y0", "x1", "y1", source=calls, line_color=INK, line_width=1.5)
    paper = {"background_fill_color": PAPER, "background_fill_alpha": 0.9, "text_line_height": 1.1}
    plot.text("x", "y", text="label", source=calls, **(LABEL | paper | {"text_font_size": "12px"}))
    parties = new_source("parties", "x", "y", "label", "colour")
    plot.rect("x", "y", 0.32, 0.5, source=parties, fill_color="colour", line_color=INK)
    plot.text("x", "y", text="label", source=parties, **LABEL)
    plot.axis.visible = False
    return plot


def state_graph_figure(depth: int) -> Any:
    """Feeds on ``nodes`` and ``steps`` of :func:`~p2plab.views.graph_picture.state_graph`."""
    across, down = Range1d(start=-0.6, end=depth + 1.2), Range1d(start=0, end=1)
    plot = new_figure("Every state that the search met", x_range=across, y_range=down, height=360)
    steps = new_source("steps", "x0", "y0", "x1", "y1", "actor", "colour")
    plot.segment("x0", "y0", "x1", "y1", source=steps, line_color="colour", line_width=1.3, legend_field="actor")
    nodes = new_source("nodes", "x", "y", "label", "colour", "size", "hover")
    drawn = plot.scatter("x", "y", size="size", source=nodes, fill_color="colour", line_color=INK)
    plot.text("x", "y", text="label", source=nodes, x_offset=9, **(LABEL | {"text_align": "left"}))
    plot.add_tools(HoverTool(renderers=[drawn], tooltips="@hover"))
    legend_above(plot)
    plot.yaxis.visible = False
    plot.xaxis.axis_label = "steps from the start"
    return plot
