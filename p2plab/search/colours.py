"""What a column of a state says of members that may change places, as numbers that do not depend on who they are.

Such numbers are called colours, as where isomorphic graphs are told apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.search.symmetry import Refs

Ints = npt.NDArray[Any]

_MIX = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)


def mixed(numbers: Ints) -> Ints:
    """Numbers that say nothing of those from which they were made, unless these are equal."""
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
    """One column: its kind, whose it is, and for each value its template, its colour and the members in it.

    Value 0 is what everybody begins with. It has no colour: so colours do not depend on what is met later.
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
        """For each value: colour, colour with the members in it told apart, these (``members`` for nobody), their labels."""
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
