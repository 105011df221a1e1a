"""Tables of numbers that are worked out once and looked up for many states at once; who works them out is not said here."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[Any]

#: Nobody has worked this one out yet.
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
        """What pairs that were looked up stand for."""
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
    """A number for each combination of leaves, one an actor, of which some do not matter; numbers are 0 or more."""

    def __init__(self) -> None:
        self._bits = 0
        self._keys: Ints = np.zeros(0, np.int64)
        self._codes: Ints = np.zeros(0, np.int64)
        self._long: dict[bytes, int] = {}

    def keys(self, kinds: Ints, able: Ints, leaves: int) -> Ints:
        """One exact number for each combination.

        ``kinds``: a row an actor: a leaf's number, below ``leaves``, or -1. ``able``: one more truth value for each.
        """
        bits = (leaves + 1).bit_length()
        if bits * len(kinds) > 61:  # too many actors to be packed into one number
            both = np.concatenate([kinds, able[None]]).T.astype(np.int32)
            if not self._long:
                self._keys, self._codes = self._keys[:0], self._codes[:0]
            return np.array([self._long.setdefault(row.tobytes(), -1 - len(self._long)) for row in both], np.int64)
        if bits != self._bits:  # numbers made with fewer bits mean something else
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
        """What some keys, not known so far, stand for."""
        keys = np.concatenate([self._keys, keys])
        order = np.argsort(keys)
        self._keys, self._codes = keys[order], np.concatenate([self._codes, codes])[order]
