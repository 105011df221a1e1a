"""The address-space strip: a process's VMAs, the range a notifier is telling about, and what each importer holds."""

from __future__ import annotations

from typing import Any

from p2plab.core.run import Run
from p2plab.mm.log import NotifierEnd, NotifierStart
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.mapper import Mapper
from p2plab.p2p.things import things_of
from p2plab.views.follow import follow_page
from p2plab.views.picture import AMBER, CROSSES, LINES, MINT, ORANGE, PALE, PLAIN, Picture, Table


def address_space(run: Run, step: int, page: int | None = None) -> Picture:
    """The first process's address space after ``step`` steps; x counts pages from the base that the words name.

    ``page`` is followed: its column is marked.
    """
    things = things_of(run.at(step))
    mm = things.spaces[0]
    base = things.base
    pages = Table("left", "right", "row", "label", "colour", "hatch", "hover")
    words = []
    for vma in mm.vmas:
        left, right = (vma.vm_start - base) // PAGE_SIZE, (vma.vm_end - base) // PAGE_SIZE
        label = f"{vma.vm_file.name} {right - left} pages" if vma.vm_file else f"{right - left} pages"
        _bar(
            pages, left, right, f"{mm.name}'s VMAs", label, PALE, f"VMA {vma.vm_start:#x}..{vma.vm_end:#x} of {mm.name}"
        )
        words.append(f"VMA {vma.vm_start:#x}..{vma.vm_end:#x} ({label})")
    under_way = open_ranges(run, step)
    for event in under_way:
        left = max(0, (event.start - base) // PAGE_SIZE)
        right = min(things.width, (event.end - base) // PAGE_SIZE)
        hover = f"{event.event} {event.start:#x}..{event.end:#x}, under way"
        _bar(pages, left, right, "notifier", event.event, ORANGE, hover, LINES)
        words.append(f"notifier {event.event} {event.start:#x}..{event.end:#x} under way")
    for importer in things.importers:
        words.append(_translations(pages, importer, base))
    if not under_way:
        words.append("no invalidation under way")
    column: dict[str, list[Any]] = {"left": [], "right": []}
    if page is not None:
        column = {"left": [page], "right": [page + 1]}
        words.append(f"followed: {follow_page(run, step, page)}")
    data = {"pages": pages.columns, "followed": column}
    return Picture(f"Address space of {mm.name}: {'; '.join(words) or 'empty'}.", data)


def rows(run: Run) -> list[str]:
    """The strip's rows from bottom to top: the same for every step of a run."""
    things = things_of(run.world)
    return [*(f"{i.name} translates" for i in things.importers), "notifier", f"{things.spaces[0].name}'s VMAs"]


def open_ranges(run: Run, step: int) -> list[NotifierStart]:
    """The invalidations that are under way after ``step`` steps."""
    under_way: list[tuple[str, NotifierStart]] = []
    for entry in run.log:
        if entry.step > step:
            break
        if isinstance(entry.event, NotifierStart):
            under_way.append((entry.actor, entry.event))
        elif isinstance(entry.event, NotifierEnd):
            mine = [item for item in under_way if item[0] == entry.actor]
            if mine:
                under_way.remove(mine[-1])
    return [event for _, event in under_way]


def _translations(pages: Table, importer: Mapper, base: int) -> str:
    """Each page that the device translates, and whether the address is still what the exporter lent."""
    good: list[str] = []
    stale: list[str] = []
    for page, address in importer.engine.table.items():
        fresh = page in importer.held and _still_right(importer, page, address)
        (good if fresh else stale).append(f"{address:#x}")
        number = (page - base) // PAGE_SIZE
        hover = f"{importer.name}: page {page:#x} is at {address:#x}" + ("" if fresh else ", STALE")
        label = "ok" if fresh else "stale"
        row = f"{importer.name} translates"
        _bar(pages, number, number + 1, row, label, MINT if fresh else AMBER, hover, PLAIN if fresh else CROSSES)
    if not good and not stale:
        return f"{importer.name} translates nothing"
    return f"{importer.name} translates {len(good)} pages rightly and {len(stale)} stale" + (
        f" ({', '.join(stale)})" if stale else ""
    )


def _still_right(importer: Mapper, page: int, address: int) -> bool:
    """Whether the address leads to the page that the vma shows: through a BAR, an IOMMU, a link, or main memory."""
    vma = importer.held[page].vma
    shows = getattr(vma.vm_ops, "frame_behind", None)  # of an exporter; none where the vma is gone
    return bool(shows is not None and importer.engine.fabric.look(address, importer.peer) == shows(vma, page))


def _bar(
    pages: Table, left: int, right: int, row: str, label: str, colour: str, hover: str, hatch: str = PLAIN
) -> None:
    pages.row(left=left, right=right, row=row, label=label, colour=colour, hatch=hatch, hover=hover)
