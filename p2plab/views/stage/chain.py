"""The chain of one world: process pages, importers' tables, BAR slots, frames, beats. Read from the world and its log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from p2plab.core.calls import Returned
from p2plab.core.events import Entry as LogEntry
from p2plab.core.world import World
from p2plab.mm.log import NotifierEnd, NotifierStart, VmaMapped
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import BeatLanded, IommuFault, P2PMapped
from p2plab.p2p.things import things_of
from p2plab.rules.damage import Damage, damage
from p2plab.views.stage.model import (
    NONE,
    RIGHT,
    STALE,
    TAKEN_BACK,
    Beat,
    Entry,
    Frame,
    Invalidation,
    Page,
    Place,
    Slot,
    Space,
    Table,
    entry_key,
    frame_key,
    page_key,
    ram_key,
    slot_key,
)

#: Callbacks after whose return an importer must not use what they took back.
CALLBACKS = ("invalidate_range_start", "invalidate", "release", "move_notify", "invalidate_mappings")

#: More pages than this outside of the range that a scene is about are not shown.
STRAYS = 16


@dataclass(frozen=True)
class Chain:
    """All visible memory and addresses at one moment."""

    spaces: tuple[Space, ...]
    tables: tuple[Table, ...]
    slots: tuple[Slot, ...]
    frames: tuple[Frame, ...]
    ram: tuple[Frame, ...] | None
    beats: tuple[Beat, ...]
    invalidations: tuple[Invalidation, ...]


def chain_of(world: World, log: Sequence[LogEntry], since: Any) -> Chain:
    """The chain of ``world``, whose log is ``log``; ``since(importer, page, address)`` says when an address went stale."""
    things = things_of(world)
    gpu, bases, width = things.exporters[0], bases_of(world, log), things.width
    hits = damage(log)
    fabric = gpu.fabric or next((i.engine.fabric for i in things.importers), None)
    ram = fabric.ram if fabric is not None else None
    tables = tuple(_table(i, bases, width, log, since) for i in things.importers)
    return Chain(
        tuple(_space(mm, bases[mm.name], width) for mm in things.spaces),
        tables,
        _slots(gpu, things.importers),
        _frames(gpu.aperture.memory, hits),
        _frames(ram, hits) if ram is not None else None,
        tuple(beat for i in things.importers for beat in _beats(i, base_of(i, bases), world.steps, log, hits)),
        tuple(_invalidations(log, bases, width)),
    )


def bases_of(world: World, log: Iterable[LogEntry]) -> dict[str, int]:
    """Where the pages of each process are counted from: the scene's base; for a second process where it mapped first."""
    first, *others = things_of(world).spaces
    bases = {first.name: things_of(world).base}
    for mm in others:
        mapped = (e.event.start for e in log if isinstance(e.event, VmaMapped) and e.event.mm == mm.name)
        bases[mm.name] = next(mapped, things_of(world).base)
    return bases


def space_of(importer: Any, bases: dict[str, int]) -> str:
    """The process whose pages an importer's device uses."""
    mm = getattr(importer, "mm", None)
    return mm.name if mm is not None and mm.name in bases else next(iter(bases))


def base_of(importer: Any, bases: dict[str, int]) -> int:
    """Where the pages in an importer's table are counted from."""
    return bases[space_of(importer, bases)]


def meant_and_reached(importer: Any, page: int, address: int) -> tuple[str, str]:
    """The frame that the process shows at a page which an importer holds, and the one that the importer's address reaches."""
    reached = importer.engine.fabric.look(address, importer.peer)
    if page not in importer.held:
        return "", reached
    vma = importer.held[page].pointer
    return vma.vm_ops.frame_behind(vma, page), reached


def place_of(importer: Any, address: int) -> Place:
    """The place to which an importer's address leads."""
    fabric = importer.engine.fabric
    linked = fabric.links.get((importer.name, address))
    if linked is not None:
        return Place(address, link=linked[1])
    bus = fabric.bus_address(address, importer.peer)
    if bus is None:
        return Place()
    ram = fabric.ram.frame_at(bus) if fabric.ram is not None else None
    if ram is not None:
        return Place(bus, ram=ram)
    aperture = next(iter(fabric.targets.values()), None)  # an exporter of the scene; others are not on the stage
    return Place(bus, slot=aperture.slot_at(bus) if aperture is not None else None)


# -- processes ----------------------------------------------------------------------------------------------------------


def _space(mm: Any, base: int, width: int) -> Space:
    window = [base + number * PAGE_SIZE for number in range(width)]
    strays = [
        address
        for vma in mm.vmas
        if getattr(vma.vm_ops, "aperture", None) is not None
        for address in range(vma.vm_start, min(vma.vm_end, vma.vm_start + STRAYS * PAGE_SIZE), PAGE_SIZE)
        if not base <= address < base + width * PAGE_SIZE
    ]
    return Space(mm.name, base, tuple(_page(mm, base, address) for address in [*window, *strays[:STRAYS]]))


def _page(mm: Any, base: int, address: int) -> Page:
    vma = mm.vma_lookup(address)
    number, present = (address - base) // PAGE_SIZE, mm.page_table.get(address) is not None
    if vma is None:
        return Page(number, address, "", present)
    ops: Any = vma.vm_ops
    if getattr(ops, "aperture", None) is None:
        return Page(number, address, "anonymous" if vma.vm_file is None else vma.vm_file.name, present)
    thing, page = ops.object_behind(vma), vma.pgoff_of(address)
    if not 0 <= page < len(thing.frames):
        return Page(number, address, "", present)
    ram = thing.ram_frames[page] if page < len(thing.ram_frames) else None
    return Page(number, address, thing.frame_name(page), present, ops.aperture.slots_of(thing)[page], ram)


# -- importers ------------------------------------------------------------------------------------------------------------


def _table(importer: Any, bases: dict[str, int], width: int, log: Sequence[LogEntry], since: Any) -> Table:
    base = base_of(importer, bases)
    window = [base + number * PAGE_SIZE for number in range(width)]
    strays = [page for page in importer.engine.table if not base <= page < base + width * PAGE_SIZE]
    back = _taken_back(log, importer.name)
    entries = tuple(_entry(importer, base, page, back, since) for page in [*window, *sorted(strays)[:STRAYS]])
    return Table(importer.name, space_of(importer, bases), importer.engine.fabric.iommu is not None, entries)


def _entry(importer: Any, base: int, page: int, back: set[int], since: Any) -> Entry:
    number, address = (page - base) // PAGE_SIZE, importer.engine.table.get(page)
    if address is None:
        return Entry(importer.name, number)
    meant, reached = meant_and_reached(importer, page, address)
    state = STALE if not meant or meant != reached else TAKEN_BACK if page in back else RIGHT
    place = place_of(importer, address)
    return Entry(importer.name, number, state, address, place, reached, meant, since(importer.name, page, address))


def _taken_back(log: Iterable[LogEntry], importer: str) -> set[int]:
    """The pages for which an importer's callback has returned since it was last given them."""
    back: set[int] = set()
    told: dict[str, NotifierStart] = {}
    for entry in log:
        event = entry.event
        if isinstance(event, P2PMapped) and event.importer == importer:
            back -= set(range(event.start, event.end, PAGE_SIZE))
        elif isinstance(event, NotifierStart):
            told[entry.actor] = event
        elif isinstance(event, Returned) and event.target == importer and event.function in CALLBACKS:
            over = told.get(entry.actor)
            if over is not None and over.end - over.start < 1 << 32:
                back |= set(range(over.start, over.end, PAGE_SIZE))
    return back


def _beats(importer: Any, base: int, step: int, log: Sequence[LogEntry], hits: tuple[Damage, ...]) -> list[Beat]:
    beats = []
    flight = importer.engine.in_flight
    if flight is not None:
        page, address = flight
        meant, reached = meant_and_reached(importer, page, address)
        # What was given back meanwhile is judged by the page for which it was lent.
        meant = meant or _lent_for(log, importer.name, page)
        write = bool(importer.engine.queue and importer.engine.queue[0].write)
        number = (page - base) // PAGE_SIZE
        beats.append(Beat(importer.name, number, address, place_of(importer, address), write, False, meant == reached))
    now = [entry for entry in log if entry.step == step]
    faulted = any(isinstance(entry.event, IommuFault) and entry.event.importer == importer.name for entry in now)
    for entry in now:
        event = entry.event
        if isinstance(event, BeatLanded) and event.importer == importer.name:
            good = not any(hit.step == step and hit.importer == importer.name for hit in hits)
            number, place = (event.page - base) // PAGE_SIZE, place_of(importer, event.address)
            beats.append(Beat(importer.name, number, event.address, place, event.write, True, good, faulted))
    return beats


def _lent_for(log: Iterable[LogEntry], importer: str, page: int) -> str:
    found = ""
    for entry in log:
        event = entry.event
        if isinstance(event, P2PMapped) and event.importer == importer and event.start <= page < event.end:
            found = event.frames[(page - event.start) // PAGE_SIZE]
    return found


# -- the exporter ---------------------------------------------------------------------------------------------------------


def _slots(gpu: Any, importers: Iterable[Any]) -> tuple[Slot, ...]:
    known = {importer.name: importer for importer in importers}
    lent: dict[int, list[str]] = {}
    for (name, _), address in getattr(gpu, "lent", {}).items():
        slot = place_of(known[name], address).slot if name in known else None
        if slot is not None and name not in lent.setdefault(slot, []):
            lent[slot].append(name)
    reserved = getattr(gpu, "reserved", ())
    slots = []
    for number, frame in enumerate(gpu.aperture.shows):
        name, owner = gpu.aperture.memory.who(frame) if frame is not None else ("", "")
        thing = gpu.aperture.memory.objects.get(name.partition("[")[0])
        marks = () if thing is None else ("moving",) * bool(thing.moving) + ("pinned",) * (thing.name in reserved)
        address = gpu.aperture.address(number)
        slots.append(Slot(number, address, frame, name, owner, tuple(lent.get(number, ())), marks))
    return tuple(slots)


def _frames(memory: Any, hits: tuple[Damage, ...]) -> tuple[Frame, ...]:
    worst: dict[str, Damage] = {}
    for hit in hits:
        if hit.frame and (hit.frame not in worst or hit.write > worst[hit.frame].write):
            worst[hit.frame] = hit
    frames = []
    for number, generation in enumerate(memory.generation):
        if not generation:
            continue
        name, owner = memory.who(number)
        found = worst.get(name) if name else None
        text = words_in(memory.content[number])
        lost = words_in(found.before) if found is not None and found.write else ""
        leaked = found is not None and not found.write
        by, at = (found.importer, found.step) if found is not None else ("", None)
        frames.append(Frame(number, name, owner, text, text.startswith("DMA"), lost, leaked, by, at))
    return tuple(frames)


def words_in(content: bytes) -> str:
    """The bytes of a frame as readable text, without padding."""
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in content)
    return text.rstrip(".#") or "…"


def _invalidations(log: Iterable[LogEntry], bases: dict[str, int], width: int) -> list[Invalidation]:
    under_way: list[tuple[str, NotifierStart]] = []
    for entry in log:
        if isinstance(entry.event, NotifierStart):
            under_way.append((entry.actor, entry.event))
        elif isinstance(entry.event, NotifierEnd):
            mine = [item for item in under_way if item[0] == entry.actor]
            if mine:
                under_way.remove(mine[-1])
    found = []
    for actor, event in under_way:
        base = bases.get(event.mm)
        if base is None:
            continue
        first = max(0, (event.start - base) // PAGE_SIZE)
        last = min(width, -((base - event.end) // PAGE_SIZE)) - 1
        if first <= last:
            found.append(Invalidation(event.mm, event.event, first, last, actor, event.blockable))
    return found


# -- what a step changed --------------------------------------------------------------------------------------------------


def changed_between(old: Chain, new: Chain) -> frozenset[str]:
    """The keys of pages, entries, slots and frames that changed."""
    keys: set[str] = set()
    pages = {(s.name, p.number): (p.shows, p.present) for s in old.spaces for p in s.pages}
    keys |= {
        page_key(s.name, p.number)
        for s in new.spaces
        for p in s.pages
        if pages.get((s.name, p.number)) != (p.shows, p.present)
    }
    entries = {(e.importer, e.page): (e.address, e.state) for t in old.tables for e in t.entries}
    keys |= {
        entry_key(e.importer, e.page)
        for t in new.tables
        for e in t.entries
        if entries.get((e.importer, e.page), (None, NONE)) != (e.address, e.state)
    }
    slots = {s.number: (s.frame, s.marks, s.lent) for s in old.slots}
    keys |= {slot_key(s.number) for s in new.slots if slots.get(s.number) != (s.frame, s.marks, s.lent)}
    for key, was, now in ((frame_key, old.frames, new.frames), (ram_key, old.ram or (), new.ram or ())):
        before = {f.number: (f.name, f.bytes, f.leaked) for f in was}
        keys |= {key(f.number) for f in now if before.get(f.number) != (f.name, f.bytes, f.leaked)}
    return frozenset(keys)


def destroyed_in(chain: Chain, step: int) -> frozenset[str]:
    """The keys of the frames whose bytes this step destroyed or leaked."""
    keys = {frame_key(f.number) for f in chain.frames if f.at == step}
    return frozenset(keys | {ram_key(f.number) for f in chain.ram or () if f.at == step})
