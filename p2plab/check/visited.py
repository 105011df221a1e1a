"""The set of visited states, for many at once: open addressing on a 64-bit hash, made exact by comparing the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[Any]

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_FIRST = 12


class Collision(Exception):
    """Two different states with one hash: the search must begin again with other random numbers."""


class Visited:
    """States as rows of a growing matrix, with their hashes. A linear hash: a changed column changes it by a product.

    A column that is 0 adds nothing, so columns can be added while the search goes on.
    """

    def __init__(self, width: int, seed: int = 1) -> None:
        self.count = 0
        self.rows: Ints = np.zeros((1 << _FIRST, width), np.uint16)
        self.hashes: Ints = np.zeros(1 << _FIRST, np.uint64)
        generator = np.random.default_rng(seed)
        self.weights: Ints = generator.integers(1, 1 << 63, 1 << 13, np.uint64) * np.uint64(2) + np.uint64(1)
        self._slots: Ints = np.full(1 << (_FIRST + 1), -1, np.int32)
        self._shift = np.uint64(64 - _FIRST - 1)

    def widen(self, width: int) -> None:
        """Room for more columns."""
        if width > self.rows.shape[1]:
            self.rows = np.pad(self.rows, ((0, 0), (0, width + 8 - self.rows.shape[1])))

    def larger_values(self) -> None:
        """Room for value numbers above 65535."""
        if self.rows.dtype == np.uint16:
            self.rows = self.rows.astype(np.uint32)

    def hash_of(self, rows: Ints) -> Ints:
        """The hashes of some rows, from nothing."""
        products = rows.astype(np.uint64) * self.weights[: rows.shape[1]]
        hashes: Ints = products.sum(axis=1, dtype=np.uint64)
        return hashes

    def add(self, rows: Ints, hashes: Ints) -> tuple[Ints, Ints]:
        """The number of each row, and which of the rows are new (the first of equal ones). :exc:`Collision`."""
        many, base = len(hashes), self.count
        self._make_room(many)
        self.hashes[base : base + many] = hashes
        slots = ((hashes * _SPREAD) >> self._shift).astype(np.int64)
        mask = len(self._slots) - 1
        numbers = np.full(many, -1, np.int64)
        places = np.empty(many, np.int64)
        todo = np.arange(many)
        while todo.size:
            at = slots[todo]
            found = self._slots[at]
            empty = found < 0
            if empty.any():
                self._slots[at[empty]] = base + todo[empty]
                found = self._slots[at]
            same = self.hashes[found] == hashes[todo]
            numbers[todo[same]] = found[same]
            places[todo[same]] = at[same]
            todo = todo[~same]
            slots[todo] = (slots[todo] + 1) & mask
        new = np.flatnonzero(numbers == base + np.arange(many))
        renumbered = np.zeros(many, np.int64)
        renumbered[new] = base + np.arange(len(new))
        self._slots[places[new]] = renumbered[new]
        self.hashes[base : base + len(new)] = hashes[new]
        fresh = numbers >= base
        numbers[fresh] = renumbered[numbers[fresh] - base]
        self.rows[base : base + len(new)] = rows[new]
        self.count += len(new)
        if not np.array_equal(self.rows[numbers], rows):
            raise Collision
        return numbers, new

    def _make_room(self, more: int) -> None:
        wanted = self.count + more
        if wanted > len(self.hashes):
            size = max(wanted, len(self.hashes) + len(self.hashes) // 2)
            self.rows, self.hashes = _longer(self.rows, self.count, size), _longer(self.hashes, self.count, size)
        while wanted * 3 > len(self._slots) * 2:
            self._rehash()

    def _rehash(self) -> None:
        size = len(self._slots) * 2
        self._slots = np.full(size, -1, np.int32)
        self._shift -= np.uint64(1)
        slots = ((self.hashes[: self.count] * _SPREAD) >> self._shift).astype(np.int64)
        todo = np.arange(self.count)
        while todo.size:
            at = slots[todo]
            empty = self._slots[at] < 0
            self._slots[at[empty]] = todo[empty]
            todo = todo[self._slots[at] != todo]
            slots[todo] = (slots[todo] + 1) & (size - 1)


def _longer(array: Ints, used: int, size: int) -> Ints:
    """The used part of an array in one with more room; what is beyond is not set."""
    longer: Ints = np.empty((size, *array.shape[1:]), array.dtype)
    longer[:used] = array[:used]
    return longer
