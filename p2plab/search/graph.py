"""What is explored: states by number, the steps between them, and where promises break.

A :class:`Graph` is a set of numbered states with the successors of each, one per actor: the actor labels the step. A
:class:`Searcher` expands one in some order, and finds a :class:`Story`. :class:`StateGraph` is the graph in plain
Python; in arrays, by symmetry and among workers the others are in ``arrays``, ``symmetry`` and ``parallel``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from p2plab.search.liveness import cannot_terminate, count_orders
from p2plab.search.model import Model
from p2plab.search.monitors import Broken
from p2plab.search.steps import NOWHERE, Leaf, Row, breach_of, waits
from p2plab.search.verdict import Orbits

#: A state in full: what each actor is about to do, each cell's value, the monitors' state.
Key = tuple[tuple[Any, ...], frozenset[Any], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Breach:
    """A broken promise: the state in which it shows, and the actor whose step shows it (None: the state itself)."""

    state: int
    actor: int | None
    broken: Broken


@dataclass(frozen=True, slots=True)
class Story:
    """What a search found: a promise broken by these choices, with this many switches."""

    switches: int
    broken: Broken
    choices: tuple[str, ...]


class Graph(Protocol):
    """States by number, 0 first."""

    model: Model
    actors: tuple[str, ...]
    breaches: list[Breach]
    breaches_of: dict[int, list[int]]  #: state -> the breaches that it is itself
    transitions: int

    def __len__(self) -> int:
        """How many states were met."""

    @property
    def full(self) -> int:
        """How many states they represent: more if each is an orbit."""

    @property
    def orbits(self) -> Orbits | None:
        """How it was searched by symmetry; None for any other search."""

    def row(self, state: int) -> Row:
        """A state: the numbers of its columns' values."""

    def followers(self, state: int) -> Sequence[int]:
        """The successors of a state, one per actor: a state, :data:`NOWHERE`, or the code of a breach."""

    def path(self, state: int) -> list[str]:
        """Some choices that lead to a state."""

    def rows_of_path(self, state: int) -> list[Row]:
        """The states on :meth:`path`, the first and the last included."""

    def terminal(self) -> Collection[int]:
        """The terminal states: every actor is done or has no work."""

    def count_orders(self) -> int | None:
        """How many runs there are; None if a loop makes them endless, or the graph is too large to count them."""

    def cannot_terminate(self) -> int | None:
        """The first state from which no run ever ends; None if there is none."""


class Searcher(Protocol):
    """Explores a graph, a slice at a time."""

    @property
    def graph(self) -> Graph:
        """What it explores."""

    @property
    def found(self) -> Story | None:
        """The first story that breaks a promise: the simplest if the order is by switches."""

    @property
    def switches(self) -> int:
        """The number of switches tried so far, if searched in that order."""

    @property
    def frontier(self) -> int:
        """The number of known states or steps not yet followed."""

    @property
    def done(self) -> bool:
        """Whether there is nothing more to do."""

    @property
    def complete(self) -> bool:
        """Whether every state was expanded and nothing breaks."""

    def advance(self, seconds: float, states: int) -> None:
        """Go on for about ``seconds``, or until there are that many states."""


class StateGraph:
    """A :class:`Graph` of rows in a dict, expanded one state at a time.

    ``successors[state]`` is None before a state is looked at. A successor is computed when it is asked for
    (:meth:`step`); until then it is :data:`NOWHERE`.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.table, self.columns = model.table, model.columns
        self.actors = model.actors
        self.rows: list[Row] = []
        self.successors: list[list[int] | None] = []
        self.came_from: list[tuple[int, int]] = []
        self.breaches: list[Breach] = []
        self.breaches_of: dict[int, list[int]] = {}
        self.transitions = 0
        self.expanded = 0
        self._terminal: list[int] = []
        self._asked: list[int] = []  #: per state the actors whose successor is computed, as bits
        self._everybody = (1 << len(self.actors)) - 1
        self._numbers: dict[Row, int] = {}
        self._number(model.initial, -1, -1)
        for broken in model.setup_broke:
            self._add_breach(0, None, broken)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def full(self) -> int:
        """Each represents itself."""
        return len(self.rows)

    orbits = None

    def row(self, state: int) -> Row:
        """As :meth:`Graph.row`."""
        return self.rows[state]

    def terminal(self) -> list[int]:
        """As :meth:`Graph.terminal`."""
        return self._terminal

    def path(self, state: int) -> list[str]:
        """As :meth:`Graph.path`."""
        choices = []
        while state:
            state, actor = self.came_from[state]
            choices.append(self.actors[actor])
        return choices[::-1]

    def number_of(self, row: Row) -> int | None:
        """The number of a state; None if the search never found it."""
        return self._numbers.get(row)

    def rows_of_path(self, state: int) -> list[Row]:
        """As :meth:`Graph.rows_of_path`."""
        rows = [self.rows[state]]
        while state:
            state, _ = self.came_from[state]
            rows.append(self.rows[state])
        return rows[::-1]

    def count_orders(self) -> int | None:
        """As :meth:`Graph.count_orders`."""
        return count_orders(self)

    def cannot_terminate(self) -> int | None:
        """As :meth:`Graph.cannot_terminate`."""
        return cannot_terminate(self)

    def in_full(self) -> list[Key]:
        """Every state in full: locals, cells and monitors' memory, frozen. For comparing with another search."""
        values = [list(numbers) for numbers in self.columns.values]
        rules, cells = self.columns.memory, self.columns.of
        at_setup = {cell: value for cell, value in self.columns.at_setup.items() if cell not in cells}
        return [
            (
                tuple(values[actor][row[actor]] for actor in range(rules)),
                frozenset((at_setup | {cell: values[column][row[column]] for cell, column in cells.items()}).items()),
                self.model.monitors.frozen(row[rules]),
            )
            for row in self.rows
        ]

    def look_at(self, state: int) -> None:
        """Find out whether a run ends in a state: set-up broke something, a deadlock, a terminal state."""
        if self.successors[state] is not None:
            return
        self.successors[state] = [NOWHERE] * len(self.actors)
        self.expanded += 1
        if state not in self.breaches_of:  # set-up itself may have broken something
            self._look_for_deadlock(state)
        if state in self.breaches_of:  # whichever actor could go on
            self._asked[state] = self._everybody

    def step(self, state: int, actor: int) -> int:
        """The successor of an expanded state by one actor's step; computed the first time."""
        successors = self.successors[state]
        assert successors is not None
        bit = 1 << actor
        if not self._asked[state] & bit:
            self._asked[state] |= bit
            leaf = self._leaf(state, actor)
            if leaf.enabled:
                successors[actor] = self._successor(state, actor, leaf)
        return successors[actor]

    def followers(self, state: int) -> Sequence[int]:
        """As :meth:`Graph.followers`; the state is expanded if it was not."""
        self.look_at(state)
        if self._asked[state] != self._everybody:
            for actor in range(len(self.actors)):
                self.step(state, actor)
        successors = self.successors[state]
        assert successors is not None
        return successors

    # -- inside -----------------------------------------------------------------------------------------------------

    def _leaf(self, state: int, actor: int) -> Leaf:
        while (leaf := self.table.look_up(self.rows[state], actor)) is None:
            if self.model.recorder.record(self.rows[state], actor, lambda: self.path(state)):
                self._widen()
        return leaf

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

    def _successor(self, state: int, actor: int, leaf: Leaf) -> int:
        row = self.rows[state]
        self.transitions += 1
        if leaf.broken:
            return breach_of(self._add_breach(state, actor, leaf.broken[0]))
        memory, broken = self.model.judge(row[self.columns.memory], leaf)
        if broken:
            return breach_of(self._add_breach(state, actor, broken[0]))
        new = list(row)
        for column, value in leaf.writes:
            new[column] = value
        new[self.columns.memory] = memory
        return self._number(tuple(new), state, actor)

    def _add_breach(self, state: int, actor: int | None, broken: Broken) -> int:
        self.breaches.append(Breach(state, actor, broken))
        if actor is None:
            self.breaches_of.setdefault(state, []).append(len(self.breaches) - 1)
        return len(self.breaches) - 1

    def _look_for_deadlock(self, state: int) -> None:
        row, free = self.rows[state], self.model.recorder.free
        waiting: list[tuple[str, Leaf]] = []
        able = linked = False
        for actor, local in enumerate(row[: self.columns.memory]):
            if local in free[actor]:  # it can step in any case: its successor need not be known here
                able = True
                continue
            leaf = self._leaf(state, actor)
            if leaf.enabled:
                able = True
            elif waits(leaf):
                waiting.append((self.actors[actor], leaf))
                linked |= bool(leaf.waits)
        if linked or (waiting and not able):
            broken = self.model.deadlock(waiting, able)
            if broken is not None:
                self._add_breach(state, None, broken)
        elif not able:
            self._terminal.append(state)
            for broken in self.model.left_open(row[self.columns.memory]):
                self._add_breach(state, None, broken)
