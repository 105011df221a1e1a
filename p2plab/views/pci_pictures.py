"""A machine as pictures: the address map as nested boxes, and the tree with the way between two functions."""

from __future__ import annotations

from typing import Any

from p2plab.pci import Machine
from p2plab.views.pci_map import MapView, map_view
from p2plab.views.pci_tree import BETWEEN, BOTH, CLIENT, COMMON, PROVIDER, TreeRow, tree_rows
from p2plab.views.picture import AMBER, GREY, INK, MINT, PALE, SKY, YELLOW, ColumnBuilder, Picture

#: The map is drawn this wide, whatever it shows; a label is left out where its box is too narrow for it.
WIDTH = 100.0
_CHARACTER = 0.82
#: How far to the right a line of the tree may begin and still be read.
TREE_WIDTH = 16
#: At most so many edges get a label on the axis, spread evenly.
TICKS = 10

ROLES = {PROVIDER: (MINT, "provider"), CLIENT: (SKY, "client"), BOTH: (MINT, "both")}
ROLES |= {COMMON: (YELLOW, "they meet here"), BETWEEN: (AMBER, "on the way")}


def address_map_picture(machine: Machine, low: int = 0, high: int = (1 << 64) - 1, io: bool = False) -> Picture:
    """Windows around BARs, from the outside in; widths grow with the logarithm of the size. BadInput: empty range."""
    view = map_view(machine, low, high, io)
    across = WIDTH / max([box.right for box in view.boxes], default=1.0)
    boxes = ColumnBuilder("left", "right", "bottom", "top", "label", "colour", "hover")
    for box in view.boxes:
        left, right = box.left * across, box.right * across
        where = f"{box.owner} {box.name}: {box.start} to {box.end}, {box.size}"
        label = next((t for t in (f"{box.owner} {box.name}", box.owner[-7:]) if len(t) * _CHARACTER < right - left), "")
        colour = PALE if box.window else MINT
        boxes.row(
            left=left, right=right, bottom=box.depth, top=box.depth + 0.92, label=label, colour=colour, hover=where
        )  # fmt: skip
    ticks = ColumnBuilder("x", "label")
    for place, address in _few(view.ticks):
        ticks.row(x=place * across, label=address)
    return Picture(_map_words(machine, view, io), {"boxes": boxes.columns, "ticks": ticks.columns})


def tree_picture(machine: Machine, provider: str | None = None, client: str | None = None) -> Picture:
    """One line a function; those on the way between the two are marked with colour and word."""
    rows = tree_rows(machine, provider, client)
    lines = ColumnBuilder("x", "y", "label", "colour", "role")
    links = ColumnBuilder("x0", "y0", "x1", "y1")
    above: dict[int, int] = {}
    for number, row in enumerate(rows):
        colour, role = ROLES.get(row.role, (PALE, ""))
        lines.row(x=row.depth, y=-number, label=_line(row), colour=colour, role=role)
        above[row.depth] = number
        if row.depth:
            parent = above[row.depth - 1]
            links.row(x0=row.depth - 1, y0=-parent, x1=row.depth - 1, y1=-number)
            links.row(x0=row.depth - 1, y0=-number, x1=row.depth, y1=-number)
    words = f"{machine.name}: {len(machine)} functions."
    if provider is not None and client is not None:
        words += f" {_way(rows)}"
    return Picture(words, {"lines": lines.columns, "links": links.columns})


def address_map_figure(machine: Machine) -> Any:
    """Feeds on ``boxes`` and ``ticks`` of :func:`address_map_picture`."""
    from p2plab.views import figures as f  # Bokeh is imported only where something is drawn

    depth = map_depth(machine)
    across, down = (-5, WIDTH + 5), (depth + 0.1, -1.2)
    plot = f.new_figure(
        "Address map: windows around BARs, widths by logarithm", x=across, y=down, height=110 + 32 * depth
    )
    boxes = f.new_source("boxes", "left", "right", "bottom", "top", "label", "colour", "hover")
    drawn = plot.quad(
        left="left", right="right", bottom="bottom", top="top", source=boxes, fill_color="colour", line_color=INK,
        line_width=0.6,
    )  # fmt: skip
    words = f.LABEL | {"text_align": "left", "text_baseline": "top", "text_font_size": "12px"}
    plot.text("left", "bottom", text="label", source=boxes, x_offset=3, y_offset=4, **words)
    ticks = f.new_source("ticks", "x", "label")
    plot.scatter("x", -0.15, marker="inverted_triangle", size=7, color=INK, source=ticks)
    plot.text(
        "x", -0.35, text="label", source=ticks, **(f.LABEL | {"text_baseline": "bottom", "text_font_size": "11px"})
    )
    f.hover(plot, drawn)
    plot.axis.visible = False
    return plot


def tree_figure(machine: Machine) -> Any:
    """Feeds on ``lines`` and ``links`` of :func:`tree_picture`."""
    from p2plab.views import figures as f  # Bokeh is imported only where something is drawn

    count = tree_height(machine)
    across, down = (-0.5, TREE_WIDTH), (-count + 0.3, 0.7)
    plot = f.new_figure("PCI tree", x=across, y=down, height=60 + 24 * count)
    links = f.new_source("links", "x0", "y0", "x1", "y1")
    plot.segment("x0", "y0", "x1", "y1", source=links, line_color=GREY)
    lines = f.new_source("lines", "x", "y", "label", "colour", "role")
    plot.scatter("x", "y", size=13, fill_color="colour", line_color=INK, source=lines)
    left = f.LABEL | {"text_align": "left"}
    plot.text("x", "y", text="label", source=lines, x_offset=12, **left)
    role = left | {"text_font_style": "bold", "text_align": "right"}
    plot.text(TREE_WIDTH - 0.1, "y", text="role", source=lines, **role)
    plot.axis.visible = False
    return plot


#: A longer line of the tree is cut, in letters; its words are whole in the text.
LONGEST = 84


def map_depth(machine: Machine) -> int:
    """How deep windows and BARs are nested, of memory or of ports."""
    return 1 + max((box.depth for io in (False, True) for box in map_view(machine, io=io).boxes), default=0)


def tree_height(machine: Machine) -> int:
    """How many lines the tree has."""
    return len(tree_rows(machine))


def _line(row: TreeRow) -> str:
    acs = f" · ACS {row.acs}{' redirects' if row.redirects else ''}" if row.acs else ""
    acs = " · ACS not shown" if row.looked_at and not row.acs_shown else acs
    text = row.text if row.text.startswith(row.bdf) else f"{row.bdf} {row.text}"
    return f"{text if len(text) <= LONGEST else text[: LONGEST - 1] + '…'}{acs}"


def _way(rows: tuple[TreeRow, ...]) -> str:
    named = {role: next((row.bdf for row in rows if row.role == role), "") for role in ROLES}
    between = [row.bdf for row in rows if row.role == BETWEEN]
    meet = f"they meet at {named[COMMON]}" if named[COMMON] else "no bridge joins them"
    redirects = [row.bdf for row in rows if row.looked_at and row.redirects]
    said = f"Way from {named[PROVIDER] or named[BOTH]} to {named[CLIENT] or named[BOTH]}: {meet}"
    said += f", by {', '.join(between)}" if between else ""
    return said + (f". ACS redirects at {', '.join(redirects)}." if redirects else ".")


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
