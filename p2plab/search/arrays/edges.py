"""The successors of millions of states: only existing steps take room.

Most actors cannot step in most states. For each state there is a bit per actor (can it step), and the successors are stored one
after another, in the actors' order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.search.arrays.states import GROWTH, longer
from p2plab.search.steps import NOWHERE

Ints = npt.NDArray[Any]


#: Number of states that are made into a list of steps at a time.
_BLOCK = 1 << 16


class Edges:
    """Successors by state, for those states that were added; a successor is a state's number or a breach's code."""

    def __init__(self, actors: int) -> None:
        self.actors = actors
        self.count = 0
        self._targets: Ints = np.zeros(1 << 12, np.int32)
        #: Where a state's successors begin, plus 1; 0: it was not added.
        self._begins: Ints = np.zeros(1 << 12, np.int32)
        self._able: Ints = np.zeros((-(-actors // 8), 1 << 12), np.uint8)

    def known(self, states: Ints) -> Ints:
        """For each of the states, whether it was added."""
        self._make_room(int(states.max(initial=-1)) + 1)
        known: Ints = self._begins.take(states) > 0
        return known

    def add(self, states: Ints, enabled: Ints, targets: Ints) -> None:
        """``enabled``: a row per actor, a column per state. ``targets``: where each step leads, by state, then by actor."""
        self._make_room(int(states.max(initial=-1)) + 1)
        end = self.count + len(targets)
        if end > len(self._targets):
            self._targets = longer(self._targets, self.count, GROWTH * end)
        if end >= np.iinfo(self._begins.dtype).max:
            self._begins = self._begins.astype(np.int64)
        self._targets[self.count : end] = targets
        begins = _begins(enabled)
        begins += self.count + 1
        self._begins[states] = begins
        self._able[:, states] = np.packbits(enabled, axis=0, bitorder="little")
        self.count = end

    def of(self, states: Ints) -> Ints:
        """A row per added state: its successors, one per actor, :data:`~p2plab.search.graph.NOWHERE` for none."""
        enabled = self._enabled(states)
        matrix = np.full((len(states), self.actors), NOWHERE, np.int32)
        matrix[np.ascontiguousarray(enabled.T)] = self._its_targets(states, enabled)
        return matrix

    def leads_to(self, states: Ints, wanted: Ints) -> Ints:
        """Which states have a ``wanted`` successor. ``wanted``: a truth value per state, and one more, which is false."""
        enabled = self._enabled(states)
        found: Ints = np.zeros(len(states), bool)
        some = np.flatnonzero(enabled.any(axis=0))
        if some.size:
            good = wanted.take(np.maximum(self._its_targets(states, enabled), NOWHERE))
            found[some] = np.logical_or.reduceat(good, _begins(enabled)[some])
        return found

    def last(self, states: Ints) -> Ints:
        """For each added state with a successor, the last of them."""
        counts = self._enabled(states).sum(axis=0, dtype=np.int64)
        successors: Ints = self._targets.take(self._begins.take(states) + counts - 2)
        return successors

    def steps(self, many: int) -> tuple[Ints, Ints]:
        """Every step between the first ``many`` states, all of them added: as (from, to)."""
        sources, targets = [], []
        for first in range(0, many, _BLOCK):
            states = np.arange(first, min(many, first + _BLOCK))
            enabled = self._enabled(states)
            sources.append(np.repeat(states, enabled.sum(axis=0, dtype=np.int64)))
            targets.append(self._its_targets(states, enabled))
        source, target = np.concatenate(sources), np.concatenate(targets)
        return source[target >= 0], target[target >= 0]

    def _enabled(self, states: Ints) -> Ints:
        its = self._able.take(states, axis=1)
        return np.unpackbits(its, axis=0, count=self.actors, bitorder="little").view(bool)

    def _its_targets(self, states: Ints, enabled: Ints) -> Ints:
        counts = enabled.sum(axis=0, dtype=np.int64)
        places = np.arange(int(counts.sum()))
        places += np.repeat(self._begins.take(states) - 1 - (np.cumsum(counts) - counts), counts)
        targets: Ints = self._targets.take(places)
        return targets

    def _make_room(self, states: int) -> None:
        used = len(self._begins)
        if states > used:
            self._begins = longer(self._begins, used, GROWTH * states)
            self._able = longer(self._able, used, GROWTH * states, axis=1)


def _begins(enabled: Ints) -> Ints:
    """Where each state's steps begin among all steps, ordered by state."""
    counts = enabled.sum(axis=0, dtype=np.int64)
    begins: Ints = np.cumsum(counts) - counts
    return begins
