"""A run as plain text of at most 72 columns, fit for a mail: one column an actor, and the reason of every switch."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from p2plab.catalog.played import KERNEL, of_rule, play_of
from p2plab.core.calls import Called
from p2plab.core.events import Entry, Event
from p2plab.core.number_of import number_of
from p2plab.core.run import Run
from p2plab.core.token import token_of
from p2plab.core.world import PERSON, Crashed, World
from p2plab.p2p.things import Things, leaks
from p2plab.rules import Board, judge, watched_by
from p2plab.rules.damage import damage
from p2plab.views.driver_lines import DriverStep, Watch

WIDTH = 72

#: How many rows a line of source, or what changed in an attribute, may take.
_MOST_ROWS = 3

#: How many damaged frames a report spells out.
SHOWN = 3


def board_of(run: Run, step: int | None = None) -> Board:
    """The board of the promises that this run's scenario watches, at its end or after ``step`` steps."""
    log = run.log if step is None else [entry for entry in run.log if entry.step <= step]
    return judge(log, watched_by(run.scenario))


def kernel_of(run: Run) -> str:
    """The kernel under which a run's first process lives, by name; empty for a world without processes."""
    things = run.world.things
    return things.spaces[0].kernel.name if isinstance(things, Things) else ""


def story(run: Run, lines: bool | None = None) -> str:
    """The whole report: what runs, the columns, the verdict with rule, step, bytes and source, and the token.

    ``lines`` as for :func:`columns`.
    """
    return "\n".join([*heading(run), "", *columns(run, lines), "", *verdict(run), "", *_token(run)]) + "\n"


def columns(run: Run, lines: bool | None = None) -> Iterator[str]:
    """One row an event, each in its actor's column; a row of dashes where another actor takes over, with the reason.

    ``lines``: below a step the source lines of the driver that it ran (``>``) and the driver's attributes that it changed
    (``=``). None: where a driver is defined outside of p2plab.
    """
    world = run.scenario.world(**run.settings)
    watch = None if lines is False else Watch(world, shipped=lines is True)
    if watch is not None and lines is None and not watch.yours:
        watch = None
    lanes = _lanes(list(world.actors))
    yield "step " + _header(lanes)
    built = [text for entry in world.log if (text := phrase(entry.event))]
    if built:
        yield from _wrap(f"   0 built: {', '.join(built)}")
    before = ""
    seen = len(world.log)
    for choice in run.schedule:
        if not choice.startswith("!"):
            if before and choice != before:
                yield _switch(world, before, choice)
            before = choice
        world.take(choice)
        shown = list(_rows(world.log[seen:], lanes, str(world.steps)))
        yield from shown
        if watch is not None and (ran := watch.stepped(choice)) is not None:
            yield from _driver_rows(ran, lanes, "" if shown else str(world.steps))
        seen = len(world.log)


def verdict(run: Run, about: str = "") -> Iterator[str]:
    """Which promises broke, by whom, and whose bytes were damaged; or that all held, and which were not tested.

    First the rule that the run is ``about`` (the scene's own if empty), then the others in the order in which they broke. A
    price that was paid breaks no promise, and is called a price.
    """
    board = board_of(run)
    kernel = kernel_of(run)
    damaged = damage(run.log)
    if not board.findings and not damaged:
        idle = [rule.name for rule in board.rules if not rule.exercised]
        yield from _wrap(f"all rules held ({len(board.rules) - len(idle)} of {len(board.rules)} put to the test)")
        if idle:
            yield from _wrap(f"not put to the test: {', '.join(idle)}")
    about = about or run.scenario.breaks
    broken = [(rule, finding) for rule in board.rules if (finding := board.first(rule.name)) is not None]
    for rule, finding in sorted(broken, key=lambda pair: (pair[0].name != about, pair[1].step)):
        number = f" (invariant {rule.number})" if rule.number else ""
        paid = rule.kind == "price"
        yield from _wrap(
            f"{'PRICE' if paid else 'BROKEN'}: {rule.name}{number}, at step {finding.step}, by {finding.culprit}"
        )
        yield from _wrap(f"{'given up' if paid else 'promised'}: {rule.promise}", "  ")
        yield from _wrap(f"happened: {finding.what}", "  ")
        yield from _wrap(f"source:   {rule.source_in(kernel)} ({rule.basis()})", "  ")
        if said := of_rule(rule.name):
            yield from _wrap(f"on {said}", "  ")
    for note in board.notes:
        yield from _wrap(f"note: {note}")
    if damaged:
        others = [hit for hit in damaged if hit.frame or hit.decoder]
        yield from _wrap(
            f"damage: {number_of(len(damaged), 'beat')} went astray, {len(others)} of them into somebody's memory"
        )
        for hit in (others or list(damaged))[:SHOWN]:
            yield from _wrap(str(hit), "  ")
    for exporter, importer, count in leaks(run.world):
        many = number_of(count, "page")
        yield from _wrap(
            f"leak: {exporter} has {many} lent to {importer}, which gives none back any more: DMA API debugging says so "
            "when the importer's driver is unbound"
        )
    if (play := play_of(run.scenario, run.settings)) is not None:
        yield from _wrap(f"the same on a real kernel, Linux {KERNEL}: {play}")


def heading(run: Run) -> Iterator[str]:
    """The scene with its version and title, and the knobs."""
    knobs = ", ".join(f"{name}={value}" for name, value in run.settings.items())
    yield from _wrap(
        f"{run.scenario.name} (version {run.scenario.version}): {run.scenario.words_with(run.settings).title}"
    )
    if knobs:
        yield from _wrap(f"knobs: {knobs}")


def _token(run: Run) -> Iterator[str]:
    needs = [run.scenario.needs, *(f"{role}={kind.__name__}" for role, kind in run.scenario.cast.items())]
    yield f"token (it needs {', '.join(filter(None, needs))} beside itself):" if any(needs) else "token:"
    token = token_of(run)
    yield from (token[i : i + WIDTH] for i in range(0, len(token), WIDTH))


def _lanes(actors: list[str]) -> dict[str, int]:
    """Where each actor's column begins: evenly, but leaving at least 32 columns to the last one."""
    stride = max(2, min(max(map(len, actors), default=0) + 2, (WIDTH - 5 - 32) // max(1, len(actors) - 1)))
    return {name: 5 + stride * number for number, name in enumerate(actors)}


def _header(lanes: dict[str, int]) -> str:
    line = ""
    for name, place in lanes.items():
        line = line.ljust(place - 5) if len(line) <= place - 5 else f"{line[: place - 6]} "
        line += name
    return line[: WIDTH - 5]


def _rows(entries: list[Entry], lanes: dict[str, int], step: str) -> Iterator[str]:
    lead = ""
    for entry in entries:
        text = phrase(entry.event)
        if not text:
            continue
        place = lanes.get(entry.actor, 5)
        if entry.actor == PERSON:
            text = f"== {PERSON} {text.replace('presses', 'press', 1)} =="
        yield from _row(step, place, text, lead, list(lanes.values()))
        step, lead = "", "  "


def _row(step: str, place: int, text: str, lead: str, bars: list[int], most: int | None = None) -> Iterator[str]:
    room = WIDTH - place - len(lead)
    for number, line in enumerate(
        textwrap.wrap(text, room, subsequent_indent="  ", max_lines=most, placeholder=" ...") or [""]
    ):
        left = "".join("|" if at in bars else " " for at in range(5, place))
        yield f"{step if number == 0 else '':>4} {left}{lead}{line}".rstrip()


def _driver_rows(ran: DriverStep, lanes: dict[str, int], step: str) -> Iterator[str]:
    place, bars = lanes.get(ran.actor, 5), list(lanes.values())
    for text in (*(f"> {line}" for line in ran.lines), *(f"= {change}" for change in ran.changes)):
        yield from _row(step, place, text, "  ", bars, most=_MOST_ROWS)
        step = ""


def _switch(world: World, before: str, choice: str) -> str:
    why = world.why_not(before) or f"{before} could go on"
    line = f"---- {before} -> {choice}: {why} "
    return (line if len(line) <= WIDTH else f"{line[: WIDTH - 4]}... ").ljust(WIDTH, "-")[:WIDTH]


def phrase(event: Event) -> str:
    """What a row says of an event; empty where the step's label says it already."""
    if isinstance(event, Called) and event.caller == "mmu_notifier":
        return f"{event.target}.{event.function}"  # the range is in the row above
    return f"!! {event}" if isinstance(event, Crashed) else str(event)


def _wrap(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=True)
