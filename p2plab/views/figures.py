"""The Bokeh figures behind the views. Each is made once and then only fed columns; labels are exact hex text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bokeh.core.properties import value
from bokeh.models import CDSView, ColumnDataSource, GroupFilter, HoverTool, Range1d
from bokeh.plotting import figure

from p2plab.core.run import Run
from p2plab.p2p.things import things_of
from p2plab.views.barmap import ROWS
from p2plab.views.picture import CROSSES, GREY, INK, LINES, PAPER, RED
from p2plab.views.timeline import lanes_of

FONT = "13px"

#: Up to this many boxes beside each other have room for their labels; the words below and the pointer name every one.
LABELLED = 32

#: With more boxes than this an edge around each would hide what is inside, and so would hatching.
MANY = 500


def bar_map_figure(run: Run) -> Any:
    """Feeds on ``slots`` of :func:`~p2plab.views.barmap.bar_map`."""
    aperture = things_of(run.world).exporters[0].aperture
    plot = new_figure(
        "BAR aperture",
        x_range=Range1d(start=-0.6, end=len(aperture) - 0.4),
        y_range=Range1d(start=-0.6, end=3.6),
        height=236,
    )
    source = new_source("slots", "x", "y", "label", "colour", "hatch", "edge", "hover")
    many = len(aperture) > MANY
    drawn = plot.rect(
        "x",
        "y",
        1 if many else 0.94,
        0.86,
        source=source,
        fill_color="colour",
        line_color="colour" if many else INK,
        line_width="edge",
    )
    if not many:
        hatch(plot.rect, source, x="x", y="y", width=0.94, height=0.86)
    if len(aperture) <= LABELLED:
        plot.text("x", "y", text="label", source=source, **LABEL)
    plot.add_tools(HoverTool(renderers=[drawn], tooltips="@hover"))
    plot.yaxis.ticker = list(range(len(ROWS)))
    plot.yaxis.major_label_overrides = dict(enumerate(ROWS))
    plot.xaxis.ticker = ticks(len(aperture))
    plot.xaxis.axis_label = f"slot of 4 KiB, from {aperture.address(0):#x}"
    return plot


def timeline_figure(run: Run) -> Any:
    """Feeds on ``bars``, ``marks`` and ``cursor`` of :func:`~p2plab.views.timeline.timeline`."""
    lanes = lanes_of(run)
    plot = new_figure("Timeline", y_range=Range1d(start=0, end=len(lanes)), height=84 + 48 * len(lanes))
    bars = new_source("bars", "left", "right", "bottom", "top", "kind", "colour", "edge", "hover")
    drawn = plot.quad(
        left="left", right="right", bottom="bottom", top="top", source=bars, fill_color="colour", line_color=INK,
        line_width="edge", legend_field="kind",
    )  # fmt: skip
    legend_above(plot)
    marks = new_source("marks", "x", "y", "label", "colour", "align", "dx")
    plot.scatter("x", "y", source=marks, marker="x", size=18, line_width=4, color="colour")
    plot.text(
        "x", "y", text="label", source=marks, x_offset="dx", y_offset=-10, text_align="align", text_font_size=FONT,
        text_color=RED, text_font_style="bold", background_fill_color=PAPER, background_fill_alpha=0.85,
    )  # fmt: skip
    cursor = new_source("cursor", "x", "label")
    plot.ray("x", 0, angle=90, angle_units="deg", length=0, source=cursor, line_color=INK, line_dash="dashed")
    plot.add_tools(HoverTool(renderers=[drawn], tooltips="@hover"))
    plot.yaxis.ticker = [number + 0.5 for number in range(len(lanes))]
    plot.yaxis.major_label_overrides = {number + 0.5: name for number, name in enumerate(lanes)}
    plot.xaxis.axis_label = "step"
    return plot


def hatch(glyph: Callable[..., Any], source: ColumnDataSource, **place: Any) -> None:
    """Hatch the rows whose ``hatch`` column asks for it. A pattern per row would be a canvas made per row and per update:
    of a click on 200 boxes that was more than half of the time.
    """
    for pattern in (LINES, CROSSES):
        view = CDSView(filter=GroupFilter(column_name="hatch", group=pattern))
        look = {"hatch_pattern": value(pattern), "hatch_color": GREY, "hatch_alpha": 0.4, "hatch_scale": 16}
        glyph(source=source, view=view, fill_alpha=0, line_alpha=0, **place, **look)


def legend_above(plot: Any) -> None:
    """The legend of a figure as one row above it, out of the way of what is drawn."""
    legend = plot.legend[0]
    plot.add_layout(legend, "above")
    legend.orientation = "horizontal"
    legend.border_line_color = None
    legend.padding, legend.margin, legend.spacing = 0, 2, 8
    legend.glyph_width, legend.glyph_height = 12, 12
    legend.label_text_font_size, legend.label_text_color = "12px", INK


def ticks(count: int) -> list[int]:
    """Places of the marks on an axis of ``count`` boxes: all of them while they can be read, then every 2nd, 4th, …"""
    apart = 1
    while count > LABELLED * apart:
        apart *= 2
    return list(range(0, count, apart))


#: How a label inside a box is written.
LABEL = {
    "text_align": "center",
    "text_baseline": "middle",
    "text_font_size": FONT,
    "text_color": INK,
}


def new_source(name: str, *columns: str) -> ColumnDataSource:
    """An empty source that the browser finds by its name."""
    return ColumnDataSource({column: [] for column in columns}, name=name)


def new_figure(title: str, **options: Any) -> Any:
    """A figure on white paper, readable in either theme, without a toolbar that takes the focus."""
    plot: Any = figure(
        title=title, toolbar_location=None, tools="", sizing_mode="stretch_width", min_width=320, **options
    )
    plot.background_fill_color = plot.border_fill_color = PAPER
    plot.grid.visible = False
    plot.outline_line_color = None
    plot.title.text_font_size = "14px"
    for axis in plot.axis:
        axis.major_label_text_font_size = axis.axis_label_text_font_size = FONT
        axis.major_label_text_color = axis.axis_label_text_color = INK
        axis.minor_tick_line_color = None
    return plot
