"""What a picture consists of: words that say the same, columns to draw, and for a run's pictures their functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from p2plab.core.run import Run

#: Colours that stay apart for every kind of colour blindness (Okabe and Ito 2008), each used with a label beside it.
BLUE, ORANGE, GREEN, YELLOW, SKY, RED, PINK = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#f0e442",
    "#56b4e9",
    "#d55e00",
    "#cc79a7",
)
#: Fills that carry dark labels: all is well, and something is wrong.
MINT, AMBER = "#8fd6bf", "#f2a46b"
INK, GREY, PALE = "#14171a", "#56606b", "#e3e7eb"
#: White, nearly: Bokeh sends no colour that is its default, and the page could not replace it in the dark theme.
PAPER = "#fefefe"
#: Letters on a fill: dark in the dark theme as well.
ON_FILL = "#0b0d0f"

#: The hatching of a box, in addition to its colour.
PLAIN, LINES, CROSSES = " ", "right_diagonal_line", "diagonal_cross"

#: Colours of objects, in the order in which they were made, as on the stage. All are light enough for dark labels.
OBJECTS = ("#b9c2cc", "#56b4e9", "#d58fb8", "#f0e442", "#6fcfae", "#f0b35c")


@dataclass(frozen=True)
class Picture:
    """``alt`` is the text twin in a few sentences; ``data`` maps a source's name to its columns of equal length."""

    alt: str
    data: dict[str, dict[str, list[Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """What a picture of a run shows: the run after ``step`` steps; ``page`` is the page that is followed, if one is."""

    run: Run
    step: int
    page: int | None = None


class Viewer(Protocol):
    """What a click into a picture can ask of the place that shows it."""

    def look_at(self, step: int) -> None:
        """Show another step."""
        ...

    def follow_slot(self, slot: int) -> None:
        """Follow the page that a slot of the aperture shows."""
        ...


@dataclass(frozen=True)
class RunPicture:
    """A picture of a run, for every place that shows a run: the ``PICTURE`` of a file in :mod:`p2plab.views.pictures`.

    ``draw``: words and columns of a moment. ``figure``: the Bokeh figure for a run that the columns are fed to; it imports
    Bokeh when it is called. ``table``: instead of a figure, HTML of a moment. ``tapped``: what a click at (x, y) does, in the
    figure's units.
    """

    name: str
    title: str
    draw: Callable[[Look], Picture]
    figure: Callable[[Run], Any] | None = None
    table: Callable[[Look], str] | None = None
    tapped: Callable[[Viewer, float, float], None] | None = None


class ColumnBuilder:
    """Columns filled row by row."""

    def __init__(self, *names: str) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in names}

    def row(self, **values: Any) -> None:
        """Append one row; every column needs a value."""
        if values.keys() != self.columns.keys():
            raise ValueError(f"a row needs {', '.join(self.columns)}")
        for name, value in values.items():
            self.columns[name].append(value)


def object_colour(frame: str, objects: list[str]) -> str:
    """The colour of ``A[2]``'s object among all objects."""
    name = frame.partition("[")[0]
    return OBJECTS[objects.index(name) % len(OBJECTS)] if name in objects else PALE
