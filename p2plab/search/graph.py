"""The states of a search and the steps between them: expanding one state, and what its successors are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from p2plab.core.lockdep import any_waiting_cycle
from p2plab.search.folds import Broken, Folds
from p2plab.search.recorder import Recorder
from p2plab.search.steps import Leaf, Row

#: A state in full: what each actor is about to do, each cell's value, what the rules remember.
Key = tuple[tuple[Any, ...], frozenset[Any], tuple[Any, ...]]

#: In ``successors``: the actor cannot step there.
NOWHERE = -1


def goal_of(code: int) -> int:
    """A goal's code among successors, from its number; and its number from the code."""
    return -2 - code


@dataclass(frozen=True, slots=True)
class Goal:
    """A broken promise: the state in which it shows, and the actor whose step shows it (None: the state itself)."""

    state: int
    actor: int | None
    broken: Broken


class StateGraph:
    """States by number, 0 first; ``successors[state]`` has a state, :data:`NOWHERE` or a goal's code an actor.

    A successor is worked out when somebody asks for it (:meth:`step`); until then :data:`NOWHERE` stands there, and
    before a state is looked at, None.
    """

    def __init__(self, recorder: Recorder, folds: Folds) -> None:
        self.recorder = recorder
        self.table, self.columns, self.folds = recorder.table, recorder.columns, folds
        self.actors: tuple[str, ...] = recorder.columns.actors
        self.rows: list[Row] = []
        self.successors: list[list[int] | None] = []
        self.came_from: list[tuple[int, int]] = []
        self.goals: list[Goal] = []
        self.goals_of: dict[int, list[int]] = {}  #: state -> the goals that it is itself
        self.at_rest: list[int] = []  #: states in which everybody is done or has no work
        self.transitions = 0
        self.expanded = 0
        self._asked: list[int] = []  #: per state the actors whose successor is worked out, as bits
        self._everybody = (1 << len(self.actors)) - 1
        self._numbers: dict[Row, int] = {}
        self._judged: dict[tuple[int, int], tuple[int, tuple[Broken, ...]]] = {}
        self._cycles: dict[tuple[tuple[str, ...], ...], tuple[str, ...]] = {}
        self._begin()

    def _begin(self) -> None:
        row: list[int] = [0] * len(self.columns)
        events = self.recorder.setup_events
        row[self.columns.rules], broken = self.folds.after(0, self.table.number_of(events), events)
        state = self._number(tuple(row), -1, -1)
        self.setup_broke = bool(broken)
        for breach in broken:
            self._add_goal(state, None, breach)

    def __len__(self) -> int:
        return len(self.rows)

    def resting(self) -> list[int]:
        """The states at rest."""
        return self.at_rest

    def path(self, state: int) -> list[str]:
        """Some choices that lead to a state."""
        choices = []
        while state:
            state, actor = self.came_from[state]
            choices.append(self.actors[actor])
        return choices[::-1]

    def number_of(self, row: Row) -> int | None:
        """The number of a state; None if the search never met it."""
        return self._numbers.get(row)

    def rows_of_path(self, state: int) -> list[Row]:
        """The states that :meth:`path` passes, the first and the last included."""
        rows = [self.rows[state]]
        while state:
            state, _ = self.came_from[state]
            rows.append(self.rows[state])
        return rows[::-1]

    def in_full(self) -> list[Key]:
        """Every state in full: locals, cells and rules' memory, frozen. For comparing with another search."""
        values = [list(numbers) for numbers in self.columns.values]
        rules, cells = self.columns.rules, self.columns.of
        at_setup = {cell: value for cell, value in self.columns.at_setup.items() if cell not in cells}
        return [
            (
                tuple(values[actor][row[actor]] for actor in range(rules)),
                frozenset((at_setup | {cell: values[column][row[column]] for cell, column in cells.items()}).items()),
                self.folds.frozen(row[rules]),
            )
            for row in self.rows
        ]

    def look_at(self, state: int) -> None:
        """Find out whether the story ends in a state: set-up broke something, a deadlock, rest."""
        if self.successors[state] is not None:
            return
        self.successors[state] = [NOWHERE] * len(self.actors)
        self.expanded += 1
        if state not in self.goals_of:  # set-up itself may have broken something
            self._look_for_deadlock(state)
        if state in self.goals_of:  # whoever else could go on
            self._asked[state] = self._everybody

    def step(self, state: int, actor: int) -> int:
        """The successor of a state that was looked at, by one actor's step; worked out the first time."""
        successors = self.successors[state]
        assert successors is not None
        bit = 1 << actor
        if not self._asked[state] & bit:
            self._asked[state] |= bit
            leaf = self.table.look_up(self.rows[state], actor)
            if leaf is None:
                leaf = self._leaf(state, actor)
            if leaf.enabled:
                successors[actor] = self._successor(state, self.rows[state], actor, leaf)
        return successors[actor]

    def expand(self, state: int) -> Sequence[int]:
        """All successors of a state, one an actor."""
        self.look_at(state)
        if self._asked[state] != self._everybody:
            for actor in range(len(self.actors)):
                self.step(state, actor)
        successors = self.successors[state]
        assert successors is not None
        return successors

    def followers(self, state: int) -> Sequence[int]:
        """As :meth:`expand`: the successors of a state, one an actor."""
        return self.expand(state)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _leaf(self, state: int, actor: int) -> Leaf:
        while True:
            leaf = self.table.look_up(self.rows[state], actor)
            if leaf is not None:
                return leaf
            if self.recorder.record(self.rows[state], actor, lambda: self.path(state)):
                self._widen()

    def _widen(self) -> None:
        more = (0,) * (len(self.columns) - len(self.rows[0]))
        self.rows = [row + more for row in self.rows]
        self._numbers = {row: number for number, row in enumerate(self.rows)}

    def _number(self, row: Row, parent: int, actor: int) -> int:
        number = self._numbers.setdefault(row, len(self.rows))
        if number == len(self.rows):
            self.rows.append(row)
            self.successors.append(None)
            self._asked.append(0)
            self.came_from.append((parent, actor))
        return number

    def judge(self, memory: int, leaf: Leaf) -> tuple[int, tuple[Broken, ...]]:
        """What the rules remember after a step taken when they remembered ``memory``, and what it broke."""
        known = self._judged.get((memory, leaf.events))
        if known is None:
            known = self.folds.after(memory, leaf.events, self.table.events[leaf.events])
            self._judged[memory, leaf.events] = known
        return known

    def _successor(self, state: int, row: Row, actor: int, leaf: Leaf) -> int:
        self.transitions += 1
        if leaf.broken:
            return goal_of(self._add_goal(state, actor, leaf.broken[0]))
        memory, broken = self.judge(row[self.columns.rules], leaf)
        if broken:
            return goal_of(self._add_goal(state, actor, broken[0]))
        new = list(row)
        for column, value in leaf.writes:
            new[column] = value
        new[self.columns.rules] = memory
        return self._number(tuple(new), state, actor)

    def _add_goal(self, state: int, actor: int | None, broken: Broken) -> int:
        self.goals.append(Goal(state, actor, broken))
        if actor is None:
            self.goals_of.setdefault(state, []).append(len(self.goals) - 1)
        return len(self.goals) - 1

    def _look_for_deadlock(self, state: int) -> None:
        row, free = self.rows[state], self.recorder.free
        waiting: list[tuple[str, Leaf]] = []
        able = linked = False
        for actor, local in enumerate(row[: self.columns.rules]):
            if local in free[actor]:  # it can step whatever the others do: what its step does need not be known here
                able = True
                continue
            leaf = self.table.look_up(self.rows[state], actor)
            if leaf is None:
                leaf = self._leaf(state, actor)
            if leaf.enabled:
                able = True
            elif not leaf.gone and not leaf.idle:
                waiting.append((self.actors[actor], leaf))
                linked |= bool(leaf.waits)
        if linked or (waiting and not able):
            broken = self.deadlock(waiting, able)
            if broken is not None:
                self._add_goal(state, None, broken)
        elif not able:
            self.at_rest.append(state)
            for broken in self.left_open(row[self.columns.rules]):
                self._add_goal(state, None, broken)

    def deadlock(self, waiting: Sequence[tuple[str, Leaf]], able: bool) -> Broken | None:
        """The deadlock among those who wait: a cycle, or that nobody is ``able`` to step; else None."""
        edges = tuple((name, *leaf.waits) for name, leaf in waiting)
        if edges not in self._cycles:
            after = {name: others for name, *others in edges}
            self._cycles[edges] = any_waiting_cycle(after, lambda name: tuple(after.get(name, ())))
        cycle = self._cycles[edges]
        if not cycle and able:
            return None
        labels = {name: leaf.label for name, leaf in waiting}
        who = cycle or tuple(labels)
        what = "; ".join(f"{name}: {labels[name]}" for name in who)
        ring = " -> ".join((*cycle, cycle[0])) if cycle else "all wait"
        return Broken("no-deadlock", who[0], f"deadlock: {ring} ({what})")

    def left_open(self, memory: int) -> list[Broken]:
        """The callbacks that somebody rests in."""
        return [
            Broken("calls-return", calls[-1].partition(".")[0], f"{actor} rests for ever inside {calls[-1]}")
            for actor, calls in self.folds.left_open(memory).items()
        ]


def waits(leaf: Leaf) -> bool:
    """Whether a blocked actor waits for something other than work."""
    return not leaf.enabled and not leaf.gone and not leaf.idle
