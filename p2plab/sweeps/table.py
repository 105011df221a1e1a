"""What a sweep gives: points with their spread over seeds, as values, as JSON and as text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

#: Called after each run with the number of runs done and the total.
Progress = Callable[[int, int], None]
NOTE = "durations and sizes are illustrative: the thread of 2019 gives no measured number"


@dataclass(frozen=True)
class Point:
    """One setting: the median of what was measured, the middle half (``low`` to ``high``), and over how many seeds."""

    series: str
    x: float
    quantity: str
    median: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class Sweep:
    """A name, what x is, the points, and their caveats."""

    name: str
    x_label: str
    points: tuple[Point, ...]
    note: str = NOTE

    def series(self, name: str, quantity: str) -> list[Point]:
        """The points of one curve, by x."""
        found = [p for p in self.points if p.series == name and p.quantity == quantity]
        return sorted(found, key=lambda point: point.x)

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        points = [asdict(point) for point in self.points]
        return {"name": self.name, "x": self.x_label, "points": points, "note": self.note}

    def text(self) -> Iterator[str]:
        """A table of at most 72 columns, one block a quantity: the median, and half the width of the middle half."""
        for quantity in dict.fromkeys(point.quantity for point in self.points):
            mine = [point for point in self.points if point.quantity == quantity]
            names = list(dict.fromkeys(point.series for point in mine))
            yield f"{quantity}: median ± half of the middle half, {mine[0].seeds} seeds"
            yield f"{self.x_label[:12]:>12}" + "".join(f"{name[:14]:>15}" for name in names)
            for x in sorted({point.x for point in mine}):
                cells = {p.series: f"{p.median:.3g} ±{(p.high - p.low) / 2:.2g}" for p in mine if p.x == x}
                yield f"{x:>12g}" + "".join(f"{cells.get(name, ''):>15}" for name in names)
            yield ""
        yield from textwrap.wrap(self.note, 72)


def point(series: str, x: float, quantity: str, values: Iterable[float]) -> Point:
    """Median and quartiles of one setting's values."""
    found: Sequence[float] = list(values)
    low, median, high = (float(value) for value in np.percentile(found, (25, 50, 75)))
    return Point(series, x, quantity, median, low, high, len(found))


def silent(_done: int, _total: int) -> None:
    """No progress shown."""
