"""One moment of a run, put together: :func:`moment` of a run and a step, :func:`moments` of every step in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from p2plab.core.monitor import Finding
from p2plab.core.run import Run
from p2plab.core.worker import JobBegun
from p2plab.core.world import World
from p2plab.p2p.events import BeatIssued, MoveBegun, MoveEnded
from p2plab.p2p.things import things_of
from p2plab.views.driver_lines import attributes_of
from p2plab.views.stage.chain import Chain, bases_of, chain_of, changed_between, destroyed_in
from p2plab.views.stage.diagram import calls_of
from p2plab.views.stage.history import History, history_of
from p2plab.views.stage.labels import label_of
from p2plab.views.stage.model import NONE, Button, Chip, Driver, Moment
from p2plab.views.stage.now import now_of, roles_of
from p2plab.views.stage.say import Scene, said_of
from p2plab.views.stage.source import driver_at, drivers_of, sections_of

#: The natural order of a scene's actions; other actions have no place in it.
COURSE = ("mmap", "map", "dma", "defrag")


def moment(run: Run, step: int) -> Moment:
    """What the stage shows after ``step`` steps. IndexError outside of the run."""
    if not 0 <= step <= len(run):
        run.at(step)  # raises
    history = history_of(run)
    kept = history.kept(step)
    if kept is None:
        before = _seen_at(run, step - 1, history) if step else None
        kept = _moment(run, run.at(step), history, before)
        history.keep(step, kept)
    made: Moment = kept[0]
    return made


def _seen_at(run: Run, step: int, history: History) -> _Seen:
    """Mostly the moment before was made, too: then its world is not built again."""
    kept = history.kept(step)
    return kept[1] if kept is not None else _seen(run.at(step), history)


def moments(run: Run) -> Iterator[Moment]:
    """The moments after 0, 1, … all steps; no step is replayed."""
    history = history_of(run)
    world = run.scenario.world(**run.settings)
    made, seen = _moment(run, world, history, None)
    yield made
    for choice in run.schedule:
        world.take(choice)
        made, seen = _moment(run, world, history, seen)
        yield made


class _Seen:
    """The parts of a moment with which the next one is compared."""

    def __init__(self, chain: Chain, attributes: dict[str, dict[str, str]]) -> None:
        self.chain, self.attributes = chain, attributes


def _seen(world: World, history: History) -> _Seen:
    chain = chain_of(world, world.log, lambda *of: history.since(world.steps, *of))
    return _Seen(chain, {name: attributes_of(driver) for name, driver in drivers_of(world).items()})


def _moment(run: Run, world: World, history: History, before: _Seen | None) -> tuple[Moment, _Seen]:
    step, log = world.steps, world.log
    seen = _seen(world, history)
    chain = seen.chain
    calls = calls_of(log, world.actors)
    now = now_of(world, log, calls)
    scene = Scene(
        log,
        [entry for entry in log if entry.step == step] if step else (),
        step,
        chain,
        calls,
        now,
        [finding for finding in history.findings_at(step) if finding.step == step and history.is_promise(finding.rule)],
        bases_of(world, log),
        roles_of(world),
        {name: action.help.partition(": ")[2] for name, action in world.actions.items()},
        {name: label_of(name, action) for name, action in world.actions.items()},
    )
    made = Moment(
        step=step,
        spaces=chain.spaces,
        tables=chain.tables,
        slots=chain.slots,
        frames=chain.frames,
        ram=chain.ram,
        beats=chain.beats,
        invalidations=chain.invalidations,
        calls=tuple(call for call in calls if call.end is None or call.start == step),
        now=now,
        said=said_of(scene),
        chips=tuple(_chips(history, step)),
        buttons=tuple(Button(name, action.why_not()) for name, action in world.actions.items()),
        natural=natural(world, chain),
        drivers=tuple(_drivers(world, history, seen, before)),
        changed=changed_between(before.chain, chain) if before is not None else frozenset(),
        destroyed=destroyed_in(chain, step),
    )
    return made, seen


def _drivers(world: World, history: History, seen: _Seen, before: _Seen | None) -> Iterator[Driver]:
    step = world.steps
    was = history.pending[step - 1] if step else {}
    for name, driver in drivers_of(world).items():
        old = before.attributes.get(name, {}) if before is not None else {}
        yield driver_at(driver, sections_of(driver), world, was, history.pending[step], old, seen.attributes[name])


def _chips(history: History, step: int) -> Iterator[Chip]:
    """Broken promises in the order in which they broke, then prices, then the rules that hold."""
    firsts: dict[str, Finding] = {}
    for finding in history.findings_at(step):
        firsts.setdefault(finding.rule, finding)
    for promise in (True, False):
        for rule, finding in firsts.items():
            if history.is_promise(rule) is promise:
                yield Chip(rule, "broken" if promise else "price", finding.step, finding.what)
    tested = history.exercised[step]
    for watched in history.rules:
        if watched.name not in firsts:
            yield Chip(watched.name, "kept" if watched.name in tested else "idle")


def natural(world: World, chain: Chain) -> str:
    """What comes next in the natural course of a scene: ``step`` while an actor can go on, then an action, then ``check``.

    A move waits for no transfer: while only a device's engine can go on, the exporter's move is next.
    """
    going = set(world.enabled())
    if world.stuck is not None and not going:
        return ""
    kinds = {type(entry.event) for entry in world.log}
    at_work = bool(going) and going <= {importer.engine.name for importer in things_of(world).importers}
    if at_work and "defrag" in world.actions and MoveBegun not in kinds and not world.actions["defrag"].why_not():
        return "defrag"
    if going:
        return "step"
    done = {
        "mmap": any(page.shows for space in chain.spaces for page in space.pages),
        "map": any(entry.state != NONE for table in chain.tables for entry in table.entries),
        "dma": BeatIssued in kinds,
        "defrag": MoveEnded in kinds,
    }
    begun = {entry.event.job for entry in world.log if isinstance(entry.event, JobBegun)}
    course: list[Any] = [name for name in COURSE if name in world.actions]
    if len(course) < 2:  # a scene with its own list
        course = list(world.actions)
        done = {name: name in begun or action.label in begun for name, action in world.actions.items()}
    return next((name for name in course if not done[name] and not world.actions[name].why_not()), "check")
