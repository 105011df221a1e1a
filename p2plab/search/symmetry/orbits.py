"""One state for each orbit: of all states that differ only by a permutation of members, always the same one is chosen.

It is found as in graph isomorphism: members are coloured by their values, then by the colours of what they refer to and of
what refers to them. Among equal colours each possibility is tried, and the resulting state with the smallest hash is
chosen; the number of permutations that lead to it gives the size of the orbit. Twins (equal in everything, and referred to
by nothing) need not be distinguished at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.search.symmetry.members import NotSymmetric, Permutation, Refs, Symmetry

Ints = npt.NDArray[Any]

#: Number of rounds of refinement before the remaining possibilities are tried one by one.
ROUNDS = 2
#: Maximum number of permutations that are tried for one block of states.
MOST_WAYS = 2_000_000


_MIX = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)


def mixed(numbers: Ints) -> Ints:
    """Hashes: equal for equal numbers, and otherwise unrelated to them."""
    numbers = (numbers ^ (numbers >> _SHIFT)) * _MIX
    numbers = (numbers ^ (numbers >> _SHIFT)) * _MIX
    mixed: Ints = numbers ^ (numbers >> _SHIFT)
    return mixed


class Kind:
    """Columns that correspond to each other, and the values that any of them takes, numbered in common."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.columns: dict[Refs, int] = {}  #: by the members that a column belongs to
        self.templates: dict[Any, int] = {}
        self._values: dict[tuple[int, Refs], int] = {}

    def value(self, template: int, refs: Refs) -> int:
        """The common number of a value."""
        return self._values.setdefault((template, refs), len(self._values))


class Column:
    """One column: its kind, its owner, and for each value its template, its colour and the members in it.

    Value 0 is the initial one. It has no colour, so that colours do not depend on later values.
    """

    def __init__(self, kind: Kind, owners: Refs) -> None:
        self.kind, self.owners = kind, owners
        self.templates: list[int] = []
        self.refs: list[Refs] = []
        self.labels: list[tuple[int, ...]] = []
        self.number_of: dict[int, int] = {}  #: common number -> value
        self._own: list[int] = []
        self._arrays: tuple[int, tuple[Ints, Ints, Ints, Ints]] = (-1, (np.zeros(0),) * 4)

    def __len__(self) -> int:
        return len(self.templates)

    def learn(self, template: Any, refs: Refs, labels: tuple[int, ...]) -> None:
        """The next value."""
        number = self.kind.templates.setdefault(template, len(self.kind.templates))
        self.number_of[self.kind.value(number, refs)] = len(self.templates)
        self.templates.append(number)
        self.refs.append(refs)
        self.labels.append(labels)
        self._own.append(self.kind.value(number, tuple(-1 if ref in self.owners else ref for ref in refs)))

    def arrays(self, members: int) -> tuple[Ints, Ints, Ints, Ints]:
        """For each value: colour, colour with its members distinguished, these (``members`` for none), their labels."""
        if self._arrays[0] != len(self):
            refs = np.full((len(self), max(map(len, self.refs[1:]), default=0)), members, np.int64)
            labels = np.zeros(refs.shape, np.uint64)
            for value, some in enumerate(self.refs):
                if value:
                    refs[value, : len(some)] = some
                    labels[value, : len(some)] = np.array(self.labels[value], np.uint64) + np.uint64(1)
            base = self.kind.number << 40
            colours = mixed(np.array(self.templates, np.uint64) + np.uint64(base + 1))
            own = mixed(np.array(self._own, np.uint64) + np.uint64(base + 1))
            colours[0] = own[0] = 0
            self._arrays = len(self), (colours, own, refs, labels)
        return self._arrays[1]


class Representatives:
    """Finds the representatives.

    ``value_of(column, value)`` is a frozen value; ``image_of(column, there, value, places)`` the number, in the column
    ``there``, of a value's image under a permutation of members.
    """

    def __init__(
        self,
        symmetry: Symmetry,
        value_of: Callable[[int, int], Any],
        image_of: Callable[[int, int, int, Permutation], int],
    ) -> None:
        self.symmetry = symmetry
        self.value_of, self.image_of = value_of, image_of
        self.columns: list[Column] = []
        self._kinds: dict[Any, Kind] = {}
        members = len(symmetry)
        self._first: Ints = np.zeros(members, np.uint64)
        for number, (first, last) in enumerate(symmetry.blocks):
            self._first[first:last] = number + 1

    def add_column(self, name: Any, owners: Refs) -> None:
        """The next column: columns of one ``name`` correspond to each other."""
        kind = self._kinds.setdefault(name, Kind(len(self._kinds) + 1))
        kind.columns[owners] = len(self.columns)
        self.columns.append(Column(kind, owners))

    def learn(self, column: int, values: int) -> None:
        """Decompose the values of a column that are new."""
        known = self.columns[column]
        for value in range(len(known), values):
            frozen = self.value_of(column, value)
            known.learn(*self.symmetry.decompose(frozen), self.symmetry.labels(frozen))

    def image(self, row: tuple[int, ...], places: Permutation) -> tuple[int, ...]:
        """One state with its members permuted."""
        new = [0] * len(row)
        for column, value in enumerate(row):
            if value:
                there = self._there(column, places)
                new[there] = self._image(column, there, value, places)
        return tuple(new)

    # -- many at once -----------------------------------------------------------------------------------------------

    def representatives(self, rows: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """For each row: the representative of its orbit, its hash, the permutation that leads to it, the orbit's size."""
        active = [at for at, column in enumerate(self.columns) if len(column) > 1 and rows[:, at].any()]
        origin = np.arange(len(rows))
        colours = np.broadcast_to(self._first, (len(rows), len(self._first))).copy()
        own, busy = self._exact(rows, active)
        leaves: list[tuple[Ints, Ints, Ints]] = []
        while origin.size:
            if len(origin) > MOST_WAYS:
                raise NotSymmetric("there are too many ways in which members could change places")
            colours = self._refined(rows[origin], active, colours)
            places, twins, cell = self._ordered(colours, own[origin], busy[origin])
            done = ~cell.any(axis=1)
            leaves.append((origin[done], places[done], twins[done]))
            origin, colours = self._told_apart(origin[~done], colours[~done], cell[~done])
        which, places, twins = (np.concatenate(parts) for parts in zip(*leaves, strict=True))
        images = self._images(rows[which], places)
        hashes = _sums(images.astype(np.uint64))
        order = np.lexsort((hashes, which))
        best = order[np.flatnonzero(np.diff(which[order], prepend=-1))]
        # Each permutation that leads there is an automorphism of the state; two choices may give the same one.
        same = np.flatnonzero(hashes == hashes[best][which])
        codes = _sums(mixed(places[same].astype(np.uint64) + np.uint64(1)))
        different = _first_of_equal(which[same], codes)
        alike = np.bincount(which[same][different], minlength=len(rows)) * twins[best]
        return images[best], hashes[best], places[best], self.symmetry.order // alike

    def _exact(self, rows: Ints, active: list[int]) -> tuple[Ints, Ints]:
        """Each member's values, with members distinguished; and whether anything else refers to it."""
        members = len(self._first)
        own = np.zeros((len(rows), members), np.uint64)
        busy = np.zeros((len(rows), members + 1), bool)
        lines = np.arange(len(rows))
        for at in active:
            column = self.columns[at]
            _, exact, refs, _ = column.arrays(members)
            values = rows[:, at]
            for owner in column.owners:
                own[:, owner] += exact[values]
            if len(column.owners) > 1:
                busy[:, list(column.owners)] |= (values > 0)[:, None]
            for place in range(refs.shape[1]):
                ref = refs[values, place]
                busy[lines, np.where(np.isin(ref, column.owners), members, ref)] = True
        return own, busy[:, :members]

    def _refined(self, rows: Ints, active: list[int], colours: Ints) -> Ints:
        members = len(self._first)
        lines = np.arange(len(rows))
        for _ in range(ROUNDS):
            wide = np.concatenate([colours, np.zeros((len(rows), 1), np.uint64)], axis=1)
            new = mixed(wide)
            for at in active:
                column = self.columns[at]
                shades, _, refs, labels = column.arrays(members)
                values = rows[:, at]
                shade = shades[values]
                around = shade.copy()
                for owner in column.owners:
                    around += colours[:, owner]
                for place in range(refs.shape[1]):
                    ref, label = refs[values, place], labels[values, place]
                    given = mixed(wide[lines, ref] + label)
                    given[ref == members] = 0
                    shade += given
                    new[lines, ref] += mixed(around + (label << np.uint64(8)))  # for none: a column never read
                for place, owner in enumerate(column.owners):
                    taken = mixed(shade + np.uint64((place + 1) << 16))
                    taken[values == 0] = 0
                    new[:, owner] += taken
            colours = new[:, :members]
        return colours

    def _ordered(self, colours: Ints, own: Ints, busy: Ints) -> tuple[Ints, Ints, Ints]:
        """Members' places by colour; the number of permutations of twins; the members to be distinguished next."""
        many, members = colours.shape
        places = np.empty((many, members), np.int64)
        twins: Ints = np.ones(many, np.int64)
        cell = np.zeros((many, members), bool)
        open_ = np.zeros(many, bool)
        lines = np.arange(many)
        for first, last in self.symmetry.blocks:
            order = np.argsort(colours[:, first:last], axis=1, kind="stable") + first
            places[lines[:, None], order] = np.arange(first, last)
            run: Ints = np.ones(many, np.int64)
            for at in range(1, last - first):
                one, other = order[:, at - 1], order[:, at]
                tied = colours[lines, one] == colours[lines, other]
                alike = tied & ~busy[lines, one] & ~busy[lines, other] & (own[lines, one] == own[lines, other])
                run = np.where(alike, run + 1, 1)
                twins *= run
                new = np.flatnonzero(tied & ~alike & ~open_)
                if new.size:
                    open_[new] = True
                    cell[new, first:last] = colours[new, first:last] == colours[new, other[new]][:, None]
        return places, twins, cell

    def _told_apart(self, origin: Ints, colours: Ints, cell: Ints) -> tuple[Ints, Ints]:
        """Each state once for each member of its cell, with that member coloured differently."""
        lines, chosen = np.nonzero(cell)
        colours = colours[lines]
        each = np.arange(len(lines))
        colours[each, chosen] = mixed(colours[each, chosen] + np.uint64(1))
        return origin[lines], colours

    def _images(self, rows: Ints, places: Ints) -> Ints:
        """Each row with its members permuted."""
        members = len(self._first)
        wide = np.concatenate([places, np.full((len(rows), 1), members)], axis=1)
        images = np.zeros((len(rows), len(self.columns)), np.int64)
        for at, column in enumerate(self.columns):
            lines = np.flatnonzero(rows[:, at])
            if not lines.size:
                continue
            refs = column.arrays(members)[2]
            values = rows[lines, at].astype(np.int64)
            # Equal value, equal place of its owner, equal places of the members in it: equal image.
            key = values
            moved = [wide[lines, owner] for owner in column.owners]
            moved += [wide[lines, refs[values, place]] for place in range(refs.shape[1])]
            for part in moved:
                key = key * (members + 1) + part
            order = np.argsort(key)
            in_order = key[order]
            first: Ints = np.ones(len(order), bool)
            first[1:] = in_order[1:] != in_order[:-1]
            there = np.empty(int(first.sum()), np.int64)
            image = np.empty(len(there), np.int64)
            for number, line in enumerate(order[first].tolist()):
                permutation = tuple(places[lines[line]].tolist())
                there[number] = self._there(at, permutation)
                image[number] = self._image(at, int(there[number]), int(values[line]), permutation)
            group = np.cumsum(first) - 1
            images[lines[order], there[group]] = image[group]
        return images

    def _there(self, column: int, places: Permutation) -> int:
        known = self.columns[column]
        if not known.owners:
            return column
        there = known.kind.columns.get(tuple([places[owner] for owner in known.owners]))
        if there is None:
            raise NotSymmetric("a cell of one member has none that corresponds to it at another")
        return there

    def _image(self, column: int, there: int, value: int, places: Permutation) -> int:
        known, other = self.columns[column], self.columns[there]
        refs = known.refs[value]
        if not refs and column == there:
            return value
        common = known.kind.value(known.templates[value], tuple([places[ref] for ref in refs]))
        number = other.number_of.get(common)
        if number is None:
            number = other.number_of[common] = self.image_of(column, there, value, places)
        return number


def _sums(numbers: Ints) -> Ints:
    """A hash for each row. A zero adds nothing, so a row keeps its hash when columns are added."""
    weights = mixed(np.arange(1, numbers.shape[1] + 1, dtype=np.uint64)) | np.uint64(1)
    sums: Ints = (numbers * weights).sum(axis=1, dtype=np.uint64)
    return sums


def _first_of_equal(one: Ints, other: Ints) -> Ints:
    """The places of pairs, each pair once."""
    order = np.lexsort((other, one))
    new: Ints = np.ones(len(order), bool)
    new[1:] = (np.diff(one[order]) != 0) | (other[order][1:] != other[order][:-1])
    places: Ints = order[new]
    return places
