"""A machine's address map as nested boxes: windows around BARs, those of an exporter and an importer named below them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from p2plab.pci import Machine
from p2plab.views.pci_map import MapView, map_view
from p2plab.views.picture import INK, OBJECTS, PALE, SKY, ColumnBuilder, Picture

#: The map is drawn this wide, whatever it shows; a label is left out where its box is too narrow for it: a character of 11 px
#: on a map of 850.
WIDTH = 100.0
_CHARACTER = 0.82
#: What the BARs of anybody, of the exporter and of the importer are filled with; as in the tree.
BAR, EXPORTER, IMPORTER = OBJECTS[0], SKY, OBJECTS[2]
#: So many rows of names are below the map; a name that has no room in them is left to the pointer and the words.
NAMES = 4
#: Pixels of a row of boxes, and how many rows one of names takes.
ROW, NAME = 20, 0.78
#: Maximum number of edges with a label on the axis, spread evenly.
TICKS = 10


def address_map_picture(
    machine: Machine, low: int = 0, high: int = (1 << 64) - 1, io: bool = False, pair: tuple[str, str] = ("", "")
) -> Picture:
    """Windows around BARs, from the outside in; widths grow with the logarithm of the size. BadInput: empty range.

    ``pair``: exporter and importer, whose BARs are named.
    """
    roles = {pair[1]: ("importer", IMPORTER), pair[0]: ("exporter", EXPORTER)}
    view = map_view(machine, low, high, io)
    across = WIDTH / max([box.right for box in view.boxes], default=1.0)
    called: list[tuple[float, float, int, str]] = []
    boxes = ColumnBuilder("left", "right", "bottom", "top", "label", "colour", "hover")
    for box in view.boxes:
        left, right = box.left * across, box.right * across
        where = f"{box.owner} {box.name}: {box.start} to {box.end}, {box.size}"
        label = next((t for t in (f"{box.owner} {box.name}", box.owner[-7:]) if len(t) * _CHARACTER < right - left), "")
        role, colour = roles.get(box.owner, ("", BAR))
        colour = PALE if box.window else colour
        if role and not box.window:
            called.append((left, right, box.depth, f"{role} {box.owner} {box.name} at {box.start}, {box.size}"))
            where = f"{role}: {where}"
        boxes.row(
            left=left, right=right, bottom=box.depth, top=box.depth + 0.92, label=label, colour=colour, hover=where
        )  # fmt: skip
    ticks = ColumnBuilder("x", "label")
    for place, address in _few(view.ticks):
        ticks.row(x=place * across, label=address)
    named = _named(called, map_depth(machine))
    words = _map_words(machine, view, io) + "".join(f" {said[0].upper()}{said[1:]}." for *_, said in called)
    return Picture(words, {"boxes": boxes.columns, "ticks": ticks.columns, "named": named})


@dataclass(frozen=True)
class _Name:
    """A name from ``start`` to ``end`` in a row below the map, at the foot of a line at ``x``."""

    x: float
    start: float
    end: float
    row: int
    label: str

    def crosses(self, other: _Name) -> bool:
        """Whether it covers the other or the other's line."""
        if self.row == other.row:
            return self.start < other.end and other.start < self.end
        upper, lower = (self, other) if self.row < other.row else (other, self)
        return upper.start < lower.x < upper.end


def _named(called: list[tuple[float, float, int, str]], depth: int) -> dict[str, list[Any]]:
    """Names below the map, each with a line from its box, where none crosses another: as many as have room."""
    ways = [_placed(sorted(called, reverse=order)) for order in (True, False)]
    named = ColumnBuilder("x", "top", "start", "y", "label")
    for at, name in max(ways, key=lambda way: (len(way), sum(len(name.label) for _, name in way))):
        y = depth + 0.3 + NAME * name.row
        named.row(x=name.x, top=at + 0.92, start=name.start, y=y, label=name.label)
    return named.columns


def _placed(called: list[tuple[float, float, int, str]]) -> list[tuple[int, _Name]]:
    """Each name, in turn, in the first place where it crosses no earlier one; with the depth of its box."""
    taken: list[tuple[int, _Name]] = []
    for left, right, at, said in called:
        free = (n for n in _places_of((left + right) / 2, said) if not any(n.crosses(other) for _, other in taken))
        name = next(free, None)
        if name is not None:
            taken.append((at, name))
    return taken


def _places_of(x: float, said: str) -> Iterator[_Name]:
    """The possible places of a name, whole ones before cut ones: right of its line from the top, left of it from below."""
    for label in (said, said.partition(" at ")[0]):
        wide = len(label) * _CHARACTER
        for start, rows in ((x, range(NAMES)), (x - wide, reversed(range(NAMES)))):
            if -4 <= start <= WIDTH + 4 - wide:
                yield from (_Name(x, start, start + wide, row, label) for row in rows)


def address_map_figure(machine: Machine) -> Any:
    """Feeds on ``boxes`` and ``ticks`` of :func:`address_map_picture`."""
    from p2plab.views import figures as f  # Bokeh is imported only where something is drawn

    depth = map_depth(machine)
    across, down = (-5, WIDTH + 5), (depth + 0.3 + NAME * NAMES, -1.1)
    height = round(32 + ROW * (down[0] - down[1]))
    plot = f.new_figure("Address map: windows around BARs, widths by logarithm", x=across, y=down, height=height)
    boxes = f.new_source("boxes", "left", "right", "bottom", "top", "label", "colour", "hover")
    drawn = plot.quad(
        left="left", right="right", bottom="bottom", top="top", source=boxes, fill_color="colour", line_color=INK,
        line_width=0.6,
    )  # fmt: skip
    words = f.IN_BOX | {"text_align": "left", "text_baseline": "top", "text_font_size": "11px"}
    plot.text("left", "bottom", text="label", source=boxes, x_offset=2, y_offset=3, **words)
    named = f.new_source("named", "x", "top", "start", "y", "label")
    plot.segment("x", "top", "x", "y", source=named, line_color=INK, line_width=1.4)
    said = f.LABEL | {"text_align": "left", "text_baseline": "top", "text_font_size": "11px", "text_font_style": "bold"}
    plot.text("start", "y", text="label", source=named, y_offset=1, **said)
    ticks = f.new_source("ticks", "x", "label")
    plot.scatter("x", -0.15, marker="inverted_triangle", size=7, color=INK, source=ticks)
    plot.text(
        "x", -0.35, text="label", source=ticks, **(f.LABEL | {"text_baseline": "bottom", "text_font_size": "11px"})
    )
    f.hover(plot, drawn)
    plot.axis.visible = False
    return plot


def map_depth(machine: Machine) -> int:
    """How deep windows and BARs are nested, of memory or of ports."""
    return 1 + max((box.depth for io in (False, True) for box in map_view(machine, io=io).boxes), default=0)


def _few(ticks: tuple[tuple[float, str], ...]) -> list[tuple[float, str]]:
    """The first, the last, and some between that do not crowd."""
    if not ticks:
        return []
    room = (ticks[-1][0] - ticks[0][0]) / TICKS
    kept = [ticks[0]]
    for tick in ticks[1:-1]:
        if tick[0] - kept[-1][0] >= room and ticks[-1][0] - tick[0] >= room:
            kept.append(tick)
    return [*kept, ticks[-1]] if len(ticks) > 1 else kept


def _map_words(machine: Machine, view: MapView, io: bool) -> str:
    bars = [box for box in view.boxes if not box.window]
    what = "I/O ports" if io else "memory"
    if not view.boxes:
        return f"{machine.name}, {what}: nothing between {view.low:#x} and {view.high:#x}."
    ends = f"{view.ticks[0][1]} to {view.ticks[-1][1]}"
    return f"{machine.name}, {what} {ends}: {len(bars)} BARs in {len(view.boxes) - len(bars)} windows."
