"""A graph in arrays with one state for each orbit: its canonical representative.

Every assumption is checked: every step of driver code that the search needs is run again with members permuted, pairwise
or at random, and must do the same with the names exchanged. The first difference ends the search by symmetry, and an
ordinary one takes its place.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.search.arrays.graph import ArrayGraph
from p2plab.search.arrays.search import Breadth
from p2plab.search.arrays.states import Collision
from p2plab.search.freeze import Unfreezable
from p2plab.search.model import Model
from p2plab.search.objects import CellName
from p2plab.search.steps import Leaf, NotDeterministic, Row
from p2plab.search.symmetry.members import NotSymmetric, Permutation, Symmetry
from p2plab.search.symmetry.orbits import Representatives
from p2plab.search.verdict import Orbits

Ints = npt.NDArray[Any]


#: Comparisons up to which each step is run after every swap of two members; after that, with one random permutation.
THOROUGHLY = 1_000


class SymmetricGraph(ArrayGraph):
    """The graph of orbits. ``full`` is how many states they represent. Any method may raise :exc:`NotSymmetric`."""

    def __init__(self, model: Model, symmetry: Symmetry, ordered: frozenset[CellName], seed: int = 1) -> None:
        # With a separate table: a known step would not be run, and so not compared.
        super().__init__(model.fresh(), seed)
        self.symmetry, self._ordered = symmetry, ordered
        self._full = 1
        self.compared = 0  #: steps that were run with members permuted
        self._random = random.Random(seed)
        self._places: Ints = np.zeros((len(self.came_from), len(symmetry)), np.int8)
        self._orbits = Representatives(symmetry, self._value, self._image_of)
        self._actor_number = {name: number for number, name in enumerate(self.actors)}
        self._met = (-1, -1)
        self.learn()

    @property
    def full(self) -> int:
        """How many states the orbits represent."""
        return self._full

    @property
    def orbits(self) -> Orbits:  # type: ignore[override]
        """What was considered interchangeable."""
        members = tuple((kind.title, len(kind.members)) for kind in self.symmetry.classes)
        return Orbits(len(self), members, self.compared)

    def path(self, state: int) -> list[str]:
        """Choices that lead to a state, with the members' names as at its end."""
        choices = []
        later = self.symmetry.identity
        while state:
            later = tuple(later[place] for place in self._places[state].tolist())
            choices.append(self.symmetry.renamed(self.actors[int(self.came_by[state])], later))
            state = int(self.came_from[state])
        return choices[::-1]

    def rows_of_path(self, state: int) -> list[Row]:
        """The states that :meth:`path` passes, the first and the last included."""
        rows = [self.row(state)]
        later = self.symmetry.identity
        while state:
            later = tuple(later[place] for place in self._places[state].tolist())
            state = int(self.came_from[state])
            rows.append(self._orbits.image(self.row(state), later))
        return rows[::-1]

    def representatives(self, rows: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """As :meth:`Representatives.representatives`."""
        return self._orbits.representatives(rows)

    # -- one state an orbit -----------------------------------------------------------------------------------------

    def _arrive(self, words: Ints, states: Ints, who: Ints) -> Ints:
        if not len(who):
            return np.zeros(0, np.int32)
        _, first, back = np.unique(self.visited.hash_of(words), return_index=True, return_inverse=True)
        if not np.array_equal(words.take(first, axis=1).take(back, axis=1), words):
            raise NotSymmetric("two different states have one hash")
        self.learn()
        images, _, places, sizes = self.representatives(self.layout.unpack(words.take(first, axis=1)))
        self.learn()
        self._room_for_values()
        try:
            numbers, new = self.visited.add(self.layout.pack(images))
        except Collision:
            raise NotSymmetric("two different states have one hash") from None
        self._grow()
        fresh = numbers[new]
        self.came_from[fresh], self.came_by[fresh] = states[first][new], who[first][new]
        self._places[fresh] = places[new]
        self._full += int(sizes[new].sum())
        arrived: Ints = numbers[back]
        return arrived

    def _grow(self) -> None:
        super()._grow()
        if len(self.came_from) > len(self._places):
            more = np.zeros((len(self.came_from) - len(self._places), len(self.symmetry)), np.int8)
            self._places = np.concatenate([self._places, more])

    def learn(self) -> None:
        """Register columns and values with the orbits; a cell becomes a column together with its corresponding cells."""
        met = self.columns.version, len(self.model.monitors)
        if met == self._met:
            return
        known = len(self._orbits.columns)
        if known == 0:
            for name in self.actors:
                template, refs = self.symmetry.decompose(name)
                self._orbits.add_column(("actor", template), tuple(dict.fromkeys(refs)))
            self._orbits.add_column("rules", ())
            known = len(self._orbits.columns)
        cells = list(self.columns.of)[known - self.columns.memory - 1 :]
        for cell in cells:
            self._add_cells_like(cell)
        for cell in list(self.columns.of)[known - self.columns.memory - 1 :]:
            template, refs = self.symmetry.decompose(cell[0])
            self._orbits.add_column(("cell", template, cell[1]), refs)
        for column, values in enumerate(self.columns.values):
            many = len(self.model.monitors) if column == self.columns.memory else len(values)
            self._orbits.learn(column, many)
        self._met = self.columns.version, len(self.model.monitors)

    def _add_cells_like(self, cell: CellName) -> None:
        todo, seen = [cell], {cell}
        for one in todo:
            if one in self._ordered:
                raise NotSymmetric(f"{'.'.join(one)} changes, and names members in an order")
            if one not in self.columns.of:
                self.recorder.add_column(one)
            for places in self.symmetry.swaps():
                other = self.symmetry.cell(one, places)
                if other not in seen:
                    seen.add(other)
                    todo.append(other)

    def _value(self, column: int, value: int) -> Any:
        if column == self.columns.memory:
            return self.model.monitors.frozen(value)
        return self.columns.frozen(column, value)

    def _image_of(self, column: int, there: int, value: int, places: Permutation) -> int:
        def rename(text: str) -> str:
            renamed: str = self.symmetry.renamed(text, places)
            return renamed

        if column == self.columns.memory:
            try:
                return self.model.monitors.renamed(value, rename)
            except TypeError as error:
                raise NotSymmetric(str(error)) from None
        frozen = self.symmetry.renamed(self.columns.frozen(column, value), places)
        number = self.columns.number(there, frozen)
        if column > self.columns.memory:
            self.recorder.worlds.note_image(column, value, there, number, rename)
        elif frozen is None or frozen[0] == "crashed":
            self.table.gone(there, number)
        return number

    # -- running with members permuted ------------------------------------------------------------------------------------

    def _record(self, row: Row, state: int, actor: int) -> None:
        try:
            super()._record(row, state, actor)
        except (NotDeterministic, Unfreezable) as error:  # or it is not even that: an ordinary search will find out
            raise NotSymmetric(str(error)) from None
        self.learn()
        if self.compared < THOROUGHLY:
            for places in self.symmetry.swaps():
                self._compare(row, state, actor, places)
        self._compare(row, state, actor, self.symmetry.shuffled(self._random.random))
        self._room_for_values()

    def _compare(self, row: Row, state: int, actor: int, places: Permutation) -> None:
        row = self.model.whole(row)
        other = self._orbits.image(row, places)
        there = self._actor_number[self.symmetry.renamed(self.actors[actor], places)]
        one, its = self.model.leaf(row, actor, lambda: self.path(state)), None
        try:
            its = self.model.leaf(
                other, there, lambda: [self.symmetry.renamed(name, places) for name in self.path(state)]
            )
        except (NotDeterministic, Unfreezable) as error:
            raise NotSymmetric(str(error)) from None
        self.learn()
        self.compared += 1
        if not self._correspond(one, row, its, other, places):
            raise NotSymmetric(
                f"{self.actors[there]} does not do at its place what {self.actors[actor]} does: {one.label}"
            )

    def _correspond(self, one: Leaf, row: Row, its: Leaf, other: Row, places: Permutation) -> bool:
        if (one.enabled, one.idle, one.gone, bool(one.broken)) != (its.enabled, its.idle, its.gone, bool(its.broken)):
            return False
        if {self.symmetry.renamed(name, places) for name in one.waits} != set(its.waits):
            return False
        if one.enabled and not one.broken:
            told = self.symmetry.renamed(repr(self.table.events[one.events]), places)
            if told != repr(self.table.events[its.events]):
                return False
            return self._orbits.image(self._after(row, one), places) == self._after(other, its)
        return True

    def _after(self, row: Row, leaf: Leaf) -> Row:
        row = self.model.whole(row)
        return self.model.after(row, leaf, row[self.columns.memory])


class SymmetricSearch:
    """A :class:`~p2plab.search.graph.Searcher` of every orbit, breadth first.

    It finds no story, because the switching actor is no property of an orbit; an ordinary search does.
    """

    found = None
    switches = 0

    def __init__(self, model: Model, symmetry: Symmetry, ordered: frozenset[CellName]) -> None:
        self.graph = SymmetricGraph(model, symmetry, ordered)
        self._breadth = Breadth(self.graph)

    @property
    def frontier(self) -> int:
        """How many orbits are not followed yet."""
        return self._breadth.frontier

    @property
    def broken(self) -> bool:
        """Whether something breaks."""
        return bool(self.graph.breaches)

    @property
    def complete(self) -> bool:
        """Whether all orbits were expanded and nothing breaks."""
        return self._breadth.complete and not self.graph.breaches

    done = complete

    def advance(self, seconds: float, states: int) -> None:
        """Go on for about that long, up to that many orbits. :exc:`NotSymmetric`."""
        self._breadth.advance(seconds, states)
