"""The set of visited states, for many at once: open addressing on a 64-bit hash, made exact by comparing the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[Any]

_FIRST = 12


class Collision(Exception):
    """Two different states with one hash: the search must begin again with other random numbers."""


class Visited:
    """States as rows of a growing matrix, with their hashes. A linear hash: a changed column changes it by a product.

    A column that is 0 adds nothing, so columns can be added while the search goes on. The slot of a hash is its upper
    bits: states are looked up in the order of their hashes, so that memory is passed through once, from front to back.
    """

    def __init__(self, width: int, seed: int = 1, kind: type = np.uint16) -> None:
        self.count = 0
        self.rows: Ints = np.zeros((1 << _FIRST, width), kind)
        self.hashes: Ints = np.zeros(1 << _FIRST, np.uint64)
        generator = np.random.default_rng(seed)
        self.weights: Ints = generator.integers(1, 1 << 63, 1 << 13, np.uint64) * np.uint64(2) + np.uint64(1)
        self._slots: Ints = np.full(1 << (_FIRST + 1), -1, np.int32)
        self._shift = np.uint64(64 - _FIRST - 1)

    def widen(self, width: int) -> None:
        """Room for more columns."""
        if width > self.rows.shape[1]:
            self.rows = np.pad(self.rows, ((0, 0), (0, width + 4 - self.rows.shape[1])))

    def room_for(self, value: int) -> None:
        """Room for value numbers up to that one."""
        while value >> 8 * self.rows.dtype.itemsize:
            self.rows = self.rows.astype(np.uint16 if self.rows.dtype == np.uint8 else np.uint32)

    def larger_values(self) -> None:
        """Room for value numbers above 65535."""
        self.room_for(1 << 16)

    def hash_of(self, rows: Ints) -> Ints:
        """The hashes of some rows, from nothing."""
        products = rows.astype(np.uint64) * self.weights[: rows.shape[1]]
        hashes: Ints = products.sum(axis=1, dtype=np.uint64)
        return hashes

    def add(self, rows: Ints, hashes: Ints) -> tuple[Ints, Ints]:
        """The number of each row, and which of the rows are new (one of equal ones). :exc:`Collision`."""
        base = self.count
        order = np.argsort(hashes)
        by_hash = hashes[order]
        first: Ints = np.ones(len(order), bool)
        np.not_equal(by_hash[1:], by_hash[:-1], out=first[1:])
        different = by_hash[first]
        self._make_room(len(different))
        found = self._find(different)
        unknown = np.flatnonzero(found < 0)
        representatives = order[first][unknown]
        in_order = np.argsort(representatives)  # new states are numbered in the order in which they were met
        new = representatives[in_order]
        unknown = unknown[in_order]
        found[unknown] = np.arange(base, base + len(new))
        self.hashes[base : base + len(new)] = hashes[new]
        self.rows[base : base + len(new)] = rows[new]
        self.count += len(new)
        self._insert(np.sort(unknown), found, different)
        numbers = np.empty(len(order), np.int64)
        numbers[order] = found[np.cumsum(first) - 1]
        if not np.array_equal(self.rows[numbers], rows):
            raise Collision
        return numbers, new

    def _find(self, hashes: Ints) -> Ints:
        """The numbers of different hashes, in order; -1 for those that are not there."""
        slots = (hashes >> self._shift).astype(np.int64)
        mask = len(self._slots) - 1
        numbers = self._slots[slots].astype(np.int64)
        todo = np.flatnonzero((numbers >= 0) & (self.hashes[numbers] != hashes))
        while todo.size:
            slots[todo] = (slots[todo] + 1) & mask
            there = self._slots[slots[todo]]
            numbers[todo] = there
            todo = todo[(there >= 0) & (self.hashes[there] != hashes[todo])]
        return numbers

    def _insert(self, which: Ints, numbers: Ints, hashes: Ints) -> None:
        """Put numbers into the slots of hashes that are not there yet."""
        numbers = numbers[which]
        slots = (hashes[which] >> self._shift).astype(np.int64)
        mask = len(self._slots) - 1
        todo = np.arange(len(which))
        while todo.size:
            at = slots[todo]
            empty = self._slots[at] < 0
            self._slots[at[empty]] = numbers[todo[empty]]
            todo = todo[self._slots[at] != numbers[todo]]
            slots[todo] = (slots[todo] + 1) & mask

    def _make_room(self, more: int) -> None:
        wanted = self.count + more
        if wanted > len(self.hashes):
            size = max(wanted, len(self.hashes) + len(self.hashes) // 2)
            self.rows, self.hashes = _longer(self.rows, self.count, size), _longer(self.hashes, self.count, size)
        larger = len(self._slots)
        while wanted * 3 > larger * 2:
            larger *= 2
            self._shift -= np.uint64(1)
        if larger > len(self._slots):
            self._slots = np.full(larger, -1, np.int32)
            order = np.argsort(self.hashes[: self.count])
            self._insert(order, np.arange(self.count), self.hashes)


def _longer(array: Ints, used: int, size: int) -> Ints:
    """The used part of an array in one with more room; what is beyond is not set."""
    longer: Ints = np.empty((size, *array.shape[1:]), array.dtype)
    longer[:used] = array[:used]
    return longer
