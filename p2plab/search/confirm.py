"""A counterexample is shown only after it was executed again from its start, in an ordinary run with ordinary rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from p2plab.core.errors import BadInput, P2PError
from p2plab.core.lockdep import Deadlock
from p2plab.core.monitor import DeadlockMonitor, Finding, LeadsTo, Monitor, findings_in
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import by_text
from p2plab.search.drivers import cast
from p2plab.search.monitors import OpenCalls
from p2plab.search.watchdog import StepTooLong, Watchdog, where

#: Promises that only a search watches, with their texts.
ONLY_HERE = {
    "calls-return": OpenCalls.promise,
    "endless-step": "a step comes to its next await",
    "retry-for-ever": "some order of events always comes to rest",
    "must-reach": "what must be reached is reached in some order",
}


def confirm(
    scene: Scenario, knobs: Mapping[str, object], rule: str, schedule: Sequence[str]
) -> tuple[Run, Finding] | None:
    """The run, and what it breaks; None if executing it again does not break that rule."""
    try:
        run = Run(scene, knobs)
        for number, choice in enumerate(schedule):
            try:
                run.world.take(choice)
            except StepTooLong:
                if rule != "endless-step":
                    return None
                ended = Run(scene, knobs, schedule[:number])
                what = f"the next step of {choice} never comes to its next await"
                return ended, Finding(rule, len(ended) + 1, choice, choice, what)
        run = Run(scene, knobs, schedule)
    except (P2PError, StepTooLong):
        return None
    finding = finding_of(run, rule)
    return (run, finding) if finding is not None else None


def finding_of(run: Run, rule: str) -> Finding | None:
    """The first finding of a rule in a run; for a rule that only a search watches, judged by the run's end."""
    if rule == "calls-return":
        return _rests_in_a_call(run)
    known = run.scenario.monitors.get(rule)
    return None if known is None else next(findings_in(run.log, [known]), None)


def cause_of(run: Run, rules: Sequence[type[Monitor]]) -> Finding | None:
    """For a run that ends in a deadlock: a broken promise that would have ended the wait."""
    for rule in rules:
        watcher = rule()
        for entry in run.log:
            found = list(watcher.see(entry))
            if found and isinstance(entry.event, Deadlock) and not isinstance(watcher, DeadlockMonitor):
                return found[0]
    return None


def _rests_in_a_call(run: Run) -> Finding | None:
    watcher = OpenCalls()
    for entry in run.log:
        list(watcher.see(entry))
    if run.world.enabled() or not watcher.open:
        return None
    actor, calls = next(iter(watcher.open.items()))
    what = f"{actor} rests for ever inside {calls[-1]}"
    return Finding("calls-return", len(run), actor, calls[-1].partition(".")[0], what)


def breaks(
    rule: str, scene: Scenario, order: str, *, knobs: Mapping[str, object] | None = None, **roles: type
) -> Finding | None:
    """What an order of events (``"app*6 nic gpu*2"``) breaks of a rule, or None; impossible steps are left out.

    For a regression test: ``roles`` (``importer=MyNic``) put your own classes into the scene.
    """
    with Watchdog():
        run = Run(cast(scene, **roles), knobs)
        schedule: list[str] = []
        try:
            for choice in by_text(order, strict=False)(run.world):
                schedule.append(choice)
                run.world.take(choice)
        except StepTooLong as error:
            return Finding(rule, len(schedule), schedule[-1], schedule[-1], str(where(error)))
        if rule == "retry-for-ever":
            return _comes_back(run.scenario, run.settings, schedule)
        if rule == "must-reach":
            raise BadInput("must-reach is about all orders: use check(…, must_reach=…) in a test of it")
        known = run.scenario.monitors.get(rule)
        if known is not None and issubclass(known, LeadsTo):
            return _stays_open(run.scenario, run.settings, schedule, known)
        return finding_of(Run(run.scenario, run.settings, schedule), rule)


def _stays_open(
    scene: Scenario, knobs: Mapping[str, object], schedule: Sequence[str], rule: type[LeadsTo]
) -> Finding | None:
    """Whether a run ends in a terminal state with a leads-to open, or in a fair cycle on which it stays open."""
    world, watcher, seen = scene.world(**dict(knobs)), rule(), 0  # type: ignore[arg-type]
    states: list[tuple[object, bool]] = []
    able: list[set[str]] = []
    for choice in (None, *schedule):
        if choice is not None:
            world.take(choice)
        for entry in world.log[seen:]:
            list(watcher.see(entry))
        seen = len(world.log)
        states.append((world.state(), watcher.open))
        able.append(set(world.enabled()))
    back = next((step for step, state in enumerate(states[:-1]) if state == states[-1]), None)
    around = back is not None and all(still for _, still in states[back:])
    fair = around and not set.intersection(*able[back:]) - set(schedule[back:])
    if not watcher.open or not (fair or not world.enabled()):
        return None
    return Finding(rule.name, len(schedule), schedule[-1], schedule[-1], f"{rule.promise}: not in this run")


def _comes_back(scene: Scenario, knobs: Mapping[str, object], schedule: Sequence[str]) -> Finding | None:
    """Whether a run ends in one of its earlier states: the steps between can repeat for ever."""
    world = scene.world(**dict(knobs))  # type: ignore[arg-type]
    states = [world.state()]
    for choice in schedule:
        world.take(choice)
        states.append(world.state())
    before = next((step for step, state in enumerate(states[:-1]) if state == states[-1]), None)
    if before is None:
        return None
    what = f"the {len(schedule) - before} steps after step {before} go round for ever"
    return Finding("retry-for-ever", len(schedule), schedule[-1], schedule[-1], what)
