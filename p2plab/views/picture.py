"""What every view hands to its figure: words that say the same as the picture, and columns to draw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
INK, GREY, PALE, PAPER = "#1b1f24", "#6b7280", "#e5e7eb", "#ffffff"

#: What a box may be hatched with, beside its colour.
PLAIN, LINES, CROSSES = " ", "right_diagonal_line", "diagonal_cross"

#: Colours of objects, in the order in which they were made. All are light enough for dark labels.
OBJECTS = ("#56b4e9", "#f0e442", "#cc79a7", "#8fd6bf", "#f2c27b", "#b8c4d0")


@dataclass(frozen=True)
class Picture:
    """``alt`` is the text twin in a few sentences; ``data`` maps a source's name to its columns of equal length."""

    alt: str
    data: dict[str, dict[str, list[Any]]] = field(default_factory=dict)


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
