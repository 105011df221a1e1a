"""Memoised steps: an actor's next step is looked up by what it read; driver code runs only on a miss.

A state is a row of small integers: one per actor (its local configuration), one for all rules together, and one for each
cell that any step ever changed. Value 0 of a column is what it was after set-up, so a cell that no step changes needs no
column. Per actor and local configuration there is a decision tree: each inner node is the column that the step
reads next, each leaf is what the step does. The same reads must lead to the same next read: otherwise the
driver is not deterministic, and is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from p2plab.core.errors import P2PError
from p2plab.search.monitors import Broken, Events
from p2plab.search.objects import CellName

Row = tuple[int, ...]

#: In place of a successor: the actor cannot step. Smaller numbers are the codes of broken promises.
NOWHERE = -1
#: The value of a cell that does not exist.
ABSENT = ("absent",)


class NotDeterministic(P2PError):
    """The same steps did not lead to the same state; the text names the first thing that differs."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """What one step does: ``writes`` as (column, value), its ``events`` by number; or why it cannot be taken.

    ``waits`` and ``idle`` are of a blocked actor. ``gone``: the actor has returned or crashed.
    """

    enabled: bool
    writes: tuple[tuple[int, int], ...] = ()
    events: int = 0
    broken: tuple[Broken, ...] = ()
    waits: tuple[str, ...] = ()
    idle: bool = False
    gone: bool = False
    label: str = ""


def breach_of(code: int) -> int:
    """A broken promise's code among successors, from its number; and its number from the code."""
    return -2 - code


def waits(leaf: Leaf) -> bool:
    """Whether a blocked actor waits for something other than work."""
    return not leaf.enabled and not leaf.gone and not leaf.idle


GONE = Leaf(False, gone=True)


class Node:
    """Branches on the value of a column; a branch for each value seen."""

    __slots__ = ("branches", "column")

    def __init__(self, column: int) -> None:
        self.column = column
        self.branches: dict[int, Node | Leaf] = {}


@dataclass(frozen=True, slots=True)
class Reading:
    """One recorded step: the cells that it read, in order, with the numbers of their values, and what it did.

    ``wrote`` has every cell written. Those that are no columns yet were written their present value; if they
    become columns, this step writes value 0.
    """

    reads: tuple[tuple[CellName, int], ...]
    leaf: Leaf
    wrote: tuple[CellName, ...] = ()

    @property
    def touched(self) -> tuple[CellName, ...]:
        """The cells read or written."""
        return (*(cell for cell, _ in self.reads), *self.wrote)

    def with_columns(self, columns: dict[CellName, int]) -> Leaf:
        """The leaf, with a write for every cell written that is a column now."""
        known = {column for column, _ in self.leaf.writes}
        late = tuple((columns[cell], 0) for cell in self.wrote if cell in columns and columns[cell] not in known)
        return replace(self.leaf, writes=self.leaf.writes + late) if late else self.leaf


class Columns:
    """The columns of a state, and for each column the numbers of its values."""

    def __init__(self, actors: Sequence[str], locals_: Iterable[Any], cells: dict[CellName, Any]) -> None:
        self.actors = tuple(actors)
        self.memory = len(self.actors)  #: the column of the monitors' state
        self.at_setup = cells
        self.of: dict[CellName, int] = {}
        self.values: list[dict[Any, int]] = [{value: 0} for value in locals_] + [{}]
        self.version = 0  #: increases with every column and value
        self._frozen: dict[int, list[Any]] = {}  #: by column, the values by number, as far as requested

    def __len__(self) -> int:
        return len(self.values)

    def number(self, column: int, frozen: Any) -> int:
        """The number of a value of a column; a new one if it was never seen."""
        values = self.values[column]
        next_ = len(values)
        number = values.setdefault(frozen, next_)
        if number == next_:
            self.version += 1
        return number

    def frozen(self, column: int, number: int) -> Any:
        """The value of a column that has that number."""
        values = self._frozen.setdefault(column, [])
        if number >= len(values):
            values += list(self.values[column])[len(values) :]
        return values[number]

    def known(self, cell: CellName, frozen: Any) -> int | None:
        """The number of a cell's value, or None if it was never seen."""
        column = self.of.get(cell)
        if column is not None:
            return self.values[column].get(frozen)
        return 0 if self.at_setup.get(cell, ABSENT) == frozen else None

    def of_row(self, row: Row, cell: CellName) -> int:
        """The number of a cell's value in a row."""
        column = self.of.get(cell)
        return 0 if column is None else row[column]

    def add(self, cell: CellName) -> int:
        """A column for a cell that a step changed; in every row so far it is 0."""
        self.version += 1
        column = self.of[cell] = len(self.values)
        self.values.append({self.at_setup.get(cell, ABSENT): 0})
        return column


class StepTable:
    """The decision trees of all actors."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.roots: list[dict[int, Node | Leaf]] = [{} for _ in columns.actors]
        self.events: list[Events] = []
        self.version = 0  #: increases whenever a tree changes
        self.versions = [0] * len(columns.actors)  #: the same for each actor's trees
        self.reshaped = [0] * len(columns.actors)  #: the same, but for steps and values that were only added
        self._readings: list[dict[int, list[Reading]]] = [{} for _ in columns.actors]
        self._events: dict[Events, int] = {}

    def look_up(self, row: Row, actor: int) -> Leaf | None:
        """What the actor does in that state; None if that is not known yet."""
        node = self.roots[actor].get(row[actor])
        while node.__class__ is Node:
            node = node.branches.get(row[node.column])
        return node  # type: ignore[return-value]

    def add(self, actor: int, local: int, reading: Reading) -> None:
        """Remember a step. :exc:`NotDeterministic` if the same reads led elsewhere before."""
        self._readings[actor].setdefault(local, []).append(reading)
        self._insert(actor, local, reading)
        self._changed(actor)

    def gone(self, actor: int, local: int) -> None:
        """An actor with this local configuration never steps again."""
        self.roots[actor][local] = GONE
        self._changed(actor)

    def number_of(self, events: Events) -> int:
        """The number of a step's events."""
        number = self._events.setdefault(events, len(self.events))
        if number == len(self.events):
            self.events.append(events)
        return number

    def ask_for(self, cells: set[CellName]) -> None:
        """Some cells became columns: read them wherever a step read them, and write them wherever one wrote."""
        for actor, by_local in enumerate(self._readings):
            for local, readings in by_local.items():
                if any(not cells.isdisjoint(reading.touched) for reading in readings):
                    self._changed(actor)
                    self.reshaped[actor] = self.version
                    del self.roots[actor][local]
                    for reading in readings:
                        self._insert(actor, local, reading)

    def _changed(self, actor: int) -> None:
        self.version += 1
        self.versions[actor] = self.version

    def _insert(self, actor: int, local: int, reading: Reading) -> None:
        holder: dict[int, Node | Leaf] = self.roots[actor]
        key = local
        for cell, value in reading.reads:
            column = self.columns.of.get(cell)
            if column is None:
                continue
            node = holder.setdefault(key, Node(column))
            if not isinstance(node, Node) or node.column != column:
                raise self._differs(actor, reading, f"it now reads {'.'.join(cell)}")
            holder, key = node.branches, value
        leaf = reading.with_columns(self.columns.of)
        if holder.setdefault(key, leaf) != leaf:
            raise self._differs(actor, reading, "it does something else now")

    def _differs(self, actor: int, reading: Reading, how: str) -> NotDeterministic:
        name = self.columns.actors[actor]
        return NotDeterministic(
            f"{name} does not always do the same in its step {reading.leaf.label!r}: with equal state, {how}"
        )
