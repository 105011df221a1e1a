"""An address space before and after an operation, with the range of each notifier call between them."""

from __future__ import annotations

from typing import Any

from p2plab.mm.ask import Effect
from p2plab.mm.snapshot import SpaceShot
from p2plab.views.mm_text import locks_text, page_of, pages_text
from p2plab.views.picture import INK, LINES, MINT, ORANGE, PALE, PLAIN, SKY, YELLOW, ColumnBuilder, Picture

#: What a stretch of pages is drawn as: colour and word.
WRITABLE, READ_ONLY, SWAPPED, NOTHING = (MINT, "writable"), (SKY, "read only"), (YELLOW, "swapped"), (PALE, "no page")
CALL = (ORANGE, "notifier call")
#: Maximum number of notifier calls that are drawn; the words count all.
MOST = 12


def before_and_after(answer: Effect) -> Picture:
    """Rows from top to bottom: before, each call's range, after; x counts pages from the start of the mapping."""
    bars = ColumnBuilder("left", "right", "row", "kind", "colour", "hatch", "hover")
    labels = ColumnBuilder("x", "row", "label")
    _shot(bars, labels, "before", answer.before)
    for number, row in enumerate(answer.rows[:MOST], 1):
        low, high = extent(answer)
        part = (low, high) if row.start is None or row.end is None else (row.start, row.end)
        hover = f"{row.event} {pages_text(row)}, locks: {locks_text(row)}" + ("" if row.blockable else ", non-blocking")
        _bar(bars, _call(number), part, CALL, hover, LINES)
        labels.row(x=part[0], row=_call(number), label=row.event)
    _shot(bars, labels, "after", answer.after)
    return Picture(_words(answer), {"bars": bars.columns, "labels": labels.columns})


def before_and_after_figure(answer: Effect) -> Any:
    """Feeds on ``bars`` of :func:`before_and_after`; made again for each answer."""
    from p2plab.views import figures as f  # Bokeh is imported only where something is drawn

    lanes = rows(answer)
    low, high = extent(answer)
    across = (low - 0.5, high + 0.5)
    plot = f.new_figure("Before and after", x=across, y=lanes, height=114 + 34 * len(lanes))
    bars = f.new_source("bars", "left", "right", "row", "kind", "colour", "hatch", "hover")
    bar = {"y": "row", "left": "left", "right": "right", "height": 0.8}
    drawn = plot.hbar(source=bars, fill_color="colour", line_color=INK, line_width=0.6, legend_field="kind", **bar)
    f.hatch(plot.hbar, bars, **bar)
    f.legend_above(plot)
    labels = f.new_source("labels", "x", "row", "label")
    plot.text("x", "row", text="label", source=labels, x_offset=5, **(f.IN_BOX | {"text_align": "left"}))
    f.hover(plot, drawn)
    plot.xaxis.axis_label = "page, from the start of the mapping"
    return plot


def rows(answer: Effect) -> list[str]:
    """The rows from bottom to top."""
    return ["after", *(_call(number) for number in range(min(len(answer.rows), MOST), 0, -1)), "before"]


def extent(answer: Effect) -> tuple[int, int]:
    """First and last page to show."""
    edges = [0, 16]
    for vma in (*answer.before.vmas, *answer.after.vmas):
        edges += [page_of(vma.start), page_of(vma.end)]
    return min(edges), max(edges)


def _call(number: int) -> str:
    return f"call {number}"


def _shot(bars: ColumnBuilder, labels: ColumnBuilder, row: str, shot: SpaceShot) -> None:
    for vma in shot.vmas:
        where = f"VMA [{page_of(vma.start)}, {page_of(vma.end)}) {vma.perms} {vma.name}"
        _bar(bars, row, _pages((vma.start, vma.end)), NOTHING, where)
        for ranges, look in ((vma.present, READ_ONLY), (vma.writable, WRITABLE), (vma.swapped, SWAPPED)):
            for part in ranges:
                _bar(bars, row, _pages(part), look, f"{where}: {look[1]}")
        labels.row(x=page_of(vma.start), row=row, label=vma.perms)


def _pages(part: tuple[int, int]) -> tuple[int, int]:
    return page_of(part[0]), page_of(part[1])


def _bar(
    bars: ColumnBuilder, row: str, part: tuple[int, int], look: tuple[str, str], hover: str, hatch: str = PLAIN
) -> None:
    bars.row(left=part[0], right=part[1], row=row, kind=look[1], colour=look[0], hatch=hatch, hover=hover)


def _words(answer: Effect) -> str:
    calls = [f"{row.event} {pages_text(row)} (locks: {locks_text(row)})" for row in answer.rows[:4]]
    more = f" and {len(answer.rows) - 4} more" if len(answer.rows) > 4 else ""
    told = "; ".join(calls) + more if calls else "no listener is called"
    return f"{answer.operation} of {answer.kind} memory, Linux {answer.kernel}: {told}. Returned {answer.returned}."
