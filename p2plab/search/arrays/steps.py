"""How a step is looked up for many states at once: the decision trees as arrays, and tables of judgements made once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.search.arrays.states import Layout
from p2plab.search.steps import Leaf, Node, StepTable, waits

Ints = npt.NDArray[Any]

#: In the child tables: not known yet. Below it are leaves: ``-2 - number``.
MISS = -1


class Effects:
    """Each leaf's effect on a state's words: by word and leaf, the bits that it keeps, and those that it sets."""

    def __init__(self, keep: Ints, put: Ints, layout: Layout, rules: int) -> None:
        self.keep, self.put, self.layout, self.rules = keep, put, layout, rules

    def step(self, words: Ints, leaves: Ints, memories: Ints) -> Ints:
        """The states after one step each: the leaf's effect, then the rules' states ``memories``. Changes ``words``."""
        words &= self.keep.take(leaves, axis=1)
        words |= self.put.take(leaves, axis=1)
        self.layout.put(words, self.rules, memories)
        return words


class Leaves:
    """All leaves, numbered, with what the search needs of each as arrays."""

    def __init__(self) -> None:
        self.all: list[Leaf] = []
        self._numbers: dict[Leaf, int] = {}
        self._same: dict[
            int, tuple[Leaf, int]
        ] = {}  #: by identity, which is quicker; leaves are kept alive, so ids are not reused
        self.enabled: Ints = np.zeros(0, bool)
        self.waiting: Ints = np.zeros(0, bool)
        self.linked: Ints = np.zeros(0, bool)  #: waiting for named actors: those can be a cycle
        self.broken: Ints = np.zeros(0, bool)
        self.events: Ints = np.zeros(0, np.int64)
        self.effects: Effects | None = None
        self._version = -1
        self._writing: list[tuple[list[int], list[int]]] = []

    def number(self, leaf: Leaf) -> int:
        """The number of a leaf."""
        known = self._same.get(id(leaf))
        if known is None:
            number = self._numbers.setdefault(leaf, len(self.all))
            if number == len(self.all):
                self.all.append(leaf)
            known = self._same[id(leaf)] = leaf, number
        return known[1]

    def refresh(self, layout: Layout, rules: int) -> None:
        """Update the arrays. ``rules`` is the column of the rules' state, which no leaf writes."""
        if len(self.enabled) == len(self.all) and self._version == layout.version:
            return
        if self._version != layout.version:
            self._version, self._writing = layout.version, []
        for leaf in self.all[len(self._writing) :]:
            self._writing.append(layout.writing(leaf.writes, rules))
        keep, put = (np.array(part, np.uint64).T.copy() for part in zip(*self._writing, strict=True))
        self.effects = Effects(keep, put, layout, rules)
        if len(self.enabled) != len(self.all):
            self.enabled = np.array([leaf.enabled for leaf in self.all], bool)
            self.waiting = np.array([waits(leaf) for leaf in self.all], bool)
            self.linked = np.array([waits(leaf) and bool(leaf.waits) for leaf in self.all], bool)
            self.broken = np.array([bool(leaf.broken) for leaf in self.all], bool)
            self.events = np.array([leaf.events for leaf in self.all], np.int64)


class FlatTree:
    """One actor's trees as arrays: for each node its column, and the start of its children in one long table."""

    def __init__(self, table: StepTable, actor: int, leaves: Leaves) -> None:
        self._columns: list[int] = []
        self._offsets: list[int] = []
        self._sizes: list[int] = []
        self._children: list[int] = []
        roots = table.roots[actor]
        self.roots: Ints = np.full(max(roots, default=-1) + 1, MISS, np.int64)
        for local, node in roots.items():
            self.roots[local] = self._flatten(node, leaves)
        self.columns = np.array(self._columns, np.int64)
        self.offsets = np.array(self._offsets, np.int64)
        self.sizes = np.array(self._sizes, np.int64)
        self.children = np.array([*self._children, MISS], np.int64)

    def _flatten(self, node: Node | Leaf, leaves: Leaves) -> int:
        if isinstance(node, Leaf):
            return -2 - leaves.number(node)
        number = len(self._columns)
        size = max(node.branches) + 1
        self._columns.append(node.column)
        self._offsets.append(len(self._children))
        self._sizes.append(size)
        self._children += [MISS] * size
        for value, child in node.branches.items():
            self._children[self._offsets[number] + value] = self._flatten(child, leaves)
        return number

    def walk(self, words: Ints, actor: int, layout: Layout) -> tuple[Ints, Ints]:
        """For each state the number of its leaf, or -1; and for those a number that equal misses share."""
        local = layout.read(words, actor)
        known = local < len(self.roots)
        here = np.where(known, self.roots[np.where(known, local, 0)] if len(self.roots) else MISS, MISS)
        miss = np.where(here == MISS, -1 - local, 0)
        active = np.flatnonzero(here >= 0)
        while active.size:
            nodes = here[active]
            values = layout.read_each(words, active, self.columns[nodes])
            inside = values < self.sizes[nodes]
            child = self.children[np.where(inside, self.offsets[nodes] + values, -1)]
            lost = child == MISS
            miss[active[lost]] = (nodes[lost] << 32) | values[lost]
            here[active] = child
            active = active[child >= 0]
        return np.where(here < MISS, -2 - here, -1), miss


# -- memo tables of numbers; the caller fills them ---------------------------------------------------------------------

#: Not computed yet.
UNKNOWN = -1


class Pairs:
    """A number for each pair of small numbers."""

    def __init__(self) -> None:
        self._table: Ints = np.full((64, 64), UNKNOWN, np.int64)

    def look(self, one: Ints, other: Ints) -> Ints:
        """The number of each pair, or :data:`UNKNOWN`."""
        if not len(one):
            return np.zeros(0, np.int64)
        self._make_room(int(one.max()) + 1, int(other.max()) + 1)
        numbers: Ints = self._table.reshape(-1).take(one * self._table.shape[1] + other)
        return numbers

    def learn(self, one: Ints, other: Ints, numbers: Ints) -> None:
        """Set the numbers of pairs that were looked up."""
        self._table[one, other] = numbers

    def _make_room(self, rows: int, columns: int) -> None:
        has_rows, has_columns = self._table.shape
        if rows > has_rows or columns > has_columns:
            shape = 2 * rows if rows > has_rows else has_rows, 2 * columns if columns > has_columns else has_columns
            larger = np.full(shape, UNKNOWN, np.int64)
            larger[:has_rows, :has_columns] = self._table
            self._table = larger


def first_of_each(one: Ints, other: Ints) -> Ints:
    """The places of pairs, each pair once."""
    places: Ints = np.unique((one << 32) | other, return_index=True)[1]
    return places


class Combinations:
    """A number for each combination of leaves, one an actor, some of which do not matter; numbers are 0 or more."""

    def __init__(self) -> None:
        self._bits = 0
        self._keys: Ints = np.zeros(0, np.int64)
        self._codes: Ints = np.zeros(0, np.int64)
        self._long: dict[bytes, int] = {}

    def keys(self, kinds: Ints, able: Ints, leaves: int) -> Ints:
        """One exact number for each combination.

        ``kinds``: a row per actor: a leaf's number, below ``leaves``, or -1. ``able``: one more truth value for each.
        """
        bits = (leaves + 1).bit_length()
        if bits * len(kinds) > 61:  # too many actors to be packed into one number
            both = np.concatenate([kinds, able[None]]).T.astype(np.int32)
            if not self._long:
                self._keys, self._codes = self._keys[:0], self._codes[:0]
            return np.array([self._long.setdefault(row.tobytes(), -1 - len(self._long)) for row in both], np.int64)
        if bits != self._bits:  # keys made with fewer bits have another meaning
            self._bits, self._keys, self._codes = bits, self._keys[:0], self._codes[:0]
        keys = able.astype(np.int64)
        for row in kinds:
            keys = (keys << bits) | (row + 1)
        return keys

    def look(self, keys: Ints) -> Ints:
        """The number of each key, or :data:`UNKNOWN`."""
        if not len(self._keys):
            return np.full(len(keys), UNKNOWN, np.int64)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        codes: Ints = np.where(self._keys[place] == keys, self._codes[place], UNKNOWN)
        return codes

    def learn(self, keys: Ints, codes: Ints) -> None:
        """Set the numbers of some new keys."""
        keys = np.concatenate([self._keys, keys])
        order = np.argsort(keys)
        self._keys, self._codes = keys[order], np.concatenate([self._codes, codes])[order]
