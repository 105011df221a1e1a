"""How a state is kept in a large search: a few words of bits, and the set of visited states.

Each column of a state has a few bits of one of its 64-bit words, so that states are compared as integers. The place of a
column's bits never changes. A column with more values than its bits can hold gets more bits elsewhere; in every state so far
these are 0, like a new column. So states keep their words when columns and values are added.

The set of visited states works on many at once: open addressing on a 64-bit hash, made exact by comparing the words.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[Any]

#: Bits of a word.
WORD = 64
#: Spare bits of a column, so that it rarely needs more.
SPARE = 1


class Field(NamedTuple):
    """``bits`` bits of a column's value, starting at bit ``low``, stored at bit ``shift`` of word ``word``."""

    word: int
    shift: int
    bits: int
    low: int

    @property
    def mask(self) -> int:
        """The bits, at their place in the word."""
        return ((1 << self.bits) - 1) << self.shift

    def of(self, value: int) -> int:
        """A value's bits at that place."""
        return (value >> self.low & ((1 << self.bits) - 1)) << self.shift


class Layout:
    """The fields of all columns. ``version`` increases with every change."""

    def __init__(self, counts: Sequence[int]) -> None:
        """``counts``: how many values each column has so far."""
        self.version = 0
        self.fields: list[list[Field]] = []
        self._used: list[int] = []
        self._most: list[int] = []  #: how many values each column can have
        exact = [max(1, (count - 1).bit_length()) for count in counts]
        ample = [bits + SPARE for bits in exact]  # spare bits, if they cost no word
        self._grow(ample if _words(ample) == _words(exact) else exact)

    @classmethod
    def of_fields(cls, fields: Ints) -> Layout:
        """The layout that :meth:`packed` describes."""
        layout = cls([])
        for column, *numbers in fields.tolist():
            while len(layout.fields) <= column:
                layout.fields.append([])
            field = Field(*numbers)
            layout.fields[column].append(field)
            layout._used += [0] * (field.word + 1 - layout.words)
        layout._note_fields()
        return layout

    def packed(self) -> Ints:
        """The whole layout, a row per field: its column, and the numbers of :class:`Field`."""
        return np.array([(column, *field) for column, fields in enumerate(self.fields) for field in fields], np.int64)

    @property
    def words(self) -> int:
        """The words of a state."""
        return len(self._used)

    def room_for(self, counts: Sequence[int]) -> bool:
        """Give more bits to columns that need them; returns whether some did."""
        most = self._most
        if len(counts) == len(most) and all(map(int.__le__, counts, most)):
            return False
        wanted = []
        for column, count in enumerate(counts):
            has = most[column].bit_length() - 1 if column < len(most) else 0
            needs = max(1, (count - 1).bit_length())
            wanted.append(needs - has + SPARE if needs > has else 0)
        self._grow(wanted)
        return True

    def _grow(self, bits: Sequence[int]) -> None:
        self.version += 1
        for column, more in enumerate(bits):
            if column == len(self.fields):
                self.fields.append([])
                self._most.append(1)
            if more:
                word = next((at for at, used in enumerate(self._used) if used + more <= WORD), len(self._used))
                if word == len(self._used):
                    self._used.append(0)
                low = sum(field.bits for field in self.fields[column])
                self.fields[column].append(Field(word, self._used[word], more, low))
                self._used[word] += more
                self._most[column] <<= more
        self._note_fields()

    def _note_fields(self) -> None:
        """Cache the fields in forms that are quick to use."""
        self._first = [(fields[0].word, fields[0].shift, (1 << fields[0].bits) - 1) for fields in self.fields]
        self._more = [(column, field) for column, fields in enumerate(self.fields) for field in fields[1:]]
        self._arrays = [self._level(level) for level in range(max(map(len, self.fields), default=0))]

    def _level(self, level: int) -> tuple[Ints, Ints, Ints, Ints]:
        """The fields of all columns that are first, or second, ...: word, shift, bits as a mask, low."""
        none = Field(0, 0, 0, 0)
        chosen = [fields[level] if level < len(fields) else none for fields in self.fields]
        numbers = np.array([(f.word, f.shift, (1 << f.bits) - 1, f.low) for f in chosen], np.uint64)
        return numbers[:, 0].astype(np.int64), numbers[:, 1].copy(), numbers[:, 2].copy(), numbers[:, 3].copy()

    # -- many states ------------------------------------------------------------------------------------------------

    def pack(self, rows: Ints) -> Ints:
        """The words of some states, a column per state; ``rows``: a row per state, its columns' values."""
        words = np.zeros((self.words, len(rows)), np.uint64)
        for column in range(rows.shape[1]):
            self.put(words, column, rows[:, column])
        return words

    def put(self, words: Ints, column: int, values: Ints) -> None:
        """Write a column whose values are 0."""
        values = values.astype(np.uint64)
        for word, shift, bits, low in self.fields[column]:
            words[word] |= ((values >> np.uint64(low)) & np.uint64((1 << bits) - 1)) << np.uint64(shift)

    def unpack(self, words: Ints) -> Ints:
        """The values of some states: a row per state."""
        rows = np.empty((words.shape[1], len(self.fields)), np.int64)
        for column in range(len(self.fields)):
            rows[:, column] = self.read(words, column)
        return rows

    def read(self, words: Ints, column: int) -> Ints:
        """The values of one column."""
        values: Ints = np.zeros(words.shape[1], np.uint64)
        for word, shift, bits, low in self.fields[column]:
            values |= ((words[word] >> np.uint64(shift)) & np.uint64((1 << bits) - 1)) << np.uint64(low)
        return values.view(np.int64)

    def read_each(self, words: Ints, which: Ints, columns: Ints) -> Ints:
        """The value of one column per state: ``columns[n]`` of state ``which[n]``."""
        values: Ints = np.zeros(0, np.uint64)
        for level, (word, shift, mask, low) in enumerate(self._arrays):
            there = words[0, which] if len(words) == 1 else words[word[columns], which]
            part = (there >> shift[columns]) & mask[columns]
            values = part if level == 0 else values | (part << low[columns])
        return values.view(np.int64)

    # -- one state --------------------------------------------------------------------------------------------------

    def row(self, words: Ints) -> tuple[int, ...]:
        """The values of one state."""
        its = words.tolist()
        row = [its[word] >> shift & mask for word, shift, mask in self._first]
        for column, field in self._more:
            row[column] |= (its[field.word] >> field.shift & ((1 << field.bits) - 1)) << field.low
        return tuple(row)

    def writing(self, writes: Sequence[tuple[int, int]], rules: int) -> tuple[list[int], list[int]]:
        """A step's effect on each word: the bits that it keeps, and those that it sets. It clears the column ``rules``."""
        keep, put = [(1 << 64) - 1] * self.words, [0] * self.words
        for column, value in (*writes, (rules, 0)):
            for field in self.fields[column]:
                keep[field.word] &= ~field.mask
                put[field.word] |= field.of(value)
        return keep, put


def widened(words: Ints, many: int) -> Ints:
    """States widened to ``many`` words; new words are 0."""
    if len(words) == many:
        return words
    more = np.zeros((many - len(words), words.shape[1]), np.uint64)
    return np.concatenate([words, more])


def _words(bits: Sequence[int]) -> int:
    """How many words fields of these widths take, none of them split."""
    used = [0]
    for more in bits:
        at = next((word for word, many in enumerate(used) if many + more <= WORD), len(used))
        if at == len(used):
            used.append(0)
        used[at] += more
    return len(used)


# -- the states that were met ----------------------------------------------------------------------------------------------

_FIRST = 12

#: Factor by which full arrays grow: untouched memory costs next to nothing.
GROWTH = 4
#: A table of slots is written to everywhere at once, so a large one only doubles.
_LARGE = 1 << 20
#: Number of slots that are moved to a larger table at a time.
_PIECE = 1 << 17

_ODD = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


class Collision(Exception):
    """Two different states with one hash: the search must restart with other random numbers."""


class Visited:
    """States by number: ``words`` has a column per state, laid out by :class:`Layout`.

    A zero word adds nothing to a hash, so states keep their hashes when they get more words. The slot of a hash is its
    upper bits: states are looked up in the order of their hashes, so that memory is read once, front to back.
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
        """The hashes of some states. With one word they are distinct."""
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
        """Number new states in order of discovery: their places in order, and by place their numbers."""
        is_new = np.zeros(words.shape[1], bool)
        is_new[which] = True
        new = np.flatnonzero(is_new)
        numbers = np.empty(words.shape[1], np.int32)
        numbers[new] = np.arange(self.count, self.count + len(new))
        self.words[:, self.count : self.count + len(new)] = words.take(new, axis=1)
        self.count += len(new)
        return new, numbers

    def _find(self, words: Ints, hashes: Ints) -> tuple[Ints, Ints]:
        """The numbers of different states, in the order of their hashes, -1 for absent ones; and their slots."""
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
        """Put numbers into these slots, or the next free ones."""
        mask = len(self._slots) - 1
        while slots.size:
            free = self._slots[slots] < 0
            self._slots[slots[free]] = numbers[free]  # of several for one slot the last wins
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
