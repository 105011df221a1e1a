"""The text twin of the stage: the same moment as lines, for a screen reader, a terminal and a test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from p2plab.views.stage.model import (
    NONE,
    RESTS,
    STALE,
    WAITS,
    Beat,
    Entry,
    Frame,
    Moment,
    Place,
    Slot,
    entry_key,
    frame_key,
    page_key,
    ram_key,
    slot_key,
)


def stage_text(moment: Moment) -> str:
    """All of a moment, a line each; the sentence first."""
    return "\n".join(lines_of(moment)) + "\n"


def alt_of(moment: Moment) -> str:
    """The moment in a few sentences, for a picture's description."""
    parts = [f"Step {moment.step}. {moment.said}"]
    for table in moment.tables:
        counts = {state: table.states().count(state) for state in dict.fromkeys(table.states())}
        parts.append(f"{table.importer} has {', '.join(f'{n} {state}' for state, n in counts.items())}.")
    lost = [f"{f.name} of {f.owner}" for f in (*moment.frames, *(moment.ram or ())) if f.lost]
    parts += [f"Overwritten: {', '.join(lost)}."] if lost else []
    parts += [f"{beat_words(beat)}." for beat in moment.beats if not beat.landed]
    parts += [f"{row.name} waits {row.words}." for row in moment.now if row.state == WAITS]
    return " ".join(parts)


def lines_of(moment: Moment) -> Iterator[str]:
    """The lines of :func:`stage_text`."""
    yield f"step {moment.step}: {moment.said}"
    for space in moment.spaces:
        for page in space.pages:
            entry = "PTE" if page.present else "no PTE"
            where = (
                f"slot {page.slot}"
                if page.slot is not None
                else f"RAM {page.ram}"
                if page.ram is not None
                else "no slot"
            )
            told = f"{page.shows}, {where}, {entry}" if page.shows else "not mapped"
            mark = _mark(moment, page_key(space.name, page.number))
            yield f"{mark}{space.name} page {page.number} at {page.address:#x}: {told}"
    for range_ in moment.invalidations:
        yield f"  {range_.actor} invalidates {range_.space} pages {range_.first} to {range_.last} ({range_.event})"
    for table in moment.tables:
        for row in table.entries:
            mark = _mark(moment, entry_key(row.importer, row.page))
            yield f"{mark}{table.importer} page {row.page}: {entry_words(row)}"
    yield from _slot_lines(moment)
    for frame in moment.frames:
        yield f"{_mark(moment, frame_key(frame.number))}{frame_words(frame, 'frame')}"
    for frame in moment.ram or ():
        yield f"{_mark(moment, ram_key(frame.number))}{frame_words(frame, 'RAM page')}"
    yield from (f"  {beat_words(beat)}" for beat in moment.beats)
    for now in moment.now:
        holds = f", holds {', '.join(now.locks)}" if now.locks else ""
        inside = f" ({now.inside})" if now.inside else ""
        yield f"  {now.name}{inside}: {now_words(now.state, now.words)}{holds}"
    for chip in moment.chips:
        if chip.step is not None:
            yield f"  {chip.rule} {'broken' if chip.state == 'broken' else 'paid'} at step {chip.step}: {chip.what}"


def _slot_lines(moment: Moment) -> Iterator[str]:
    """Each slot; of a run of free ones only the ends."""
    for plain, run in groupby(
        moment.slots, lambda s: s.frame is None and not s.lent and slot_key(s.number) not in moment.changed
    ):
        slots = list(run)
        if plain and len(slots) > 2:
            yield f"  slots {slots[0].number} to {slots[-1].number} at {slots[0].address:#x} and on: free"
        else:
            yield from (f"{_mark(moment, slot_key(slot.number))}{slot_words(slot)}" for slot in slots)


def _mark(moment: Moment, key: str) -> str:
    return "! " if key in moment.destroyed else "* " if key in moment.changed else "  "


def now_words(state: str, words: str) -> str:
    """What an actor does next or waits for, as one phrase."""
    return (
        words
        if state == RESTS
        else f"waits {words}"
        if state == WAITS
        else f"next: {words}"
        if state == "next"
        else words
    )


def where_words(place: Place) -> str:
    """Where an address leads."""
    if place.link is not None:
        return f"frame {place.link} over the private link"
    if place.bus is None:
        return "nowhere: the IOMMU faults"
    if place.slot is not None:
        return f"slot {place.slot}"
    return f"RAM page {place.ram}" if place.ram is not None else "nobody"


def entry_words(entry: Entry) -> str:
    """One line of an importer's table, with its meaning."""
    if entry.state == NONE or entry.address is None:
        return "no entry"
    iova = f" (IOVA; bus {entry.place.bus:#x})" if entry.place.bus not in (None, entry.address) else ""
    told = f"{entry.address:#x}{iova}, to {where_words(entry.place)}"
    if entry.state != STALE:
        more = ": its callback has returned, it must not be used" if entry.state == "taken back" else ""
        return f"{told}, {entry.state}{f' ({entry.reaches})' if entry.reaches else ''}{more}"
    since = f" since step {entry.since}" if entry.since is not None else ""
    reaches = f"{entry.reaches} is there" if entry.reaches else "nothing is there"
    return f"{told}, STALE{since}: {reaches}, not {entry.meant or 'a page that it still holds'}"


def slot_words(slot: Slot) -> str:
    """One slot."""
    told = f"{slot.shows} of {slot.owner}" if slot.shows else "nobody's frame" if slot.frame is not None else "free"
    lent = f", lent to {', '.join(slot.lent)}" if slot.lent else ""
    marks = "".join(f", {mark}" for mark in slot.marks)
    return f"slot {slot.number} at {slot.address:#x}: {told}{lent}{marks}"


def frame_words(frame: Frame, kind: str) -> str:
    """One frame, with the owner of its bytes."""
    whose = f"{frame.name} of {frame.owner}" if frame.name else "nobody's"
    told = f"{kind} {frame.number}: {whose}, holds “{frame.bytes}”"
    if frame.lost:
        return f"{told}; {frame.by} overwrote “{frame.lost}” at step {frame.at}"
    return f"{told}; {frame.by} read it at step {frame.at}, and should not" if frame.leaked else told


def beat_words(beat: Beat) -> str:
    """One beat."""
    noun = "beat" if beat.write else "read"
    if not beat.landed:
        return f"{beat.importer}'s {noun} for page {beat.page} is on its way to {where_words(beat.place)}"
    how = "faulted" if beat.faulted else "landed" if beat.good else "went astray"
    return f"{beat.importer}'s {noun} for page {beat.page} {how} at {where_words(beat.place)}"
