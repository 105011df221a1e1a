"""Answers to the questions, read from logs: each function reads one or two logs of the step list, and answers in a phrase."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from p2plab.core.calls import Called, Returned
from p2plab.core.events import Entry
from p2plab.core.locks import LockAcquired, LockReleased
from p2plab.core.world import Stepped
from p2plab.designs.design import DMA, WANTS_BACK, WANTS_PART
from p2plab.designs.lines import StepBegun, StepEnded
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import (
    TOLD,
    DeviceGone,
    MoveEnded,
    P2PMapped,
    P2PUnmapped,
    PageMoved,
    Pinned,
    ReferencePut,
    RevokedNow,
    SlotFreed,
    TopologyChecked,
    TransferEnded,
)
from p2plab.rules.damage import damage

Log = Sequence[Entry]
NONE = "-"
WANTS = (WANTS_BACK, WANTS_PART)
_PLACES = {"system": "main memory", "vram": "device memory"}


def failures(*logs: Log, of: bool = False) -> list[str]:
    """The lines of the list that failed, each once with its errno: the importer's, or with ``of`` the exporter's."""
    ended = (entry.event for log in logs for entry in log if isinstance(entry.event, StepEnded))
    failed = (event for event in ended if event.errno and event.what != DMA and (event.what in WANTS) is of)
    return list(dict.fromkeys(f"{event.what} -{event.errno}" for event in failed))


def learns(move: Log) -> str:
    """The call by which the importer learned that the exporter wants its memory back."""
    calls = [event.function for event in _told(_wanting(move))]
    return calls[0] if calls else "never"


def may_refuse(refused: Log, later: Log) -> str:
    """The lines at which the exporter refused, from the beginning and later."""
    return "; ".join(failures(refused, later)) or "no"


def keeps(log: Log) -> str:
    """What happens to an importer that does not let go, and to the exporter that wants its memory."""
    if failed := failures(log, of=True):
        return f"yes: {failed[0]}"
    end = _end_of(log, WANTS_BACK)
    if end is None:
        return "in effect yes: the exporter waits for ever"
    hits = damage(log)
    if hits:
        return f"no: the memory is gone, {len(hits)} beats go astray"
    if end > _first(log, (P2PUnmapped, ReferencePut)):
        return "in effect yes: the exporter waits until it unmaps"
    return "no"


def sleeps(move: Log) -> str:
    """Whether the callback took several steps, between which others may run."""
    inside, steps, told = 0, 0, False
    for entry in _wanting(move):
        event = entry.event
        if isinstance(event, Called) and event.function in TOLD:
            inside, told = inside + 1, True
        elif isinstance(event, Returned) and event.function in TOLD:
            inside -= 1
        elif isinstance(event, Stepped) and inside:
            steps += 1
    return f"yes ({steps} steps)" if steps else "no" if told else NONE


def callback_locks(move: Log, exit: Log) -> str:
    """Which locks the caller of the callback holds, in a move and when the process exits."""
    said = []
    for name, log in (("move", _wanting(move)), ("exit", list(exit))):
        held: dict[str, list[str]] = {}
        found: list[str] = []
        for entry in log:
            event = entry.event
            _follow(held, entry)
            if isinstance(event, Called) and event.function in TOLD:
                found.append("+".join(held.get(entry.actor, [])) or "none")
        if found:
            said.append(f"{name}: {', '.join(dict.fromkeys(found))}")
    return "; ".join(said) or NONE


def map_locks(move: Log) -> str:
    """Which locks are held where the pages are looked up, and where the DMA addresses are made."""
    held: dict[str, list[str]] = {}
    walk: dict[str, None] = {}
    made: dict[str, None] = {}
    for entry in move:
        event = entry.event
        _follow(held, entry)
        mine = "+".join(held.get(entry.actor, [])) or "none"
        if isinstance(event, Stepped) and event.label.startswith(("hmm_range_fault", "get_user_pages")):
            walk[f"{mine} for the pages"] = None
        elif isinstance(event, P2PMapped):
            made[mine] = None
    return ", then ".join([*walk, *made])


def moves(log: Log) -> str:
    """Whether the memory changed place under an importer that had it mapped, and where it mapped it again."""
    if failed := failures(log, of=True):
        return f"no: {failed[0]}"
    maps = [event for entry in log if isinstance(event := entry.event, P2PMapped)]
    if any(isinstance(entry.event, RevokedNow) for entry in log):
        same = len(maps) > 1 and maps[0].addresses == maps[-1].addresses
        return "no: revoked, and mapped again at the same place" if same else "no: revoked"
    if len(maps) > 1 and any(isinstance(entry.event, (MoveEnded, PageMoved)) for entry in log):
        return "yes: mapped again elsewhere"
    return "no: it waits until nobody has it"


def cannot_stop(log: Log, *others: Log) -> str:
    """What happens to an importer whose device can neither fault nor stop."""
    return "; ".join(dict.fromkeys(map(_served, (log, *others))))


def _served(log: Log) -> str:
    hits = damage(log)
    if failed := failures(log):
        return f"excluded: {failed[0]}"
    if hits:
        return f"excluded: {len(hits)} beats go astray"
    if any(isinstance(entry.event, TransferEnded) and entry.event.why == "given up" for entry in log):
        return "revocable: served until the revoke"
    place = [event.place for entry in log if isinstance(event := entry.event, Pinned)]
    return f"served from {_PLACES[place[0]]}, pinned" if place else "served"


def served(log: Log) -> str:
    """What happens to one class of importer: served, from where, and what that costs the exporter; or refused, or astray."""
    if failed := failures(log):
        return f"refused: {failed[0]}"
    hits = damage(log)
    if hits:
        return f"harm: {len(hits)} beats go astray"
    if any(isinstance(entry.event, TransferEnded) and entry.event.why == "given up" for entry in log):
        return "served until the revoke"
    pinned = [event.place for entry in log if isinstance(event := entry.event, Pinned)]
    if pinned:
        return f"served from {_PLACES[pinned[0]]}, pinned"
    calls = learns(log)
    return f"served, told by {calls}" if calls != "never" else "served, the exporter waits"


def where_failure_shows(*logs: Log) -> str:
    """Every line at which something failed in these runs, with its errno."""
    return "; ".join(failures(*logs)) or "nowhere: it is served"


def struct_page(without: Log, *others: Log) -> str:
    """Whether memory without struct page can be imported."""
    failed = failures(without)
    said = [f"yes: {failed[0]}" if failed else "no"]
    for log in others:
        said.append(f"without allow_peer2peer: {failures(log)[0] if failures(log) else 'main memory'}")
    return "; ".join(said)


def topology(unreachable: Log) -> str:
    """Which code finds out that the importer does not reach the exporter, and the result."""
    asked = [event.by for entry in unreachable if isinstance(event := entry.event, TopologyChecked)]
    failed = failures(unreachable)
    if not asked and failed:
        asked = [event.function for entry in unreachable if isinstance(event := entry.event, Returned)][:1]
    if not asked:
        return "nobody: it is main memory"
    return f"{asked[0]}: {failed[0] if failed else 'main memory instead'}"


def lifetime(unplug: Log, exit: Log) -> str:
    """What the removal of the exporter waits for, and how a process's end ends its mappings."""
    return f"unplug: {_unplug(unplug)}; exit: {_exit(exit)}"


def _unplug(log: Log) -> str:
    gone = _first(log, (DeviceGone,))
    if gone == len(log):
        return "there is no device"
    told = any(isinstance(entry.event, Called) and entry.event.function in TOLD for entry in log[:gone])
    if any(isinstance(entry.event, ReferencePut) for entry in log[:gone]):
        return "waits for the references"
    if not told:
        back = any(isinstance(entry.event, P2PUnmapped) for entry in log[:gone])
        return "waits until it is given back" if back else "the buffer outlives the device"
    return "tells, goes when all is given back"


def _exit(log: Log) -> str:
    begun = next(entry.index for entry in log if isinstance(entry.event, StepBegun) and "exits" in entry.event.what)
    calls = [event.function for event in _told(log[begun:])]
    if any(isinstance(entry.event, ReferencePut) for entry in log[begun:]):
        return "its references are put when the request ends"
    return calls[0] if calls else "nobody is told, its file is closed"


def granularity(part: Log) -> str:
    """How much was given back when one of two pages was wanted."""
    pages = sum(
        (event.end - event.start) // PAGE_SIZE
        for entry in _wanting(part)
        if isinstance(event := entry.event, P2PUnmapped)
    )
    if failures(part, of=True):
        return NONE
    return {0: NONE, 1: "any sub-range"}.get(pages, "whole buffer")


# -- finding one's way in a log -----------------------------------------------------------------------------------------


def _wanting(log: Log) -> list[Entry]:
    """What the exporter's thread does from the line where it wants its memory back to the end of that line."""
    found: list[Entry] = []
    inside = False
    for entry in log:
        event = entry.event
        inside |= isinstance(event, StepBegun) and event.what in WANTS
        if entry.actor == "gpu" and inside:
            found.append(entry)
        if isinstance(event, StepEnded) and event.what in WANTS:
            inside = False
    return found


def _told(log: Log) -> Iterator[Called]:
    return (event for entry in log if isinstance(event := entry.event, Called) and event.function in TOLD)


def _end_of(log: Log, what: str) -> int | None:
    return next((e.index for e in log if isinstance(e.event, StepEnded) and e.event.what == what), None)


def _first(log: Log, kinds: tuple[type, ...]) -> int:
    return next((entry.index for entry in log if isinstance(entry.event, kinds)), len(log))


def _follow(held: dict[str, list[str]], entry: Entry) -> None:
    """Which locks each actor holds; the reverse map's lock of a file is a step of the zap, until the next step but calls."""
    event = entry.event
    mine = held.setdefault(entry.actor, [])
    if isinstance(event, (LockAcquired, LockReleased)):
        lock = "i_mmap" if event.lock.endswith(".i_mmap_rwsem") else event.lock
        if isinstance(event, LockReleased) and lock in mine:
            mine.remove(lock)
        elif isinstance(event, LockAcquired) and (lock != "i_mmap" or lock not in mine):
            mine.append(lock)
    elif isinstance(event, Stepped) and event.label.startswith("i_mmap_lock_read"):
        mine.append("i_mmap")
    elif isinstance(event, (SlotFreed, StepEnded, MoveEnded)) and "i_mmap" in mine:
        mine.remove("i_mmap")
