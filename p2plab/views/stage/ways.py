"""The ways between a moment's cells for ``stage.js``, beats among them, and the bars over what is being invalidated.

A way is ``{k: key, a: from, b: to, c: class}``, with ``head`` and ``pill``, and ``t``, its title, if it
is not that of its first cell. A bar is ``{k, a, b, t, l}``: from cell to cell, its words from long to short.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from p2plab.views.stage.cells import KIND, Json
from p2plab.views.stage.chain import CALLBACKS
from p2plab.views.stage.model import (
    NONE,
    Beat,
    Entry,
    Moment,
    Place,
    entry_key,
    frame_key,
    page_key,
    ram_key,
    slot_key,
)
from p2plab.views.stage.text import beat_words


class Ways:
    """All ways of one moment, from pages and entries to slots and frames. ``hidden``: see :class:`Cells`."""

    def __init__(self, moment: Moment, hidden: Mapping[str, str]) -> None:
        self.m, self.hidden = moment, hidden
        self.ways: dict[str, Json] = {}
        self.beats = {(beat.importer, beat.page): beat for beat in moment.beats}
        self.connect()

    def json(self) -> list[Json]:
        """Every way once."""
        return list(self.ways.values())

    def way(self, key: str, start: str, end: str, style: str, **more: Any) -> None:
        """One way; ``more``: its optional fields."""
        start, end = self.hidden.get(start, start), self.hidden.get(end, end)
        if ":" in start and start in self.hidden.values():
            key = f"{start}>{end}>{style}"  # one ribbon for the whole block
        self.ways[key] = {
            "k": key,
            "a": start,
            "b": end,
            "c": style,
            **{k: v for k, v in more.items() if v not in ("", None)},
        }

    def target(self, place: Place) -> str:
        """The cell to which an address leads."""
        if place.link is not None:
            return frame_key(place.link)
        return slot_key(place.slot) if place.slot is not None else ram_key(place.ram) if place.ram is not None else ""

    def connect(self) -> None:
        """All ways: pages to slots, entries to where they lead, slots to frames, beats."""
        for slot in self.m.slots:
            if slot.frame is not None and slot.shows:
                self.way(slot_key(slot.number), slot_key(slot.number), frame_key(slot.frame), "maps")
        for at, space in enumerate(self.m.spaces):
            for page in space.pages:
                end = self.target(Place(slot=page.slot, ram=page.ram))
                if end:
                    key = page_key(space.name, page.number)
                    self.way(key, key, end, "pte" if page.present else "nopte", head="dot", at=at)
        for at, table in enumerate(self.m.tables, len(self.m.spaces)):
            for entry in table.entries:
                if entry.state != NONE:
                    self.entry_way(entry, table.iommu, at)
            for beat in self.m.beats:  # a beat whose entry was cleared or replaced is still under way
                if beat.importer == table.importer and f"beat:{beat.importer}" not in self.ways:
                    self.beat(beat, entry_key(beat.importer, beat.page), at, "")

    def entry_way(self, entry: Entry, iommu: bool, at: int) -> None:
        key, kind = entry_key(entry.importer, entry.page), KIND[entry.state]
        start = key
        through = iommu and entry.place.link is None
        if through:
            self.way(f"{key}:iommu", key, f"{key}:iommu", kind, head="arrow")
            start = f"{key}:iommu"
        beat = self.beats.get((entry.importer, entry.page))
        if beat is not None and beat.address == entry.address:
            self.beat(beat, start, at, kind)
            return
        end = self.target(entry.place)
        if end or not through:
            link = " link" if entry.place.link is not None else ""
            self.way(key, start, end, kind + link, head="arrow" if end else "x", at=at)

    def beat(self, beat: Beat, start: str, at: int, kind: str) -> None:
        """The way of a beat: to its target; once landed, on to the frame."""
        style = "stale" if not beat.good else "back" if kind == "back" else "right"
        end, link = self.target(beat.place), " link" if beat.place.link is not None else ""
        pill = f"✗ page {beat.page} refused" if beat.faulted else f"beat: page {beat.page}"
        if beat.landed and not beat.faulted:
            pill = "" if end else "✗ nobody answers"
        way, flown = f"beat:{beat.importer}", " landed" if beat.landed else ""
        more: Json = {"at": at, "t": beat_words(beat)}
        self.way(way, start, end, f"{style} beat{link}{flown}", head="arrow" if end else "x", pill=pill, **more)
        if beat.landed and beat.place.slot is not None:
            frame = self.m.slots[beat.place.slot].frame
            goes = frame_key(frame) if frame is not None else ""
            head, pill = ("arrow", "") if goes else ("x", "✗ nothing here")
            self.way(f"{way}:in", slot_key(beat.place.slot), goes, f"{style} beat{flown}", head=head, pill=pill, **more)

    def bars(self) -> list[Json]:
        """Invalidations over their pages, and the callbacks that run for them over the importers' tables."""
        bars = [self.range(space.name) for space in self.m.spaces]
        tables = {table.importer: table for table in self.m.tables}
        for call in self.m.calls:
            once = call.end == call.start == self.m.step
            name = call.function
            if name not in CALLBACKS or call.target not in tables or not (call.end is None or once):
                continue
            row = next((r for r in self.m.now if r.name == call.actor and r.state == "waits"), None)
            more = ": returned at once" if once else f" waits {row.words}" if row is not None else ""
            entries = tables[call.target].entries
            bars.append(
                {
                    "k": f"call:{call.target}",
                    "a": self.hidden.get(
                        entry_key(call.target, entries[0].page), entry_key(call.target, entries[0].page)
                    ),
                    "b": self.hidden.get(
                        entry_key(call.target, entries[-1].page), entry_key(call.target, entries[-1].page)
                    ),
                    "t": f"{call.target}.{name}, in {call.actor}'s thread{more}",
                    "l": [f"{name}{more}", f"callback{more}", name, "callback"],
                    "call": name,
                }
            )
        return list({bar["k"]: bar for bar in bars if bar is not None}.values())

    def range(self, space: str) -> Json | None:
        """The invalidations of one process that are under way; one bar for all of them."""
        found = [r for r in self.m.invalidations if r.space == space]
        if not found:
            return None
        first, last = min(r.first for r in found), max(r.last for r in found)
        pages = f"page {first}" if first == last else f"pages {first}–{last}"
        kinds = " and ".join(r.event for r in found)
        asleep = "" if all(r.blockable for r in found) else ", must not block"
        who = " and ".join(dict.fromkeys(r.actor for r in found))
        verb = "invalidates" if who == found[0].actor else "invalidate"
        ends = [self.hidden.get(key, key) for key in (page_key(space, first), page_key(space, last))]
        return {
            "k": f"range:{space}",
            "a": ends[0],
            "b": ends[1],
            "t": f"{who} {verb} {pages} of {space} ({kinds}{asleep})",
            "l": [f"invalidate {kinds}: {pages}", f"{kinds}: {pages}", kinds, found[-1].event],
        }
