"""The BAR map: the aperture's slots, what each shows, who was lent it, and where DMA is going right now."""

from __future__ import annotations

from p2plab.core.run import Run
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.views.picture import AMBER, PALE, Picture, Table, object_colour

#: Rows of the map, from bottom to top.
SHOWS, LENT, DMA = 0, 1, 2


def bar_map(run: Run, step: int) -> Picture:
    """The first exporter's aperture after ``step`` steps."""
    world = run.at(step)
    gpu = world.things["exporters"][0]
    importers = world.things["importers"]
    aperture, memory = gpu.aperture, gpu.memory
    objects = list(memory.objects)
    slots = Table("x", "y", "label", "colour", "hatch", "hover")
    for slot, frame in enumerate(aperture.shows):
        name, owner = memory.who(frame) if frame is not None else ("", "")
        moving = bool(name) and memory.objects[name.partition("[")[0]].moving
        slots.row(
            x=slot,
            y=SHOWS,
            label=name or "free",
            colour=object_colour(name, objects),
            hatch="diagonal_cross" if moving else (" " if name else "diagonal_line"),
            hover=f"slot {slot} at {aperture.address(slot):#x}: {_of(name, owner)}{', about to move' if moving else ''}",
        )
    for importer in importers:
        for grant in importer.held.values():
            _mark(slots, aperture.slot_at(grant.address), LENT, importer.name, f"lent to {importer.name}", PALE)
        flight = importer.engine.in_flight
        if flight is not None:
            where = aperture.slot_at(flight[1])
            _mark(slots, where, DMA, "DMA", f"{importer.name}: a beat is on its way to {flight[1]:#x}", AMBER)
    return Picture(_words(gpu), {"slots": slots.columns})


def _mark(slots: Table, slot: int | None, row: int, label: str, hover: str, colour: str) -> None:
    if slot is not None:
        slots.row(x=slot, y=row, label=label, colour=colour, hatch=" ", hover=f"slot {slot}: {hover}")


def _of(name: str, owner: str) -> str:
    return f"{name} of {owner}" if name else "free"


def _words(gpu: object) -> str:
    aperture, memory = gpu.aperture, gpu.memory  # type: ignore[attr-defined]
    shown = [memory.who(frame)[0] if frame is not None else "-" for frame in aperture.shows]
    runs = [length for _, length in aperture.free_runs()]
    size = len(aperture) * PAGE_SIZE // 1024
    return (
        f"BAR aperture of {gpu.name}, {len(aperture)} slots ({size} KiB) from {aperture.address(0):#x}: "  # type: ignore[attr-defined]
        f"{' '.join(shown)}. Free: {sum(runs)}, longest run {max(runs, default=0)}."
    )
