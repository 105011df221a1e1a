"""What the views show at every step of a run, stored as a first state and then only what changed: for pages without Python.

A state is a flat mapping: ``words/…`` to text, ``data/PANE/SOURCE/COLUMN`` to a list. A change maps a name to its new
value, or to ``{"at": {index: value}}`` where a list kept its length and few of its places changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from p2plab.core.errors import BadInput
from p2plab.core.events import Entry
from p2plab.core.run import Run
from p2plab.rules import watched_by
from p2plab.rules.base import Board, Finding
from p2plab.rules.damage import damage
from p2plab.views.barmap import bar_map
from p2plab.views.picture import Picture
from p2plab.views.strip import address_space
from p2plab.views.text import board_of
from p2plab.views.timeline import timeline

State = dict[str, Any]

#: A longer run makes a page that nobody steps through; its text or its log is the better reading.
MOST_STEPS = 2_000


def states(run: Run) -> Iterator[State]:
    """The state after 0, 1, … all steps."""
    if len(run) > MOST_STEPS:
        raise BadInput(f"the run has {len(run)} steps; a page that steps through it holds at most {MOST_STEPS}")
    whole = board_of(run)
    so_far = Run(run.scenario, run.settings)
    for step, board in enumerate(boards(run)):
        if step:
            so_far = so_far.then(run.schedule[step - 1])  # moves its world on: no replay for each step
        yield {
            "words/verdict": verdict_words(board),
            "words/damage": damage_words(so_far.log),
            **{f"words/rule/{rule.name}": rule_words(board, rule.name) for rule in board.rules},
            **_flat("address-space", address_space(so_far, step)),
            **_flat("bar-map", bar_map(so_far, step)),
            **_flat("timeline", timeline(run, step, whole)),
        }


def boards(run: Run) -> Iterator[Board]:
    """How the promises stand after 0, 1, … all steps; the log is read once. Use each before asking for the next."""
    rules = tuple(rule() for rule in watched_by(run.scenario))
    findings: list[Finding] = []
    by_step = {step: list(entries) for step, entries in groupby(run.log, lambda entry: entry.step)}
    for step in range(len(run) + 1):
        findings += [finding for entry in by_step.get(step, ()) for rule in rules for finding in rule.see(entry)]
        yield Board(rules, tuple(findings))


def changes(sequence: Iterator[State]) -> tuple[State, list[State]]:
    """The first state, and for each later one what differs from the one before."""
    first = before = next(sequence)
    later = []
    for state in sequence:
        later.append({name: _change(before[name], now) for name, now in state.items() if before[name] != now})
        before = state
    return first, later


def verdict_words(board: Board) -> str:
    """Which promises are broken, at which step, and what happened first; or that none is."""
    broken = [finding for rule in board.rules if (finding := board.first(rule.name))]
    if not broken:
        return "No rule is broken so far."
    names = ", ".join(f"{finding.rule} at step {finding.step}" for finding in broken)
    return f"Broken: {names}. {broken[0].what}."


def rule_words(board: Board, name: str) -> str:
    """How one promise stands, and what happened if it is broken."""
    (rule,) = (rule for rule in board.rules if rule.name == name)
    finding = board.first(name)
    return f"{board.state(rule)}: {finding.what}" if finding else board.state(rule)


def damage_words(log: tuple[Entry, ...]) -> str:
    """Whose bytes were damaged, one line a hit."""
    hits = damage(log)
    return "\n".join(map(str, hits)) if hits else "No byte of anybody was damaged."


def _flat(pane: str, picture: Picture) -> State:
    columns = {
        f"data/{pane}/{source}/{column}": values
        for source, table in picture.data.items()
        for column, values in table.items()
    }
    return {f"words/{pane}": picture.alt, **columns}


def _change(before: Any, now: Any) -> Any:
    if isinstance(now, list) and len(now) == len(before):
        places = {str(place): new for place, (old, new) in enumerate(zip(before, now, strict=True)) if old != new}
        if 2 * len(places) < len(now):
            return {"at": places}
    return now
