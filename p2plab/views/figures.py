"""The parts of all Bokeh figures, and the only module of the views that imports Bokeh.

A figure is made once and then only fed columns; labels are exact hex text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bokeh.core.properties import value
from bokeh.models import CDSView, ColumnDataSource, GroupFilter, HoverTool, Range1d
from bokeh.models.annotations.arrows import Arrow, NormalHead
from bokeh.plotting import figure

from p2plab.views.picture import CROSSES, GREY, INK, LINES, ON_FILL, PAPER

FONT = "13px"
FAMILY = "Arial"

#: Up to this many boxes side by side have room for labels; the words below and the pointer name every one.
LABELLED = 32

#: With more boxes than this an edge around each would hide what is inside, and so would hatching.
MANY = 500


def hatch(glyph: Callable[..., Any], source: ColumnDataSource, **place: Any) -> None:
    """Hatch the rows whose ``hatch`` column asks for it. A pattern per row would be a canvas made per row and per update:
    of a click on 200 boxes that was more than half of the time.
    """
    for pattern in (LINES, CROSSES):
        view = CDSView(filter=GroupFilter(column_name="hatch", group=pattern))
        look = {"hatch_pattern": value(pattern), "hatch_color": ON_FILL, "hatch_alpha": 0.4, "hatch_scale": 16}
        glyph(source=source, view=view, fill_alpha=0, line_alpha=0, **place, **look)


def arrowheads(plot: Any, source: ColumnDataSource) -> None:
    """A head at the end (x1, y1) of each line of the source."""
    head = NormalHead(size=9, fill_color=INK, line_color=INK)
    ends: dict[str, Any] = {"x_start": "x0", "y_start": "y0", "x_end": "x1", "y_end": "y1"}
    plot.add_layout(Arrow(end=head, source=source, **ends))


def legend_above(plot: Any) -> None:
    """The legend of a figure as one row above it, out of the way of what is drawn."""
    legend = plot.legend[0]
    plot.add_layout(legend, "above")
    legend.orientation = "horizontal"
    legend.border_line_color = None
    legend.background_fill_color = PAPER
    legend.label_text_font = FAMILY
    legend.padding, legend.margin, legend.spacing = 0, 2, 8
    legend.glyph_width, legend.glyph_height = 12, 12
    legend.label_text_font_size, legend.label_text_color = "12px", INK


def ticks(count: int) -> list[int]:
    """Places of the marks on an axis of ``count`` boxes: all of them while they can be read, then every 2nd, 4th, …"""
    apart = 1
    while count > LABELLED * apart:
        apart *= 2
    return list(range(0, count, apart))


#: The style of a label on paper, and of one inside a box.
LABEL = {
    "text_align": "center",
    "text_baseline": "middle",
    "text_font": value(FAMILY),
    "text_font_size": FONT,
    "text_color": INK,
}
IN_BOX = LABEL | {"text_color": ON_FILL}


def new_source(name: str, *columns: str) -> ColumnDataSource:
    """An empty source that the browser finds by its name."""
    return ColumnDataSource({column: [] for column in columns}, name=name)


#: The ends of an axis, or the names of its rows.
Axis = tuple[float, float] | list[str]


def new_figure(title: str, height: int, x: Axis | None = None, y: Axis | None = None) -> Any:
    """A figure without a toolbar that takes the focus; ``height`` in pixels. Each of its colours is one of
    :mod:`~p2plab.views.picture`, so that the page can replace it by the dark one (:mod:`~p2plab.views.styles`).
    """
    axes: dict[str, Any] = {}
    for name, axis in (("x_range", x), ("y_range", y)):
        if axis is not None:
            axes[name] = Range1d(start=axis[0], end=axis[1]) if isinstance(axis, tuple) else axis
    plot: Any = figure(
        title=title, toolbar_location=None, tools="", sizing_mode="stretch_width", min_width=320, height=height, **axes
    )
    plot.background_fill_color = plot.border_fill_color = PAPER
    plot.grid.visible = False
    plot.outline_line_color = None
    plot.title.text_font_size, plot.title.text_color, plot.title.text_font = "14px", INK, FAMILY
    for axis in plot.axis:
        axis.major_label_text_font_size = axis.axis_label_text_font_size = FONT
        axis.major_label_text_color = axis.axis_label_text_color = INK
        axis.major_label_text_font = axis.axis_label_text_font = FAMILY
        axis.axis_line_color = axis.major_tick_line_color = GREY
        axis.minor_tick_line_color = None
    return plot


def hover(plot: Any, drawn: Any) -> None:
    """The pointer over a glyph shows its ``hover`` column."""
    plot.add_tools(HoverTool(renderers=[drawn], tooltips="@hover"))
