"""The exercise whose answer is a rule: silent on runs in which nothing breaks, and not on those of broken drivers."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2plab.catalog import CASES
from p2plab.catalog.case import BROKEN, DRIVER, GOOD
from p2plab.core.errors import BadInput, P2PError
from p2plab.core.events import Entry
from p2plab.core.monitor import Finding, Monitor
from p2plab.core.run import Run
from p2plab.core.schedule import by_seed, by_text
from p2plab.course.exercises.orders import Named
from p2plab.course.exercises.task import Asked, Outcome
from p2plab.rules import RULES, judge
from p2plab.rules.base import Rule
from p2plab.search.watchdog import StepTooLong, Watchdog, silence, where
from p2plab.views.driver_lines import line_of

#: The broken drivers on which the rule must speak: their beats land where their grant has gone.
SPEAKS = ("F1", "F2", "F6", "F12")
#: The cases whose good twins it must let pass, in their own order of events and in a random one.
SILENT = ("F1", "F2", "F6", "F9", "F10", "F12", "F16", "E2")
SEED, STEPS = 4, 400
#: The same promise, as p2plab watches it.
SAME = "no-stale-dma"

SKELETON = """
class MyRule(Rule):
    promise = "no beat lands where its importer's grant has gone"

    def __init__(self):
        super().__init__()
        self.granted = {}  # (importer, page) -> the address that p2p_map gave for it

    def see(self, entry):
        event = entry.event
        if event.kind == "P2PMapped":
            for number, address in enumerate(event.addresses):
                self.granted[event.importer, event.start + number * PAGE_SIZE] = address
        elif event.kind == "BeatLanded":
            if (event.importer, event.page) not in self.granted:
                yield self.broken(entry, event.importer, f"a beat of {event.importer} landed without a grant")
"""
RECIPES = {
    "silent": "a grant ends when the kernel says that an invalidation is over (NotifierEnd: mm, start, end), whatever the "
    "driver did in between; what lands after that, or at another address than that of the last grant, is stale",
    "speaks": "until an invalidation is over the driver has time: its callback is still clearing and draining. And what was "
    "mapped anew since may be used again: the last P2PMapped of a page counts",
    "raises": "not every kind of event has every field: look at event.kind first",
}


@dataclass(frozen=True)
class Judged:
    """One run that a rule reads; ``bad``: the step at which a promise breaks, or 0; ``what``: how."""

    name: str
    run: Run
    bad: int = 0
    what: str = ""


@dataclass(frozen=True)
class Spoke:
    """Where a rule spoke first, what it said, and its line there with its values."""

    step: int
    what: str
    where: str = ""


#: Reads a log and returns where the rule speaks first.
Reader = Callable[[Sequence[Entry]], Spoke | None]


@functools.cache
def runs() -> tuple[Judged, ...]:
    """The good ones first."""
    found = []
    for code in SILENT:
        scene = CASES[code].scenario
        story = by_text(scene.story, strict=False)
        for name, order in (
            (f"the good twin of {code}", story),
            (f"the good twin of {code}, seed {SEED}", by_seed(SEED)),
        ):
            found.append(Judged(name, Run(scene, {DRIVER.name: GOOD}).driven(order, STEPS)))
    for code in SPEAKS:
        scene = CASES[code].scenario
        run = Run(scene, {DRIVER.name: BROKEN}).driven(by_text(scene.story, strict=False), STEPS)
        finding = judge(run.log, [RULES[SAME]]).findings[0]
        found.append(Judged(f"the broken driver of {code}", run, finding.step, finding.what))
    return tuple(found)


def assess(reader: Reader, shuffled: bool = False) -> Named:
    """Let a rule read all runs; the first wrong answer is reported. ``shuffled``: read them in random order."""
    order = list(runs())
    if shuffled:
        random.SystemRandom().shuffle(order)
    for judged in order:
        spoke = reader(judged.run.log)
        if bool(judged.bad) == (spoke is not None):
            continue
        shown = Run(
            judged.run.scenario, judged.run.settings, judged.run.schedule[: spoke.step if spoke else judged.bad]
        )
        if spoke is None:
            cause = f"at step {judged.bad} of that run {judged.what}; {_before(judged)}, and your rule said nothing"
            return Named(shown, False, f"your rule is silent on {judged.name}", cause, "", RECIPES["silent"])
        cause = f"at step {spoke.step} your rule says: {spoke.what}. In that run no promise breaks; "
        cause += _before(judged, spoke.step)
        return Named(shown, False, f"your rule speaks on {judged.name}", cause, spoke.where, RECIPES["speaks"])
    said = (
        f"silent on {2 * len(SILENT)} runs of {len(SILENT)} good drivers, and not on those of {len(SPEAKS)} broken ones"
    )
    return Named(None, True, f"your rule is {said}: {', '.join(SPEAKS)}")


def _before(judged: Judged, step: int = 0) -> str:
    """What the log has about the page's grant, up to that step."""
    step = step or judged.bad
    log = [entry for entry in judged.run.log if entry.step <= step]
    landed = [entry for entry in log if entry.event.kind == "BeatLanded"]
    if not landed:
        return "no beat had landed by then"
    event: Any = landed[-1].event
    told = [
        f"{_SAID[entry.event.kind]} at step {entry.step}"
        for entry in log
        if entry.event.kind in _SAID and _about(entry.event, event.page)
    ]
    return f"of the page of that beat: {', '.join(told[-4:])}"


_SAID = {
    "P2PMapped": "mapped",
    "P2PUnmapped": "given back",
    "NotifierStart": "an invalidation begins",
    "NotifierEnd": "it is over",
    "BeatIssued": "a beat leaves",
    "BeatLanded": "it lands",
}


def _about(event: Any, page: int) -> bool:
    return bool(event.page == page if hasattr(event, "page") else event.start <= page < event.end)


def refuse_known(given: object) -> None:
    """:exc:`BadInput` for anything but a new rule: not a class, or one of p2plab's under another name."""
    if not isinstance(given, type) or not issubclass(given, Rule):
        raise BadInput("a rule is a class derived from Rule, with `promise` and `see(self, entry)`")
    own = [base for base in given.__mro__ if base not in (Rule, Monitor, object)]
    for base in own:
        if base in RULES.values() or base.__module__.startswith("p2plab.rules"):
            raise BadInput(f"{base.__name__} is one of p2plab's own rules: write `see` yourself")
        for function in vars(base).values():
            names = getattr(getattr(function, "__code__", None), "co_names", ())
            known = [name for name in names if getattr(function, "__globals__", {}).get(name) in RULES.values()]
            if known or "RULES" in names:
                raise BadInput(f"{base.__name__} asks {known[0] if known else 'RULES'}: write `see` yourself")


def reader_of(rule: type[Rule], dog: Watchdog) -> Reader:
    """A class as a reader. :exc:`BadInput` if it raises or yields anything but findings."""
    rule.name = getattr(rule, "name", "") or rule.__name__

    def read(log: Sequence[Entry]) -> Spoke | None:
        try:
            with dog.step():
                return _first(rule(), log)
        except P2PError:
            raise
        except StepTooLong as error:
            raise BadInput(f"{rule.__name__} does not come to an end ({where(error)})") from None
        except Exception as error:  # noqa: BLE001  whatever somebody's rule raises is said in a sentence
            raise BadInput(
                f"{rule.__name__} raised {type(error).__name__}: {str(error)[:200]} (in {where(error)})"
            ) from None

    return read


def _first(rule: Rule, log: Sequence[Entry]) -> Spoke | None:
    for entry in log:
        told = rule.see(entry)
        if isinstance(told, Finding):
            raise BadInput("`see` returns a finding; it has to yield it: `yield self.broken(entry, culprit, what)`")
        for finding in told or ():
            if not isinstance(finding, Finding):
                raise BadInput("`see` yields what self.broken(entry, culprit, what) makes, and nothing else")
            return Spoke(entry.step, str(finding.what)[:200], _line(told, entry, rule))
    return None


def _line(told: Any, entry: Entry, rule: Rule) -> str:
    """The line at which a generator is suspended, the entry that it looks at, and the rule's attributes."""
    while getattr(getattr(told, "gi_yieldfrom", None), "gi_frame", None) is not None:
        told = told.gi_yieldfrom
    frame = getattr(told, "gi_frame", None)
    if frame is None:
        return ""
    knows = [
        f"{len(value)} in self.{name}"
        for name, value in vars(rule).items()
        if isinstance(value, (dict, set, frozenset, list)) and name != "notes"
    ]
    seen = [f"{entry.event.kind} of step {entry.step}", *knows]
    return f"{line_of(frame.f_code.co_filename, frame.f_lineno)}, with {', '.join(seen)}"


@dataclass(frozen=True, repr=False)
class RuleToWrite(Asked):
    """``check(MyRule)`` lets a rule read runs of good and of broken drivers."""

    name: str = "own-rule"
    goal: str = (
        "Write a rule: no beat lands where its importer's grant has gone. It has to be silent on runs of eight good drivers, "
        "and to speak on those of four broken ones. A grant begins with P2PMapped; when does it end?"
    )
    role: str = "rule"
    skeleton: str = SKELETON.strip() + "\n"
    minutes: int = 40

    def check(self, rule: object, folder: Path | None = None) -> Outcome:
        """Save the rule and let it read the runs. Never raises because of the rule."""
        named, trouble = None, ""
        try:
            refuse_known(rule)
            assert isinstance(rule, type)
            with silence(), Watchdog() as dog:
                named = assess(reader_of(rule, dog))
        except P2PError as error:
            trouble = str(error)
        return self.answered(rule, named, trouble, folder)
