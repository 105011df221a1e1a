"""The BAR map: the aperture's slots, what each shows, which importers were lent it, and where DMA is going right now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from p2plab.core.run import Run
from p2plab.p2p.aperture import PAGE_SIZE, Aperture
from p2plab.p2p.mapper import Mapper
from p2plab.p2p.things import Lender, things_of
from p2plab.views.follow import Way, follow_page
from p2plab.views.picture import (
    AMBER,
    CROSSES,
    INK,
    LINES,
    PALE,
    PLAIN,
    ColumnBuilder,
    Picture,
    RunPicture,
    object_colour,
)

#: Rows of the map, from bottom to top.
MEMORY, SHOWS, LENT, DMA = 0, 1, 2, 3
ROWS = ("memory frame", "slot shows", "lent to", "DMA now")

#: Width of a box's edge, and of one that belongs to the page being followed.
THIN, THICK = 1.0, 4.0


def bar_map(run: Run, step: int, page: int | None = None) -> Picture:
    """The first exporter's aperture after ``step`` steps; the way of ``page``, if given, has thick edges."""
    things = things_of(run.at(step))
    gpu = things.exporters[0]
    aperture, memory = gpu.aperture, gpu.memory
    way = follow_page(run, step, page) if page is not None else None
    chosen = {slot for address in _addresses(way) if (slot := aperture.slot_at(address)) is not None}
    slots = ColumnBuilder("x", "y", "label", "colour", "hatch", "edge", "hover")
    objects = list(memory.objects)

    def box(slot: int, row: int, label: str, colour: str, hatch: str, hover: str) -> None:
        edge = THICK if slot in chosen else THIN
        slots.row(x=slot, y=row, label=label, colour=colour, hatch=hatch, edge=edge, hover=hover)

    for slot, frame in enumerate(aperture.shows):
        name, owner = memory.who(frame) if frame is not None else ("", "")
        moving = bool(name) and memory.objects[name.partition("[")[0]].moving
        hatch = CROSSES if moving else (PLAIN if name else LINES)
        hover = f"slot {slot} at {aperture.address(slot):#x}: {_of(name, owner)}{', about to move' if moving else ''}"
        box(slot, SHOWS, name or "free", object_colour(name, objects), hatch, hover)
        if frame is not None:
            box(slot, MEMORY, str(frame), PALE, PLAIN, f"slot {slot} reaches frame {frame} of device memory")
    for importer in things.importers:
        for slot in _slots(aperture, importer, (grant.address for grant in importer.held.values())):
            box(slot, LENT, importer.name, PALE, PLAIN, f"slot {slot}: lent to {importer.name}")
        flight = importer.engine.in_flight
        for slot in _slots(aperture, importer, () if flight is None else (flight[1],)):
            box(slot, DMA, "DMA", AMBER, PLAIN, f"{importer.name}: a beat is on its way to {aperture.address(slot):#x}")
    return Picture(_words(gpu), {"slots": slots.columns})


def bar_map_figure(run: Run) -> Any:
    """Feeds on ``slots`` of :func:`bar_map`."""
    from p2plab.views import figures as f  # Bokeh is imported only where something is drawn

    aperture = things_of(run.world).exporters[0].aperture
    plot = f.new_figure(
        "BAR aperture",
        x=(-0.6, len(aperture) - 0.4),
        y=(-0.6, 3.6),
        height=236,
    )
    source = f.new_source("slots", "x", "y", "label", "colour", "hatch", "edge", "hover")
    many = len(aperture) > f.MANY
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
        f.hatch(plot.rect, source, x="x", y="y", width=0.94, height=0.86)
    if len(aperture) <= f.LABELLED:
        plot.text("x", "y", text="label", source=source, **f.IN_BOX)
    f.hover(plot, drawn)
    plot.yaxis.ticker = list(range(len(ROWS)))
    plot.yaxis.major_label_overrides = dict(enumerate(ROWS))
    plot.xaxis.ticker = f.ticks(len(aperture))
    plot.xaxis.axis_label = f"slot of 4 KiB, from {aperture.address(0):#x}"
    return plot


def _addresses(way: Way | None) -> list[int]:
    """Where the followed page is on the bus, and where importers believe it is."""
    if way is None:
        return []
    return [*([way.bus] if way.bus is not None else []), *(use.bus for use in way.uses if use.bus is not None)]


def _slots(aperture: Aperture, importer: Mapper, addresses: Iterable[int]) -> list[int]:
    """The slots behind what an importer sends, which an IOMMU may translate on the way."""
    bus = (importer.engine.fabric.bus_address(address, importer.peer) for address in addresses)
    return [slot for address in bus if address is not None and (slot := aperture.slot_at(address)) is not None]


def _of(name: str, owner: str) -> str:
    return f"{name} of {owner}" if name else "free"


def _words(gpu: Lender) -> str:
    aperture, memory = gpu.aperture, gpu.memory
    shown = [memory.who(frame)[0] if frame is not None else "-" for frame in aperture.shows]
    runs = [length for _, length in aperture.free_runs()]
    free, longest = sum(runs), max(runs, default=0)
    size = len(aperture) * PAGE_SIZE // 1024
    broken = f", fragmentation {1 - longest / free:.0%}" if free else ""
    return (
        f"BAR aperture of {gpu.name}, {len(aperture)} slots ({size} KiB) from {aperture.address(0):#x}: "
        f"{' '.join(shown)}. Free: {free}, longest run {longest}{broken}."
    )


PICTURE = RunPicture(
    "bar-map",
    "BAR aperture, slot by slot",
    lambda at: bar_map(at.run, at.step, at.page),
    bar_map_figure,
    tapped=lambda viewer, x, _y: viewer.follow_slot(round(x)),
)
