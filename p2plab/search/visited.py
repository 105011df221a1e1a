"""The set of visited states, for many at once: open addressing on a 64-bit hash, made exact by comparing the words."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.search.layout import widened

Ints = npt.NDArray[Any]

_FIRST = 12

#: Arrays that are full get so many times more room: memory that nobody has written to yet costs next to nothing.
GROWTH = 4
#: A table of slots is written to everywhere at once, so a large one only doubles.
_LARGE = 1 << 20
#: So many slots are moved to a larger table at a time.
_PIECE = 1 << 17

_ODD = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


class Collision(Exception):
    """Two different states with one hash: the search must begin again with other random numbers."""


class Visited:
    """States by number: ``words`` has a column a state, laid out by :class:`p2plab.search.layout.Layout`.

    A word that is 0 adds nothing to a hash, so states keep theirs when they get more words. The slot of a hash is its
    upper bits: states are looked up in the order of their hashes, so that memory is passed through once, front to back.
    """

    def __init__(self, words: int, seed: int = 1) -> None:
        self.count = 0
        self.seed = seed
        self.words: Ints = np.zeros((words, 1 << _FIRST), np.uint64)
        self._slots: Ints = np.full(1 << (_FIRST + 1), -1, np.int32)
        self._shift = np.uint64(64 - _FIRST - 1)

    def widen(self, words: int) -> None:
        """Room for more words."""
        if words > len(self.words):
            self.words = widened(self.words, words)

    def hash_of(self, words: Ints) -> Ints:
        """The hashes of some states. With one word no two states have the same."""
        hashes: Ints = words[0] * _factor(self.seed, 0)
        for word in range(1, len(words)):
            hashes += words[word] * _factor(self.seed, word)
        hashes ^= hashes >> _HALF
        hashes *= _ODD
        return hashes

    def add(self, words: Ints) -> tuple[Ints, Ints]:
        """The number of each state, and which of them are new (one of equal ones). :exc:`Collision`."""
        hashes = self.hash_of(words)
        order = np.argsort(hashes)
        by_hash = hashes.take(order)
        first: Ints = np.ones(len(order), bool)
        np.not_equal(by_hash[1:], by_hash[:-1], out=first[1:])
        begins = np.flatnonzero(first)
        lengths = np.diff(begins, append=len(order))
        chosen = order.take(begins)
        different = words.take(chosen, axis=1)
        if len(words) > 1 and not np.array_equal(np.repeat(different, lengths, axis=1), words.take(order, axis=1)):
            raise Collision
        self._make_room(len(chosen))
        numbers, slots = self._find(different, by_hash.take(begins))
        unknown = np.flatnonzero(numbers < 0)
        met = chosen.take(unknown)
        new, number_of = self._append(words, met)
        numbers[unknown] = number_of.take(met)
        self._insert(slots.take(unknown), numbers.take(unknown))
        found = np.empty(len(order), np.int32)
        found[order] = np.repeat(numbers, lengths)
        return found, new

    def _append(self, words: Ints, which: Ints) -> tuple[Ints, Ints]:
        """Number new states in the order in which they were met: their places in order, and by place their numbers."""
        is_new = np.zeros(words.shape[1], bool)
        is_new[which] = True
        new = np.flatnonzero(is_new)
        numbers = np.empty(words.shape[1], np.int32)
        numbers[new] = np.arange(self.count, self.count + len(new))
        self.words[:, self.count : self.count + len(new)] = words.take(new, axis=1)
        self.count += len(new)
        return new, numbers

    def _find(self, words: Ints, hashes: Ints) -> tuple[Ints, Ints]:
        """The numbers of different states, in the order of their hashes, -1 for those that are not there; their slots."""
        slots = (hashes >> self._shift).view(np.int64)
        mask = len(self._slots) - 1
        numbers = self._slots.take(slots)
        todo = np.flatnonzero(numbers >= 0)
        todo = todo[self._differ(numbers.take(todo), words, todo)]
        while todo.size:
            slots[todo] = (slots.take(todo) + 1) & mask
            numbers[todo] = there = self._slots.take(slots.take(todo))
            todo = todo[there >= 0]
            todo = todo[self._differ(numbers.take(todo), words, todo)]
        return numbers, slots

    def _differ(self, numbers: Ints, words: Ints, which: Ints) -> Ints:
        different: Ints = self.words[0].take(numbers) != words[0].take(which)
        for word in range(1, len(words)):
            different |= self.words[word].take(numbers) != words[word].take(which)
        return different

    def _insert(self, slots: Ints, numbers: Ints) -> None:
        """Put numbers into these slots, or the next ones that are free."""
        mask = len(self._slots) - 1
        while slots.size:
            free = self._slots[slots] < 0
            self._slots[slots[free]] = numbers[free]  # of several for one slot the last stays
            left = self._slots[slots] != numbers
            slots, numbers = (slots[left] + 1) & mask, numbers[left]

    def _make_room(self, more: int) -> None:
        wanted = self.count + more
        if wanted > self.words.shape[1]:
            self.words = longer(self.words, self.count, GROWTH * wanted, axis=1)
        larger = len(self._slots)
        while wanted * 3 > larger * 2:
            larger *= 2 if larger >= _LARGE else 4
        if larger > len(self._slots):
            self._shift = np.uint64(65 - larger.bit_length())
            smaller, self._slots = self._slots, np.full(larger, -1, np.int32)
            for first in range(0, len(smaller), _PIECE):
                numbers = smaller[first : first + _PIECE]  # almost in the order of their hashes
                numbers = numbers[numbers >= 0]
                hashes = self.hash_of(self.words.take(numbers, axis=1))
                self._insert((hashes >> self._shift).view(np.int64), numbers)


def longer(array: Ints, used: int, size: int, axis: int = 0) -> Ints:
    """The used part of an array in one with more room; what is beyond is 0."""
    shape = list(array.shape)
    shape[axis] = size
    part = (slice(None),) * axis + (slice(used),)
    new: Ints = np.zeros(shape, array.dtype)
    new[part] = array[part]
    return new


def _factor(seed: int, word: int) -> Any:
    return np.uint64(random.Random(seed << 16 | word).getrandbits(64) | 1)
