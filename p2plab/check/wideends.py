"""What a wide graph looks up once for each combination: deadlock among those who wait, and what the rules remember."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.check.flat import Leaves
from p2plab.check.folds import Broken
from p2plab.check.graph import StateGraph

Ints = npt.NDArray[Any]

_UNKNOWN = -1


class Memories:
    """After which memory and which events the rules remember what; -2 where one breaks."""

    def __init__(self, small: StateGraph) -> None:
        self.small = small
        self._after: Ints = np.full((64, 64), _UNKNOWN, np.int64)

    def after(self, before: Ints, events: Ints, leaves: Ints, known: Leaves) -> Ints:
        """For each step what is remembered after it; ``leaves`` are the steps, ``events`` what they tell."""
        self._make_room()
        many = self._after.shape[1]
        pairs = before * many + events
        after: Ints = self._after.reshape(-1)[pairs]
        while (unknown := np.flatnonzero(after == _UNKNOWN)).size:
            for index in unknown[np.unique(pairs[unknown], return_index=True)[1]]:
                memory, broken = self.small.judge(int(before[index]), known.all[leaves[index]])
                self._after[before[index], events[index]] = -2 if broken else memory
            after = self._after.reshape(-1)[pairs]
        return after

    def _make_room(self) -> None:
        memories, events = len(self.small.folds), len(self.small.table.events)
        rows, columns = self._after.shape
        if memories > rows or events > columns:
            rows, columns = (2 * memories if memories > rows else rows), (2 * events if events > columns else columns)
            larger = np.full((rows, columns), _UNKNOWN, np.int64)
            larger[: self._after.shape[0], : self._after.shape[1]] = self._after
            self._after = larger


class Combinations:
    """Who waits where, as one number; and for each such number whether the story ends there."""

    def __init__(self, small: StateGraph, leaves: Leaves) -> None:
        self.small, self.leaves = small, leaves
        self.broken: list[Broken] = []
        self._bits = 0
        self._keys: Ints = np.zeros(0, np.int64)
        self._codes: Ints = np.zeros(0, np.int64)
        self._long: dict[bytes, int] = {}

    def look(self, kinds: Ints, able: Ints) -> Ints:
        """For each state 0 if the story goes on, else 1 + a number in ``broken``.

        ``kinds``: a row an actor: where it waits, -1 if it does not. ``able``: whether somebody can step.
        """
        keys = self._numbers(kinds, able)
        while True:
            place = np.searchsorted(self._keys, keys)
            known = place < len(self._keys)
            known[known] = self._keys[place[known]] == keys[known]
            unknown = np.flatnonzero(~known)
            if not unknown.size:
                codes: Ints = self._codes[place]
                return codes
            different, first = np.unique(keys[unknown], return_index=True)
            ends = [self._end_of(kinds[:, at].tolist(), bool(able[at])) for at in unknown[first].tolist()]
            keys_now = np.concatenate([self._keys, different])
            order = np.argsort(keys_now)
            self._keys = keys_now[order]
            self._codes = np.concatenate([self._codes, np.array(ends, np.int64)])[order]

    def _end_of(self, kinds: list[int], able: bool) -> int:
        waiting = [
            (name, self.leaves.all[leaf]) for name, leaf in zip(self.small.actors, kinds, strict=True) if leaf >= 0
        ]
        broken = self.small.deadlock(waiting, able)
        if broken is None:
            return 0
        self.broken.append(broken)
        return len(self.broken)

    def _numbers(self, kinds: Ints, able: Ints) -> Ints:
        """One exact number for each combination."""
        bits = int(len(self.leaves.all) + 1).bit_length()
        if bits * len(kinds) > 61:  # too many actors to be packed into one number
            both = np.concatenate([kinds, able[None]]).T.astype(np.int32)
            if not self._long:
                self._keys, self._codes = self._keys[:0], self._codes[:0]
            return np.array([self._long.setdefault(row.tobytes(), -1 - len(self._long)) for row in both], np.int64)
        if bits != self._bits:  # numbers made with fewer bits mean something else
            self._bits, self._keys, self._codes = bits, self._keys[:0], self._codes[:0]
        keys = able.astype(np.int64)
        for actor in range(len(kinds)):
            keys = (keys << bits) | (kinds[actor] + 1)
        return keys
