"""The sequence diagram of a whole run: a lane per actor, its steps, the calls between lanes, locks, beats and breaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from p2plab.core.calls import Called, Returned
from p2plab.core.events import Entry
from p2plab.core.locks import LockAcquired, LockReleased
from p2plab.core.run import Run
from p2plab.core.world import PERSON, Pressed, Stepped
from p2plab.p2p.events import BeatIssued, BeatLanded
from p2plab.rules.damage import damage
from p2plab.views.stage.model import Call

#: Callers that are parts of the kernel without a thread: they are named on the arrow.
VIA = {"hmm": "HMM", "mmu_notifier": "mmu_notifier", "mm": "mm"}


@dataclass(frozen=True)
class Mark:
    """A stretch of one lane: a ``step``, a ``lock`` held, a ``beat`` in flight, or a ``press`` of the person.

    ``end`` is None if it is not over at the end of the run; ``depth``: the number of this lane's locks around it.
    """

    lane: str
    kind: str
    start: int
    end: int | None
    label: str
    good: bool = True
    depth: int = 0


def marks_of(run: Run) -> list[Mark]:
    """All steps, presses, locks and beats, in the order of their beginning."""
    marks: list[Mark] = []
    held: dict[tuple[str, str], int] = {}
    sent: dict[str, int] = {}
    bad = {(hit.step, hit.importer) for hit in damage(run.log)}
    for entry in run.log:
        event = entry.event
        if isinstance(event, Stepped):
            marks.append(Mark(entry.actor, "step", entry.step, entry.step, str(event)))
        elif isinstance(event, Pressed):
            marks.append(Mark(PERSON, "press", entry.step, entry.step, event.action))
        elif isinstance(event, LockAcquired):
            held[entry.actor, event.lock] = entry.step
        elif isinstance(event, LockReleased) and (entry.actor, event.lock) in held:
            marks.append(Mark(entry.actor, "lock", held.pop((entry.actor, event.lock)), entry.step, event.lock))
        elif isinstance(event, BeatIssued):
            sent[entry.actor] = entry.step
        elif isinstance(event, BeatLanded) and entry.actor in sent:
            good = (entry.step, event.importer) not in bad
            marks.append(Mark(entry.actor, "beat", sent.pop(entry.actor), entry.step, str(event), good))
    marks += [Mark(actor, "lock", start, None, lock) for (actor, lock), start in held.items()]
    marks += [Mark(actor, "beat", start, None, "in flight") for actor, start in sent.items()]
    return _nested([mark for mark in marks if mark.lane], len(run))


def _nested(marks: list[Mark], end: int) -> list[Mark]:
    """With the depth of each lock among those of its lane."""
    nested: list[Mark] = []
    open_: dict[str, list[int]] = {}
    for mark in sorted(marks, key=lambda m: (m.start, -(m.end if m.end is not None else end))):
        if mark.kind != "lock":
            nested.append(mark)
            continue
        ends = [last for last in open_.get(mark.lane, []) if last > mark.start]
        nested.append(Mark(mark.lane, "lock", mark.start, mark.end, mark.label, True, len(ends)))
        open_[mark.lane] = [*ends, mark.end if mark.end is not None else end + 1]
    return nested


def calls_of(log: Iterable[Entry], lanes: Iterable[str]) -> list[Call]:
    """Calls between lanes, in the order of their beginning. HMM and the notifier's core are named as the way of a call."""
    known = set(lanes)
    stacks: dict[str, list[tuple[int, str, str]]] = {}
    calls: list[Call] = []
    for entry in log:
        stack = stacks.setdefault(entry.actor, [])
        event = entry.event
        if isinstance(event, Called):
            source = next((target for _, target, _ in reversed(stack) if target in known), entry.actor)
            stack.append((len(calls), event.target, event.function))
            via = VIA.get(event.caller, "")
            calls.append(Call(entry.actor, source, event.target, event.function, entry.step, None, via))
        elif isinstance(event, Returned) and stack:
            number, _, _ = stack.pop()
            begun = calls[number]
            calls[number] = Call(
                begun.actor,
                begun.source,
                begun.target,
                begun.function,
                begun.start,
                entry.step,
                begun.via,
                event.result,
            )
    return [call for call in calls if call.target in known and call.source in known]


def lanes_of(run: Run) -> list[str]:
    """The actors that ever act or can, from top to bottom: processes and drivers, each engine below its driver."""
    return list(run.world.actors)
