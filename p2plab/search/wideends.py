"""What a wide graph works out once for each combination: deadlock among those who wait, and what the rules remember."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.search.flat import Leaves
from p2plab.search.folds import Broken
from p2plab.search.graph import StateGraph
from p2plab.search.lookups import UNKNOWN, Combinations, Pairs, first_of_each

Ints = npt.NDArray[Any]

#: What the rules remember after a step that breaks one of them.
BREAKS = -2


class Memories:
    """After which memory and which events the rules remember what; :data:`BREAKS` where one breaks."""

    def __init__(self, small: StateGraph) -> None:
        self.small = small
        self._pairs = Pairs()

    def after(self, before: Ints, events: Ints, leaves: Ints, known: Leaves) -> Ints:
        """For each step what is remembered after it; ``leaves`` are the steps, ``events`` what they tell."""
        after = self._pairs.look(before, events)
        unknown = np.flatnonzero(after == UNKNOWN)
        if not unknown.size:
            return after
        new = unknown[first_of_each(before[unknown], events[unknown])]
        self._pairs.learn(before[new], events[new], self.judged(before[new], leaves[new], known))
        return self._pairs.look(before, events)

    def judged(self, before: Ints, leaves: Ints, known: Leaves) -> Ints:
        """The same, by asking the rules."""
        after = []
        for memory, leaf in zip(before.tolist(), leaves.tolist(), strict=True):
            then, broken = self.small.judge(memory, known.all[leaf])
            after.append(BREAKS if broken else then)
        return np.array(after, np.int64)


class Ends:
    """Whether the story ends where these actors wait, and how."""

    def __init__(self, small: StateGraph, leaves: Leaves) -> None:
        self.small, self.leaves = small, leaves
        self.broken: list[Broken] = []
        self._codes = Combinations()

    def look(self, kinds: Ints, able: Ints) -> Ints:
        """For each state 0 if the story goes on, else 1 + a number in ``broken``.

        ``kinds``: a row an actor: where it waits, -1 if it does not. ``able``: whether somebody can step.
        """
        keys = self._codes.keys(kinds, able, len(self.leaves.all))
        codes = self._codes.look(keys)
        unknown = np.flatnonzero(codes == UNKNOWN)
        if not unknown.size:
            return codes
        different, first = np.unique(keys[unknown], return_index=True)
        first = unknown[first]
        self._codes.learn(different, self.judged(kinds[:, first], able[first]))
        return self._codes.look(keys)

    def judged(self, kinds: Ints, able: Ints) -> Ints:
        """The same, by looking for a deadlock in each."""
        codes = [self._end_of(its, can) for its, can in zip(kinds.T.tolist(), able.tolist(), strict=True)]
        return np.array(codes, np.int64)

    def _end_of(self, kinds: list[int], able: bool) -> int:
        waiting = [
            (name, self.leaves.all[leaf]) for name, leaf in zip(self.small.actors, kinds, strict=True) if leaf >= 0
        ]
        broken = self.small.deadlock(waiting, able)
        if broken is None:
            return 0
        self.broken.append(broken)
        return len(self.broken)
