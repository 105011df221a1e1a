"""The rows of a moment as cells for ``stage.js``: their classes, their titles, their words from long to short.

A cell is ``{k: key, c: class, t: title, l: lines}``; a line is a list of variants, of which the browser
takes the longest that fits. More, where it is so: ``o`` the number of its object's colour, ``n`` changed in this step, ``x``
destroyed in this step, ``h`` hatched, ``w`` how many columns it takes, ``tile`` the key of what slides from slot to slot,
``in`` the cells of a folded block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from p2plab.views.stage.fold import INSIDE, Block, folded
from p2plab.views.stage.model import (
    NONE,
    RIGHT,
    STALE,
    TAKEN_BACK,
    Entry,
    Frame,
    Moment,
    Page,
    Space,
    Table,
    entry_key,
    frame_key,
    page_key,
    ram_key,
    slot_key,
)
from p2plab.views.stage.text import entry_words, frame_words, slot_words

Json = dict[str, Any]

#: The classes of an entry's states.
KIND = {RIGHT: "right", TAKEN_BACK: "back", STALE: "stale", NONE: "none"}

#: More pages than this in one table fold.
PAGES = 16


class Cells:
    """All rows of one moment. ``hidden``: the key of each cell that is in a closed, large block, and that block's key."""

    def __init__(self, moment: Moment, objects: Sequence[str], opened: frozenset[str]) -> None:
        self.m, self.objects, self.opened = moment, objects, opened
        self.hidden: dict[str, str] = {}
        entries = [entry for table in moment.tables for entry in table.entries if entry.state != NONE]
        self.used = {entry.place.slot for entry in entries} | {p.slot for s in moment.spaces for p in s.pages}
        self.used |= {beat.place.slot for beat in moment.beats}
        self.slots = self.row("slot", [s.shows.partition("[")[0] for s in moment.slots], self.slot, self.slot_matters)
        frames = [frame.name.partition("[")[0] for frame in moment.frames]
        self.frames = self.row("frame", frames, self.frame, self.frame_matters)
        self.ram = self.main_memory()
        self.groups = [self.process(space) for space in moment.spaces] + [self.table(table) for table in moment.tables]

    def main_memory(self) -> list[Json] | None:
        """The main memory that exporters fall back to, if a scene has it."""
        if self.m.ram is None:
            return None
        ram = [self.memory(frame, "RAM page", ram_key(frame.number)) for frame in self.m.ram]
        return ram + [_cell(ram_key(n), "free", f"RAM page {n}: free", ("free", "")) for n in range(len(ram), 2)]

    # -- rows and blocks

    def row(self, name: str, kinds: Sequence[str], make: Any, keep: Any, many: int = 64) -> list[Json]:
        """The cells of a row, with unimportant ones folded."""
        cells: list[Json] = []
        for item in folded(name, kinds, keep, self.opened, many):
            if isinstance(item, int):
                cells.append(make(item))
                continue
            inside = [make(n) for n in range(item.first, item.last + 1)] if len(item) <= INSIDE else []
            if not inside:
                self.hidden |= {self.leaf(name, n): item.key for n in range(item.first, item.last + 1)}
            cells.append(self.block(item, inside))
        return cells

    def leaf(self, row: str, place: int) -> str:
        """The key of a cell by its place in a row."""
        if row == "slot":
            return slot_key(place)
        return frame_key(self.m.frames[place].number) if row == "frame" else f"{row}{place}"

    def block(self, block: Block, inside: list[Json]) -> Json:
        what = f"of {block.kind}" if block.kind not in ("", "mixed") else block.kind or "free"
        noun = block.row.rpartition(":")[2]
        span = f"{noun}s {block.first} to {block.last}"
        lines = ((f"{len(block)} {what}", f"{len(block)}"), (span, f"{block.first}–{block.last}", ""))
        where = "fold" if block.kind else "fold free"
        made = _cell(block.key, where, f"{span}, {what}: press to unfold", *lines, o=self.colour(block.kind), w=2)
        return made | ({"in": inside} if inside else {})

    def colour(self, name: str) -> int | None:
        """The number of the colour of ``A[2]``'s object."""
        thing = name.partition("[")[0]
        return self.objects.index(thing) % 6 if thing in self.objects else None

    def marks(self, key: str) -> Json:
        return {"n": key in self.m.changed, "x": key in self.m.destroyed}

    # -- processes and importers --------------------------------------------------------------------------------------

    def process(self, space: Space) -> Json:
        name = space.name
        keep = {n for n, page in enumerate(space.pages) if self.page_matters(space, page)}
        kinds = [page.shows.partition("[")[0] for page in space.pages]
        cells = self.row(f"{name}:page", kinds, lambda n: self.page(space, space.pages[n]), keep.__contains__, PAGES)
        return {
            "k": name,
            "kind": "process",
            "name": name,
            "sub": [["virtual pages", "pages"], [f"{space.base:#x}", f"…{space.base & 0xFFFFFF:06x}"]],
            "short": f"{name}: pages",
            "cells": cells,
        }

    def page_matters(self, space: Space, page: Page) -> bool:
        if page_key(space.name, page.number) in self.m.changed:
            return True
        return any(
            abs(beat.page - page.number) < 3 for beat in self.m.beats if self.m.table(beat.importer).space == space.name
        )

    def page(self, space: Space, page: Page) -> Json:
        key, number = page_key(space.name, page.number), (f"page {page.number}", f"{page.number}")
        if not page.shows:
            said = f"{space.name}, page {page.number} at {page.address:#x}: no vma"
            return _cell(key, "none", said, number, ("not mapped", "no vma", "–"), **self.marks(key))
        pte = "PTE" if page.present else "no PTE"
        means = "the CPU has an entry" if page.present else "no CPU entry: a touch would fault"
        said = f"{space.name}, page {page.number} at {page.address:#x}: {page.shows}, {means}"
        lines = (number, (f"{page.shows} · {pte}", page.shows, ""))
        return _cell(key, "page", said, *lines, o=self.colour(page.shows), **self.marks(key))

    def table(self, table: Table) -> Json:
        keep = {n for n, entry in enumerate(table.entries) if self.entry_matters(entry)}
        kinds = [entry.state for entry in table.entries]
        name = f"{table.importer}:entry"
        cells = self.row(name, kinds, lambda n: self.entry(table.entries[n]), keep.__contains__, PAGES)
        group: Json = {
            "k": table.importer,
            "kind": "importer",
            "name": table.importer,
            "sub": [["its own table", "its table"], ["page → IOVA" if table.iommu else "page → bus"]],
            "short": f"{table.importer}: its table",
            "cells": cells,
        }
        if table.iommu and len(cells) == len(table.entries):
            group["mmu"] = [self.iommu(entry) for entry in table.entries]
        return group

    def entry_matters(self, entry: Entry) -> bool:
        near = any(b.importer == entry.importer and abs(b.page - entry.page) < 3 for b in self.m.beats)
        return near or entry_key(entry.importer, entry.page) in self.m.changed

    def entry(self, entry: Entry) -> Json:
        key, number = entry_key(entry.importer, entry.page), (f"page {entry.page}", f"{entry.page}")
        said = f"{entry.importer}'s entry for page {entry.page}: {entry_words(entry)}"
        if entry.state == NONE or entry.address is None:
            return _cell(key, "none", said, number, ("no entry", "–"), **self.marks(key))
        place = entry.place
        if place.link is not None:
            where: tuple[str, ...] = (f"→ link, frame {place.link}", f"→ link {place.link}", "link")
        else:
            short = f"→{place.slot}" if place.slot is not None else "→R" if place.ram is not None else ""
            slot = f"→ slot {place.slot}" if place.slot is not None else "→ RAM" if place.ram is not None else ""
            where = (f"→ {entry.address:x}", slot, short)
        there = f"{entry.reaches} now" if entry.reaches else "it faults" if place.bus is None else "nothing there"
        words = {
            RIGHT: (f"right: {entry.reaches}", "right", "✓"),
            TAKEN_BACK: ("taken back: stop", "taken back", "stop", "!"),
            STALE: (f"STALE: {there}", f"STALE: {entry.reaches or there.removesuffix(' there')}", "STALE", "✗"),
        }[entry.state]
        return _cell(key, KIND[entry.state], said, number, where, words, **self.marks(key))

    def iommu(self, entry: Entry) -> Json | None:
        if entry.state == NONE or entry.place.link is not None:
            return None
        key, place = f"{entry_key(entry.importer, entry.page)}:iommu", entry.place
        if place.bus is None:
            said = f"the IOMMU has no entry for {entry.importer}'s IOVA {entry.address:#x}: an access faults"
            return _cell(key, "stale", said, ("no entry", "–"), ("access faults", "✗"))
        said = f"the IOMMU sends {entry.importer}'s IOVA {entry.address:#x} to bus address {place.bus:#x}"
        return _cell(key, "mmu", said, (f"→ {place.bus:x}", f"→{place.slot if place.slot is not None else 'R'}"))

    # -- slots and frames -----------------------------------------------------------------------------------------------

    def slot_matters(self, number: int) -> bool:
        key = slot_key(number)
        return number in self.used or (key in self.m.changed and bool(self.m.slots[number].shows))

    def slot(self, number: int) -> Json:
        slot = self.m.slots[number]
        key, who, mark = slot_key(number), ", ".join(slot.lent), " · ".join(slot.marks)
        if mark and who:
            many = f" ×{len(slot.lent)}" if len(slot.lent) > 1 else ""
            third = [f"{mark} · lent to {who}", f"{mark} · lent{many}", mark]
        else:
            third = [mark] if mark else [f"lent to {who}", f"lent: {who}", "lent"] if who else []
        near = f"{slot.address & 0xFFFFF:05x}"
        lines = (
            (slot.shows or "free", slot.shows.partition("[")[2].rstrip("]") or "–"),
            (
                f"slot {number} · {slot.address:x}",
                f"slot {number} · …{near}",
                f"{number} · …{near}",
                f"slot {number}",
                f"{number}",
            ),
            tuple(third),
        )
        made = _cell(
            key,
            "slot" if slot.shows else "free",
            slot_words(slot),
            *lines,
            o=self.colour(slot.shows),
            h="moving" in slot.marks,
            **self.marks(key),
        )
        return made | ({"tile": f"tile:{slot.shows}"} if slot.shows else {})

    def frame_matters(self, index: int) -> bool:
        frame = self.m.frames[index]
        return bool(frame.lost or frame.leaked or frame.by_dma or frame_key(frame.number) in self.m.changed)

    def frame(self, index: int) -> Json:
        frame = self.m.frames[index]
        return self.memory(frame, "frame", frame_key(frame.number))

    def memory(self, frame: Frame, kind: str, key: str) -> Json:
        """A frame of either memory."""
        short = frame.bytes.replace(" page", "")
        number = (f"{kind} {frame.number}", f"{frame.number}")
        name: tuple[str, ...] = (
            (f"{frame.name} · {frame.owner}", frame.name, frame.name[2:-1]) if frame.name else ("free", "")
        )
        lines: tuple[tuple[str, ...], ...] = (name, (f"“{frame.bytes}”", ""), number)
        style = "frame"
        if frame.lost:
            style = "hurt"
            lines = (
                (f"✗ {frame.bytes}", f"✗ {short}", f"✗ {short.rpartition(' ')[2]}", "✗"),
                (f"was “{frame.lost}”", f"was {frame.name}", frame.name, ""),
                (f"{kind} {frame.number}: overwritten", "overwritten", "lost", ""),
            )
        elif frame.leaked:
            style = "hurt"
            lines = (name, (f"✗ read by {frame.by}", "✗ read", "✗"), (f"{kind} {frame.number}: leaked", "leaked", ""))
        elif frame.by_dma:
            style = "dma"
            lines = (name, (f"✓ {frame.bytes}", f"✓ {short}", "✓"), number)
        said = frame_words(frame, kind)
        return _cell(key, style, said, *lines, o=self.colour(frame.name), h=style == "hurt", **self.marks(key))


def _cell(
    key: str,
    style: str,
    said: str,
    *lines: tuple[str, ...],
    o: int | None = None,
    n: bool = False,
    x: bool = False,
    h: bool = False,
    w: int = 1,
) -> Json:
    made: Json = {"k": key, "c": style, "t": said, "l": [list(dict.fromkeys(line)) for line in lines if line]}
    if o is not None:
        made["o"] = o
    for name, value in (("n", n), ("x", x), ("h", h)):
        if value:
            made[name] = 1
    return made | ({"w": w} if w != 1 else {})
