"""What led to a broken promise, read from its counterexample: the cause, then the line with its values.

The counterexample is replayed and observed: which calls were never awaited, what was left when a callback returned, who
waits for what. There is no list of known mistakes; if the run shows no cause, none is named.
"""

from __future__ import annotations

import contextlib
import gc
import io
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any, TypeGuard

from p2plab.core.calls import Called
from p2plab.core.events import Entry
from p2plab.core.locks import Mutex
from p2plab.core.number_of import number_of
from p2plab.core.run import Run
from p2plab.core.world import World
from p2plab.designs.dma_buf import DmaBuf
from p2plab.designs.vfio_dma_buf import VfioPci
from p2plab.mm import NotifierEnd, NotifierStart, VmaSplit, VmaUnmapped
from p2plab.p2p.engine import DmaEngine
from p2plab.p2p.events import (
    BeatIssued,
    BeatLanded,
    Disaster,
    Lent,
    MoveBegun,
    P2PMapFailed,
    P2PMapped,
    P2PUnmapped,
    RevokedNow,
    TranslationCleared,
    TranslationSet,
)
from p2plab.p2p.exporter import Exporter
from p2plab.p2p.importer import Importer
from p2plab.p2p.mapper import Mapper
from p2plab.search import Violation
from p2plab.views.driver_lines import ROOMS, DriverStep, SourceLine, Watch, frames, line_of, short_path

#: Maximum number of characters shown of what a driver printed.
LONGEST_PRINT = 400
_STARTS, _ENDS = "invalidate_range_start", "invalidate_range_end"


@dataclass(frozen=True)
class Explanation:
    """Three texts about a counterexample, each empty if the run does not show it."""

    cause: str  #: what led to the break
    where: str  #: the line of the driver, and the values that it met there
    printed: str  #: what the driver printed on the way
    kind: str = ""  #: which of several causes that one rule has: a recipe may be for one of them


@dataclass
class _Replay:
    """A replayed counterexample: its world, what the driver did at each step, and Python's warnings."""

    verdict: Violation
    world: World
    files: frozenset[str]  #: where the driver's code is
    steps: list[DriverStep] = field(default_factory=list)
    values: dict[int, str] = field(default_factory=dict)  #: by step, the values that the driver's line could see
    forgotten: list[tuple[str, SourceLine | None]] = field(default_factory=list)
    printed: str = ""
    asked: list[tuple[int, bool]] = field(default_factory=list)  #: at which step valid() was asked, and its answer
    drains: dict[str, int] = field(default_factory=dict)  #: by engine, at which step its drain went on last
    begun: list[FrameType] = field(default_factory=list)  #: the frames of the driver so far
    entered: list[tuple[int, SourceLine]] = field(default_factory=list)  #: at which step a function of the driver began

    def events(self, *kinds: type) -> list[Entry]:
        return [entry for entry in self.world.log if isinstance(entry.event, kinds)]

    def last(self, *kinds: type) -> Entry | None:
        return next(reversed(self.events(*kinds)), None)

    @property
    def importer(self) -> Mapper | None:
        """The importer that the verdict names, or the only one."""
        found = [thing for thing in self.world.objects if isinstance(thing, Mapper)]
        return next((one for one in found if one.name == self.verdict.culprit), found[0] if len(found) == 1 else None)

    def calls(self, function: str) -> list[Entry]:
        return [entry for entry in self.events(Called) if entry.event.function == function]  # type: ignore[attr-defined]


def explain(verdict: Violation, driver: type) -> Explanation:
    """Replay a driver's counterexample and explain what led to its end."""
    replay = _replayed(verdict, _files(driver))
    causes: dict[str, Callable[[_Replay], str]] = {
        "no-crash": _crash,
        "no-deadlock": _waits,
        "calls-return": _waits,
        "obedience": _left_over,
        "no-stale-dma": _stale_beat,
        "programs-only-valid": _stale_answer,
        "retry-for-ever": _round_and_round,
        "must-reach": _never,
        "goes-again": _gave_up,
        "gone-means-nobody": _still_lent,
        "told-before-moved": _untold,
        "no-map-while-moving": _old_place,
        "books-agree": _kept_in_books,
        "vma-alive": _dead_pointer,
        "predictability": _refused_later,
    }
    found = _not_awaited(replay) or causes.get(verdict.rule, _found)(replay)
    return Explanation(found, _where(replay), replay.printed, _kind(replay))


def _files(driver: type) -> frozenset[str]:
    """The files or notebook cells of a class and its bases, without p2plab's own bases for drivers."""
    rooms = tuple(f"p2plab.{room}." for room in (*ROOMS, "drivers", "designs", "course.given"))
    made = [one for one in driver.__mro__ if not f"{one.__module__}.".startswith(rooms)]
    codes = [getattr(member, "__code__", None) for one in made for member in vars(one).values()]
    return frozenset(code.co_filename for code in codes if code is not None)


def _replayed(verdict: Violation, files: frozenset[str]) -> _Replay:
    run, said = verdict.run, io.StringIO()
    depth = sys.get_coroutine_origin_tracking_depth()
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(said):
        warnings.simplefilter("always")
        sys.set_coroutine_origin_tracking_depth(8)
        try:
            world = run.scenario.world(**run.settings)
            replay, watch = _Replay(verdict, world, files), Watch(world)
            for choice in run.schedule:
                seen = _seen(world, choice, files)
                with _listening(replay):
                    world.take(choice)
                if (step := watch.stepped(choice)) is not None:
                    replay.steps.append(step)
                    replay.values[step.step] = seen
            gc.collect(1)  # a coroutine of this run is young
        finally:
            sys.set_coroutine_origin_tracking_depth(depth)
    replay.forgotten = list(_forgotten(caught, files))
    text = said.getvalue()
    replay.printed = text if len(text) <= LONGEST_PRINT else f"{text[:LONGEST_PRINT]}… ({len(text):,} characters)"
    return replay


def not_awaited(run: Run) -> list[str]:
    """The coroutine functions that a run called and never awaited."""
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        world = run.scenario.world(**run.settings)
        for choice in run.schedule:
            world.take(choice)
        gc.collect(1)
    return list(dict.fromkeys(name for name, _ in _forgotten(caught, frozenset())))


@contextlib.contextmanager
def _listening(replay: _Replay) -> Iterator[None]:
    """Note when ``valid`` and ``drain`` return during a step, since no event records it."""

    def heard(frame: FrameType, event: str, answer: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename in replay.files and frame not in begun:
            begun.append(frame)  # kept, so that a later one is not mistaken for it
            replay.entered.append((replay.world.steps, line_of(code.co_filename, code.co_firstlineno)))
        elif event == "return" and frame.f_code is Importer.valid.__code__:
            replay.asked.append((replay.world.steps, bool(answer)))
        elif event == "return" and frame.f_code is DmaEngine.drain.__code__:
            replay.drains[frame.f_locals["self"].name] = replay.world.steps

    begun = replay.begun
    before = sys.getprofile()
    sys.setprofile(heard)
    try:
        yield
    finally:
        sys.setprofile(before)


# -- causes -----------------------------------------------------------------------------------------------------------


def _forgotten(caught: list[warnings.WarningMessage], files: frozenset[str]) -> Iterator[tuple[str, SourceLine | None]]:
    """Python's warnings about coroutines that were never awaited, with the driver's line that made each."""
    for warning in caught:
        named = re.match(r"coroutine '(?:\w+\.)*(\w+)' was never awaited", str(warning.message))
        if named is not None:
            made = [(path, int(line)) for path, line in re.findall(r'File "(.+?)", line (\d+)', str(warning.message))]
            mine = [line_of(path, line) for path, line in made if path in files]
            yield named[1], mine[-1] if mine else None


def _not_awaited(replay: _Replay) -> str:
    names = list(dict.fromkeys(f"{name}()" for name, _ in replay.forgotten))
    if not names:
        return ""
    them = "it" if len(names) == 1 else "they"
    return f"{' and '.join(names)} did not run: without `await` in front, {them} only make{'s' * (them == 'it')} a coroutine"


def _crash(replay: _Replay) -> str:
    what = replay.verdict.what
    if "'Mutex' object" in what or "'RwSemaphore' object" in what:
        return "a lock here is taken with `async with`, because waiting for it is a step: " + what
    if "can't be used in 'await' expression" in what:
        return "what is called there is not async: it is done when it returns, without `await`: " + what
    called = "" if " takes " in what else _called_wrongly(replay)
    return f"{what}; {called}" if called else what


def _called_wrongly(replay: _Replay) -> str:
    """What the first function takes that the driver's last line called, where that one raised in our code."""
    crash = next((actor.crash for actor in replay.world.actors.values() if actor.crash is not None), None)
    trace = crash.__traceback__ if isinstance(crash, (TypeError, AttributeError)) else None
    called: FrameType | None = None
    before = False
    while trace is not None:
        mine = trace.tb_frame.f_code.co_filename in replay.files
        if before and not mine:
            called = trace.tb_frame
        before, trace = mine, trace.tb_next
    if called is None or before:
        return ""
    code = called.f_code
    names = [name for name in code.co_varnames[: code.co_argcount] if name != "self"]
    given = ", ".join(f"{name} = {_short(called.f_locals[name])}" for name in names if name in called.f_locals)
    return f"{code.co_name} takes ({', '.join(names)}), and here {given}" if names else ""


def _waits(replay: _Replay) -> str:
    said = [_waits_one(replay, name) for name in replay.world.blocked]
    return "; ".join(said)


def _kind(replay: _Replay) -> str:
    """Which cause it is, where the recipe depends on it: ``await``, ``count``, ``lock``… or an event's kind."""
    if replay.forgotten:
        return "await"
    if replay.verdict.rule == "must-reach":
        return replay.verdict.what.rpartition(" ")[2]
    if replay.verdict.rule == "programs-only-valid":
        return "round" if "to another round" in _stale_answer(replay) else ""
    if replay.verdict.rule not in ("no-deadlock", "calls-return"):
        return ""
    world = replay.world
    labels = {name: operation.label for name in world.blocked if (operation := world.actors[name].op) is not None}
    if any(label.startswith("range valid") for label in labels.values()):
        return "count"
    if any(name in world.waits_for(name) for name in labels):
        return "itself"
    return "lock" if any(label.startswith("lock ") for label in labels.values()) else ""


def _waits_one(replay: _Replay, name: str) -> str:
    world = replay.world
    operation = world.actors[name].op
    label = operation.label if operation is not None else ""
    importer = replay.importer
    if label.startswith("range valid") and importer is not None:
        count = getattr(importer, "invalidations", 0)
        begun, ended = len(replay.calls(_STARTS)), len(replay.calls(_ENDS))
        counted = "counted down more often than up" if count < 0 else "counted up more often than down"
        return (
            f"{name} waits until the range is valid, that is until `invalidations` is 0, and it is {count}: after {begun} "
            f"{_STARTS} and {ended} {_ENDS} it was {counted} (invalidation_begins, invalidation_ends)"
        )
    if label.startswith("completion of the dma-buf") and (consumed := _consumed(replay)):
        return f"{name} waits for the completion, and {consumed}"
    if "lent" in label and (untold := _nobody_told(replay)):
        return f"{name} waits until nothing is lent, and {untold}"
    holders = world.waits_for(name)
    if list(holders) == [name]:
        return f"{name} waits for: {label}, which it has itself: a lock here cannot be taken twice"
    held = f", which {' and '.join(holders)} {'has' if len(holders) == 1 else 'have'}" if holders else ""
    return f"{name} waits for: {label}{held}"


def _nobody_told(replay: _Replay) -> str:
    """An exporter that waits for its pages must have asked for them."""
    refused = replay.last(Disaster)
    lent = any(thing.lent for thing in replay.world.objects if isinstance(thing, Exporter))
    if refused is None or not lent or any(entry.index > refused.index for entry in replay.calls(_STARTS)):
        return ""
    return f"since it refused new maps at step {refused.step} no importer was told to give anything back"


def _left_over(replay: _Replay) -> str:
    importer, start = replay.importer, replay.last(NotifierStart)
    if importer is None or start is None:
        return ""
    first, end = start.event.start, start.event.end  # type: ignore[attr-defined]
    inside = [entry for entry in replay.world.log if entry.index > start.index]
    left = [
        f"{number_of(len(pages), word)} {more}"
        for word, more, pages in (
            ("page", "held (p2p_unmap gives it back)", [page for page in importer.held if first <= page < end]),
            ("translation", "in the device (engine.clear)", [p for p in importer.engine.table if first <= p < end]),
        )
        if pages
    ]
    engines = _engines(replay, importer)
    called = {engine.name: "engine" if len(engines) == 1 else engine.name for engine in engines}
    for engine in engines:
        issued = [entry for entry in replay.events(BeatIssued) if entry.actor == engine.name]
        if not engine.drained(first, end) and issued:
            of = "" if len(engines) == 1 else f" of {engine.name}"
            left.append(f"the beat{of} that left at step {issued[-1].step} ({called[engine.name]}.drain waits for it)")
    did = [
        (entry.step, name)
        for kind, name in ((TranslationCleared, "engine.clear"), (P2PUnmapped, "p2p_unmap"))
        for entry in inside
        if isinstance(entry.event, kind)
    ]
    did += [(step, f"{called[name]}.drain") for name, step in replay.drains.items() if step >= start.step]
    spans = [
        (entry.event.start, entry.event.end)
        for entry in inside
        if isinstance(entry.event, (TranslationCleared, P2PUnmapped))
    ]
    outside = [f"{a:#x}..{b:#x}" for a, b in dict.fromkeys(spans) if not (a <= first and b >= end)]
    ran = ", ".join(f"{name} at step {step}" for step, name in sorted(did, key=lambda one: one[0]))
    backwards = any(a > b for a, b in spans)
    text = f"the callback of step {start.step} was about {first:#x}..{end:#x}; when it returned, this was left: "
    text += f"{' and '.join(left) or 'something of it'}. In it ran {ran or 'neither clear nor drain nor p2p_unmap'}"
    text += f", about {' and '.join(outside)}" if outside else ""
    return text + (", which ends before it begins" if backwards else "")


def _engines(replay: _Replay, importer: Mapper) -> list[DmaEngine]:
    """All engines of the importer's device."""
    found = [thing for thing in replay.world.objects if isinstance(thing, DmaEngine)]
    return [engine for engine in found if engine.importer == importer.name]


def _stale_beat(replay: _Replay) -> str:
    landed = replay.last(BeatLanded)
    mine = [entry for entry in replay.events(BeatIssued) if landed is not None and entry.actor == landed.actor]
    issued = mine[-1] if mine else None
    if landed is None or issued is None:
        return ""
    back = next((e for e in reversed(replay.events(P2PUnmapped)) if landed.event.address in e.event.addresses), None)  # type: ignore[attr-defined]
    cleared = replay.last(TranslationCleared)
    if back is None:
        return ""
    several = (importer := replay.importer) is not None and len(_engines(replay, importer)) > 1
    beat = f"the beat of {landed.actor}" if several else "the beat"
    text = f"{beat} left at step {issued.step} and landed at step {landed.step}; its page was given back at step {back.step}"
    if issued.index > back.index:
        return text + ", before: the device still had the translation"
    if cleared is not None and cleared.index < back.index:
        return text + ", in between: nothing waited for it after the translation went and before p2p_unmap"
    return text + ", in between, and only then was the translation taken out"


def _stale_answer(replay: _Replay) -> str:
    importer, programmed, answer = replay.importer, replay.last(TranslationSet), replay.last(P2PMapped)
    if importer is None or programmed is None:
        return ""
    page = programmed.event.start  # type: ignore[attr-defined]
    calls = [
        entry
        for entry in replay.events(NotifierStart)
        if entry.index < programmed.index and entry.event.start <= page < entry.event.end  # type: ignore[attr-defined]
    ]
    if not calls:
        return ""
    took = calls[-1]
    if answer is not None and answer.index < took.index:
        text = (
            f"p2p_map answered at step {answer.step}, the callback took the page back at step {took.step}, and the device was "
            f"programmed with the old answer at step {programmed.step}"
        )
    else:
        text = f"the callback took the page back at step {took.step}, and the device was programmed at step {programmed.step}"
    changes = [c for step in replay.steps if step.step >= took.step for c in step.changes if c.driver == importer.name]
    if hasattr(importer, "sequence") and not any(change.name == "sequence" for change in changes):
        return (
            text
            + f". The callback did not count itself: `sequence` is still {importer.sequence}, so valid() sees nothing"
        )
    if not replay.asked:
        return text + ". Nobody asked valid() after the answer"
    step, _ = replay.asked[-1]
    if step <= took.step:
        return (
            text + f". valid() said yes at step {step}, and {_lock_between(replay, importer, step, took, programmed)}"
        )
    if answer is not None and answer.step < step:
        return text + (
            f". valid() said yes at step {step}, to another round; the exporter was last asked before it, because p2p_map "
            "answers from self.held what is still held there, and the page of the round before was never given back"
        )
    return text


def _lock_between(replay: _Replay, importer: Mapper, step: int, took: Entry, programmed: Entry) -> str:
    """Why the importer's lock did not keep the callback out between the check and programming the device."""
    taken = [
        (one.step, change.said)
        for one in replay.steps
        for change in one.changes
        if change.driver == importer.name and change.name == "lock" and one.step <= programmed.step
    ]
    before = [said for at, said in taken if at <= took.step]
    if before and "-> held" in before[-1]:
        return f"`map` held {importer.name}.lock from then on, but the callback did not wait for it"
    after = [at for at, said in taken if at > step and "-> held" in said]
    return (
        f"`map` took {importer.name}.lock only afterwards"
        if after
        else f"`map` did not hold {importer.name}.lock meanwhile"
    )


def _round_and_round(replay: _Replay) -> str:
    tail = replay.steps[-1] if replay.steps else None
    if tail is None:
        return replay.verdict.what
    shown = [line.text for line in tail.lines if line.text]
    loop = " / ".join(dict.fromkeys([one for one in shown if not _is_def(one)] or shown))
    text = f"{tail.actor} goes round at `{loop}`, and a round changes nothing that the next one looks at"
    if untold := _nobody_told(replay):
        return f"{text}: {untold}"
    held = [thing.lock.name for thing in replay.world.objects if _has_lock(thing) and thing.lock.owner == tail.actor]
    return f"{text}; it has {' and '.join(held)} all the while" if held else text


def _has_lock(thing: Any) -> TypeGuard[Exporter]:
    return isinstance(getattr(thing, "lock", None), Mutex)


def _is_def(line: str) -> bool:
    return line.startswith(("async def ", "def "))


def _never(replay: _Replay) -> str:
    if replay.verdict.what.endswith("DeviceGone"):
        begun = [(step, line.text) for step, line in replay.entered if re.search("def (unplug|last_revoke)", line.text)]
        called = re.sub(r"async def (\w+).*", r"\1", begun[-1][1]) if begun else ""
        when = f": `{called}` began at step {begun[-1][0]}, came to its end, and the power is on" if begun else ""
        return f"{replay.verdict.what}{when}"
    maps, failed, ended = replay.events(P2PMapped), replay.events(P2PMapFailed), replay.last(NotifierEnd)
    if not maps and not failed:
        return f"{replay.verdict.what}: p2p_map was never called"
    if not maps:
        said = failed[-1].event.errno  # type: ignore[attr-defined]
        return f"{replay.verdict.what}: every p2p_map was refused, the last at step {failed[-1].step} with -{said}"
    if ended is not None and ended.index > maps[-1].index:
        return f"{replay.verdict.what}: a callback ended at step {ended.step}, and after it nobody asked for the page again"
    return replay.verdict.what


def _gave_up(replay: _Replay) -> str:
    got, back = replay.last(P2PMapped), replay.last(P2PUnmapped)
    if got is None or back is None or back.index < got.index:
        return replay.verdict.what
    return (
        f"p2p_map answered at step {got.step}, the page was given back at step {back.step}, and then nobody asked for it "
        "again: the device never gets an answer"
    )


def _still_lent(replay: _Replay) -> str:
    if (gpu := _counting(replay)) is not None:
        counted = (
            "its reference was forgotten" if gpu.kref == 0 else "that mapping was counted, and nobody waited for it"
        )
        return f"{replay.verdict.what}, and `kref` is {gpu.kref}: {counted}"
    lent = sum(len(thing.lent) for thing in replay.world.objects if isinstance(thing, Exporter))
    calls = replay.calls(_STARTS)
    told = f"the last callback was at step {calls[-1].step}" if calls else "no importer was told to let go"
    return (
        f"{replay.verdict.what}: {number_of(lent, 'page')} lent when the power went, and {told}"
        if lent
        else replay.verdict.what
    )


def _consumed(replay: _Replay) -> str:
    """A completion serves one wait."""
    before, gpu = replay.last(RevokedNow), _counting(replay)
    if before is None or gpu is None or _mappings(replay):
        return ""
    return (
        f"`kref` is {gpu.kref}, nothing is mapped, and the one completion was taken by the revoke that ended at step "
        f"{before.step}: nobody is left who could put the last reference"
    )


def _counting(replay: _Replay) -> VfioPci | None:
    return next((thing for thing in replay.world.objects if isinstance(thing, VfioPci)), None)


def _mappings(replay: _Replay) -> list[str]:
    """Which importers of a dma-buf have it mapped."""
    return [
        attachment.importer.name
        for thing in replay.world.objects
        if isinstance(thing, DmaBuf)
        for attachment in thing.attachments
        if attachment.importer.held
    ]


def _untold(replay: _Replay) -> str:
    got, told, begun = replay.last(P2PMapped), replay.last(NotifierStart), replay.last(MoveBegun)
    if got is None:
        return replay.verdict.what
    if told is not None and told.index > got.index:
        return replay.verdict.what
    who = f"{got.event.importer} mapped it at step {got.step}"  # type: ignore[attr-defined]
    before = f"everybody was told at step {told.step}, {who}" if told is not None else who
    if begun is None or begun.index < got.index:
        return f"{before}, and no callback ran after that"
    return f"{before}, it began to move only at step {begun.step}, and no callback ran in between or after"


def _old_place(replay: _Replay) -> str:
    begun, answered = replay.last(MoveBegun), replay.last(Lent)
    if begun is None or answered is None:
        return replay.verdict.what
    return (
        f"{replay.verdict.what}: the move began at step {begun.step}, and p2p_map lent the place at step {answered.step}; "
        "whatever it had looked at before, it did not look then"
    )


def _dead_pointer(replay: _Replay) -> str:
    """Whose pointer outlived its vma, and since when."""
    split = replay.last(VmaSplit)
    out = [] if split is None else [e for e in replay.events(VmaUnmapped) if e.index > split.index]
    told = [] if split is None else [e for e in replay.events(NotifierStart) if e.index > split.index]
    if split is None or not out or not told:
        return replay.verdict.what
    (first, end), (begin, stop) = _span(split), _span(told[0])
    return (
        f"{replay.verdict.what}: munmap split the vma of {first:#x}..{end:#x} at step {split.step}, and the callback of step "
        f"{told[0].step} was about {begin:#x}..{stop:#x}; what was kept of that vma has the pointer from before the split, and "
        f"this leads to the part that was taken out at step {out[0].step}"
    )


def _span(entry: Entry) -> tuple[int, int]:
    return entry.event.start, entry.event.end  # type: ignore[attr-defined]


def _refused_later(replay: _Replay) -> str:
    """What an importer had, and when it was refused."""
    failed = replay.last(P2PMapFailed)
    got = [entry for entry in replay.events(P2PMapped) if failed is not None and entry.index < failed.index]
    back = replay.last(P2PUnmapped)
    if failed is None or not got or back is None:
        return replay.verdict.what
    return (
        f"{replay.verdict.what}: it had an answer at step {got[-1].step}, gave the page back at step {back.step}, and asked "
        f"again; the answer of step {failed.step} is -{failed.event.errno}"  # type: ignore[attr-defined]
    )


def _kept_in_books(replay: _Replay) -> str:
    back = replay.last(P2PUnmapped)
    kept = sum(len(thing.lent) for thing in replay.world.objects if isinstance(thing, Exporter))
    if back is None:
        return replay.verdict.what
    return (
        f"{back.event.importer} gave its page back at step {back.step}, p2p_unmap said yes, and `lent` still has "  # type: ignore[attr-defined]
        f"{number_of(kept, 'page')}"
    )


def _found(replay: _Replay) -> str:
    """What the rule reported."""
    return replay.verdict.what


# -- where ------------------------------------------------------------------------------------------------------------


def _where(replay: _Replay) -> str:
    """The driver's line nearest to the break, with the values it could see."""
    if replay.forgotten and (line := replay.forgotten[0][1]) is not None:
        return str(line)
    if (found := _crashed_at(replay.world, replay.files)) is not None:
        return found
    if replay.verdict.rule == "endless-step" and (named := re.search(r"line (\d+) of (\S+)$", replay.verdict.what)):
        for path in replay.files:
            if path.rpartition("/")[2] == named[2]:
                return str(line_of(path, int(named[1])))
    if replay.verdict.rule in ("no-deadlock", "calls-return"):
        said = []
        for name in replay.world.blocked:
            mine = [place for place in frames(replay.world).get(name, ()) if place.path in replay.files]
            if mine:
                line = line_of(mine[-1].path, mine[-1].line)
                said.append(f"{name} waits in {_at(line, mine[-1].frame.f_locals)}")
        if said:
            return "; ".join(said)
    names = {short_path(path) for path in replay.files}
    for step in reversed(replay.steps):
        own = [line for line in step.lines if line.file in names]
        if own:
            seen = "" if _is_def(own[0].text) else replay.values.get(step.step, "")
            return f"step {step.step}: {own[0]}" + (f", with {seen}" if seen else "")
    if replay.entered:
        at, line = replay.entered[-1]
        return f"step {at}: {line}"
    return ""


def _crashed_at(world: World, files: frozenset[str]) -> str | None:
    crash = next((actor.crash for actor in world.actors.values() if actor.crash is not None), None)
    trace: TracebackType | None = crash.__traceback__ if crash is not None else None
    found = None
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_filename in files:
            found = _at(line_of(frame.f_code.co_filename, trace.tb_lineno), frame.f_locals)
        trace = trace.tb_next
    return found


def _at(line: SourceLine, local: dict[str, Any]) -> str:
    values = _values(local)
    return f"{line}, with {values}" if values else str(line)


def _seen(world: World, choice: str, files: frozenset[str]) -> str:
    """The values that this actor's innermost driver function can see before its step."""
    mine = [place for place in frames(world).get(choice, ()) if place.path in files]
    return _values(mine[-1].frame.f_locals) if mine else ""


def _values(local: dict[str, Any]) -> str:
    """Local variables, then the driver's own counters, in one line."""
    driver = local.get("self")
    shown = {name: value for name, value in local.items() if name not in ("self", "range")}
    told = local.get("range")
    if told is not None and hasattr(told, "start") and hasattr(told, "end"):
        shown["range"] = f"{told.start:#x}..{told.end:#x}"
    said = [f"{name} = {_short(value)}" for name, value in shown.items() if not name.startswith("_")]
    for name in ("sequence", "invalidations"):
        if isinstance(driver, Mapper) and hasattr(driver, name):
            said.append(f"self.{name} = {getattr(driver, name)}")
    if isinstance(driver, Mapper):
        said.append(f"{number_of(len(driver.held), 'page')} in self.held")
    return ", ".join(said)


def _short(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return hex(value) if value > 4096 else str(value)
    if isinstance(value, tuple) and all(isinstance(one, int) for one in value):
        return f"({', '.join(_short(one) for one in value)})"
    if isinstance(value, str):
        return value if len(value) <= 40 else f"{value[:39]}…"
    return f"a {type(value).__name__}"
