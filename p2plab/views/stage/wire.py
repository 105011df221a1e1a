"""A moment as JSON for ``stage.js``: cells, ways between them, words from long to short. No pixel is in it.

A cell is ``{k: key, c: class, t: what it says when asked, l: lines}``; a line is a list of variants, of which the browser
takes the longest that fits. More, where it is so: ``o`` the number of its object's colour, ``n`` changed in this step, ``x``
destroyed in this step, ``h`` hatched, ``w`` how many columns it takes, ``tile`` the key of what slides from slot to slot,
``in`` the cells of a folded block. A way is ``{k, a: from, b: to, c: class}``, with ``head`` and ``pill``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from p2plab.core.run import Run
from p2plab.p2p.things import things_of
from p2plab.rules import watched_by
from p2plab.rules.base import Rule
from p2plab.views.stage.diagram import calls_of, lanes_of, marks_of
from p2plab.views.stage.fold import INSIDE, Block, folded
from p2plab.views.stage.history import history_of
from p2plab.views.stage.model import (
    NONE,
    RIGHT,
    STALE,
    TAKEN_BACK,
    Entry,
    Frame,
    Moment,
    Page,
    Place,
    Space,
    Table,
    entry_key,
    frame_key,
    page_key,
    ram_key,
    slot_key,
)
from p2plab.views.stage.now import roles_of
from p2plab.views.stage.source import drivers_of, sections_of
from p2plab.views.stage.text import alt_of, entry_words, frame_words, slot_words

Json = dict[str, Any]

#: The classes of an entry's states.
KIND = {RIGHT: "right", TAKEN_BACK: "back", STALE: "stale", NONE: "none"}

#: More pages than this in one table fold.
PAGES = 16

#: Where the mails of the linux-mm list can be read.
ARCHIVE = "https://lore.kernel.org/linux-mm/"
MESSAGE_ID = re.compile(r"[\w.+-]+@[\w.-]+\w")

#: What an action's button says, where its name alone would not do.
LABELS = {"dma": "start DMA"}


#: Of a longer run the timeline gets the part around the step that is looked at, in pieces of half this many steps.
WINDOW = 400


def scene_json(run: Run) -> Json:
    """What is the same for every run of a scene with these knobs: its words, actions, rules, and the drivers' source."""
    scene, world = run.scenario, run.world
    gpu = things_of(world).exporters[0]
    base = gpu.aperture.address(0)
    return {
        "name": scene.name,
        "title": scene.title,
        "about": scene.about,
        "actions": [[name, _label(name, action), action.help] for name, action in world.actions.items()],
        "aperture": [
            [f"{len(gpu.aperture)} slots of 4 KiB", f"{len(gpu.aperture)} slots"],
            [f"from {base:#x}", f"{base:#x}", f"{base:x}"],
        ],
        "gpu": gpu.name,
        "rules": {rule.name: _rule(rule) for rule in watched_by(scene)},
        "drivers": {
            name: [[s.title, s.file, s.first, list(s.lines)] for s in sections_of(driver)]
            for name, driver in drivers_of(world).items()
        },
    }


def run_json(run: Run, step: int | None = None) -> Json:
    """The run as a sequence diagram; of a long one only what is around ``step``, if that is given."""
    world, history = run.world, history_of(run)
    roles = roles_of(world)
    low, high = 0, len(run)
    if step is not None and len(run) > WINDOW:
        middle = step // (WINDOW // 2) * (WINDOW // 2)
        low, high = middle - WINDOW // 2, middle + WINDOW
    firsts: dict[str, Any] = {}
    for finding in history.findings_at(len(run)):
        firsts.setdefault(finding.rule, finding)

    def near(start: int, end: int | None) -> bool:
        return start <= high and (end is None or end >= low)

    return {
        "end": len(run),
        "lanes": [[name, roles.get(name, "")] for name in lanes_of(run)],
        "knobs": [[k.name, k.help, list(k.choices), run.settings[k.name]] for k in run.scenario.knobs],
        "marks": [
            [m.lane, m.kind, m.start, m.end, m.label, m.good, m.depth] for m in marks_of(run) if near(m.start, m.end)
        ],
        "calls": [
            [c.source, c.target, c.function, c.start, c.end, c.via, c.actor, c.result]
            for c in calls_of(run.log, world.actors)
            if not c.function.endswith("_end") and near(c.start, c.end)
        ],
        "breaks": [[f.rule, f.step, f.actor] for f in firsts.values() if history.is_promise(f.rule)],
    }


def objects_of(run: Run) -> list[str]:
    """The objects of a run in the order in which they were made: their places are the numbers of their colours."""
    return list(history_of(run).objects)


def _label(name: str, action: Any) -> str:
    return action.label if action.label != name else LABELS.get(name, name)


def _rule(rule: type[Rule]) -> list[Any]:
    mail = MESSAGE_ID.search(rule.source)
    url = f"{ARCHIVE}{mail[0]}/" if mail else ""
    return [rule.promise, rule.source, url, rule.basis(), rule.number or 0, rule.kind]


def moment_json(moment: Moment, objects: Sequence[str], opened: Collection[str] = ()) -> Json:
    """One moment; ``objects``: see :func:`objects_of`; ``opened``: the keys of folded blocks that shall be open."""
    return _Wire(moment, objects, frozenset(opened)).json()


class _Wire:
    def __init__(self, moment: Moment, objects: Sequence[str], opened: frozenset[str]) -> None:
        self.m, self.objects, self.opened = moment, objects, opened
        self.ways: dict[str, Json] = {}
        self.hidden: dict[str, str] = {}  #: the key of a cell that is in a closed, large block -> that block's
        entries = [entry for table in moment.tables for entry in table.entries if entry.state != NONE]
        self.used = {entry.place.slot for entry in entries} | {p.slot for s in moment.spaces for p in s.pages}
        self.used |= {beat.place.slot for beat in moment.beats}
        self.beats = {(beat.importer, beat.page): beat for beat in moment.beats}

    def json(self) -> Json:
        moment = self.m
        slots = self.row("slot", [slot.shows.partition("[")[0] for slot in moment.slots], self.slot, self.slot_matters)
        frames = self.row("frame", [f.name.partition("[")[0] for f in moment.frames], self.frame, self.frame_matters)
        ram = [self.memory(f, "RAM page", ram_key(f.number)) for f in moment.ram] if moment.ram is not None else None
        if ram is not None:
            ram += [_cell(ram_key(n), "free", f"RAM page {n}: free", ("free", "")) for n in range(len(ram), 2)]
        groups = [self.process(space) for space in moment.spaces] + [self.table(table) for table in moment.tables]
        self.connect()
        said = moment.said
        return {
            "step": moment.step,
            "said": [said.what, said.means, said.tone],
            "alt": alt_of(moment),
            "groups": groups,
            "slots": slots,
            "frames": frames,
            "ram": ram,
            "ways": list(self.ways.values()),
            "bars": self.bars(),
            "chips": [[c.rule, c.state, c.step, c.what] for c in moment.chips if c.step is not None],
            "kept": [c.rule for c in moment.chips if c.state == "kept"],
            "idle": [c.rule for c in moment.chips if c.state == "idle"],
            "now": [[n.name, n.inside, n.state, n.words, list(n.locks), list(n.waits_for)] for n in moment.now],
            "why": {button.name: button.why_not for button in moment.buttons},
            "best": moment.natural,
            "drivers": {
                d.name: [
                    [list(place) for place in d.lit],
                    [list(place) for place in d.waits],
                    [[a.name, a.value, a.was] for a in d.attributes],
                ]
                for d in moment.drivers
            },
        }

    # -- rows ---------------------------------------------------------------------------------------------------------

    def row(self, name: str, kinds: Sequence[str], make: Any, keep: Any, many: int = 64) -> list[Json]:
        """The cells of a row, with what can be spared folded."""
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
            third = [f"{mark} · lent to {who}", f"{mark} · lent ×{len(slot.lent)}", mark]
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

    # -- ways -----------------------------------------------------------------------------------------------------------

    def way(self, key: str, start: str, end: str, style: str, **more: Any) -> None:
        start, end = self.hidden.get(start, start), self.hidden.get(end, end)
        if ":" in start and start in self.hidden.values():
            key = f"{start}>{end}>{style}"  # one ribbon for all that a block holds
        self.ways[key] = {"k": key, "a": start, "b": end, "c": style, **{k: v for k, v in more.items() if v}}

    def target(self, place: Place) -> str:
        """The cell that an address leads to."""
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

    def entry_way(self, entry: Entry, iommu: bool, at: int) -> None:
        key, kind = entry_key(entry.importer, entry.page), KIND[entry.state]
        start = key
        through = iommu and entry.place.link is None
        if through:
            self.way(f"{key}:iommu", key, f"{key}:iommu", kind, head="arrow")
            start = f"{key}:iommu"
        beat = self.beats.get((entry.importer, entry.page))
        if beat is not None and beat.address == entry.address:
            self.beat_ways(start, at, kind)
            return
        end = self.target(entry.place)
        if end or not through:
            link = " link" if entry.place.link is not None else ""
            self.way(key, start, end, kind + link, head="arrow" if end else "x", at=at)

    def beat_ways(self, start: str, at: int, kind: str) -> None:
        importer = start.partition(":")[0]
        beat = next(b for b in self.m.beats if b.importer == importer and start.startswith(entry_key(importer, b.page)))
        self.beat(beat, start, at, kind)

    def beat(self, beat: Any, start: str, at: int, kind: str) -> None:
        """The way of a beat: to where it is going; once landed on to the frame."""
        style = "stale" if not beat.good else "back" if kind == "back" else "right"
        end, link = self.target(beat.place), " link" if beat.place.link is not None else ""
        pill = (
            "" if beat.landed and end else f"✗ page {beat.page} refused" if beat.faulted else f"beat: page {beat.page}"
        )
        if beat.landed and not end and not beat.faulted:
            pill = "✗ nobody answers"
        way = f"beat:{beat.importer}"
        head = "arrow" if end else "x"
        self.way(way, start, end, f"{style} beat{link}{' landed' if beat.landed else ''}", head=head, at=at, pill=pill)
        if beat.landed and beat.place.slot is not None:
            frame = self.m.slots[beat.place.slot].frame
            goes = frame_key(frame) if frame is not None else ""
            head, pill = ("arrow", "") if goes else ("x", "✗ nothing here")
            self.way(f"{way}:in", slot_key(beat.place.slot), goes, f"{style} beat landed", head=head, at=at, pill=pill)

    def bars(self) -> list[Json]:
        """Invalidations over their pages, and the callbacks that run for them over the importers' tables."""
        bars = [self.range(space.name) for space in self.m.spaces]
        tables = {table.importer: table for table in self.m.tables}
        for call in self.m.calls:
            once = call.end == call.start == self.m.step
            name = call.function
            notifies = name in ("invalidate_range_start", "invalidate", "release", "move_notify", "invalidate_mappings")
            if not notifies or call.target not in tables or not (call.end is None or once):
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
                    "call": True,
                }
            )
        return list({bar["k"]: bar for bar in bars if bar is not None}.values())

    def range(self, space: str) -> Json | None:
        """The invalidations of one process that are under way; where there are several, one bar says all of them."""
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
