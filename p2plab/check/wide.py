"""The states of a large search, expanded thousands at a time: look-ups, judging and the visited set are array work.

It shares recorder, table and rules with the small graph, so what that has learnt is known here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.check.flat import FlatTree, Leaves
from p2plab.check.graph import NOWHERE, Goal, StateGraph, goal_of
from p2plab.check.steps import Leaf, Row
from p2plab.check.visited import Visited

Ints = npt.NDArray[Any]

#: States expanded together: large enough for arrays to pay, small enough to stay in the cache.
CHUNK = 1 << 15


class WideGraph:
    """States by number, as in :class:`StateGraph`; ``successors`` is a matrix, one row a state, one column an actor."""

    def __init__(self, small: StateGraph, seed: int = 1) -> None:
        self.small = small
        self.recorder, self.table, self.columns = small.recorder, small.table, small.columns
        self.actors = small.actors
        self.visited = Visited(len(self.columns) + 8, seed)
        many = len(self.visited.hashes)
        self.successors: Ints = np.full((many, len(self.actors)), NOWHERE, np.int32)
        self.expanded: Ints = np.zeros(many, bool)
        self.came_from: Ints = np.full(many, -1, np.int32)
        self.came_by: Ints = np.zeros(many, np.int8)
        self.goals: list[Goal] = []
        self.goals_of: dict[int, list[int]] = {}
        self.at_rest: list[Ints] = []
        self.transitions = 0
        self._leaves = Leaves()
        self._trees: list[FlatTree | None] = [None] * len(self.actors)
        self._tree_versions = [-1] * len(self.actors)
        self._judged: Ints = np.full((64, 64), -1, np.int64)
        first = np.zeros((1, self.visited.rows.shape[1]), self.visited.rows.dtype)
        first[0, : len(small.rows[0])] = small.rows[0]
        self.visited.add(first, self.visited.hash_of(first))

    def __len__(self) -> int:
        return self.visited.count

    def resting(self) -> Ints:
        """The states at rest."""
        return np.concatenate(self.at_rest) if self.at_rest else np.zeros(0, np.int64)

    def row(self, state: int) -> Row:
        """A state as the table knows it."""
        return tuple(self.visited.rows[state, : len(self.columns)].tolist())

    def path(self, state: int) -> list[str]:
        """Some choices that lead to a state."""
        choices = []
        while state:
            choices.append(self.actors[int(self.came_by[state])])
            state = int(self.came_from[state])
        return choices[::-1]

    def rows_of_path(self, state: int) -> list[Row]:
        """The states that :meth:`path` passes, the first and the last included."""
        rows = [self.row(state)]
        while state:
            state = int(self.came_from[state])
            rows.append(self.row(state))
        return rows[::-1]

    def expand(self, states: Ints) -> None:
        """Work out the successors of some states, those among them that are not expanded yet."""
        states = states[~self.expanded[states]]
        for first in range(0, len(states), CHUNK):
            self._expand(states[first : first + CHUNK])

    def _expand(self, states: Ints) -> None:
        self.expanded[states] = True
        leaves = np.stack([self._look_up(states, actor) for actor in range(len(self.actors))], axis=1)
        self._leaves.refresh()
        enabled = self._leaves.enabled[leaves]
        ended = self._look_for_ends(states, leaves, enabled)
        for actor in range(len(self.actors)):
            able = np.flatnonzero(enabled[:, actor] & ~ended)
            if able.size:
                self._step(states[able], actor, leaves[able, actor])

    def followers(self, state: int) -> list[int]:
        """The successors of a state that is expanded, one an actor."""
        found: list[int] = self.successors[state].tolist()
        return found

    def restless(self) -> int | None:
        """As :func:`p2plab.check.liveness.restless`, when all states are expanded."""
        count = len(self)
        calm: Ints = np.zeros(count + 1, bool)  # the last one stands for "no such successor"
        calm[self.resting()] = True
        calm[[goal.state for goal in self.goals]] = True
        before = -1
        while (now := int(calm.sum())) != before:
            before = now
            for last in range(count, 0, -CHUNK):
                first = max(0, last - CHUNK)
                successors = self.successors[first:last]
                calm[first:last] |= calm[np.where(successors >= 0, successors, count)].any(axis=1)
        wild = np.flatnonzero(~calm[:count])
        return int(wild[0]) if wild.size else None

    # -- looking steps up -------------------------------------------------------------------------------------------

    def _look_up(self, states: Ints, actor: int) -> Ints:
        found = np.full(len(states), -1, np.int64)
        todo = np.arange(len(states))
        while todo.size:
            numbers, misses = self._tree(actor).walk(self.visited.rows[states[todo]], actor)
            found[todo] = numbers
            missing = np.flatnonzero(numbers < 0)
            if missing.size:
                _, representatives = np.unique(misses[missing], return_index=True)
                for index in missing[representatives]:
                    self._record(int(states[todo[index]]), actor)
            todo = todo[missing]
        return found

    def _tree(self, actor: int) -> FlatTree:
        tree = self._trees[actor]
        if tree is None or self._tree_versions[actor] != self.table.version:
            tree = self._trees[actor] = FlatTree(self.table, actor, self._leaves)
            self._tree_versions[actor] = self.table.version
        return tree

    def _record(self, state: int, actor: int) -> None:
        row = self.row(state)
        if self.table.look_up(row, actor) is not None:
            return
        if self.recorder.record(row, actor, lambda: self.path(state)):
            self.visited.widen(len(self.columns))
        if max(map(len, self.columns.values)) > 0xFFFF:
            self.visited.larger_values()

    # -- stepping ---------------------------------------------------------------------------------------------------

    def _step(self, states: Ints, actor: int, leaves: Ints) -> None:
        self.transitions += len(states)
        memories, broken = self._judge(states, actor, leaves)
        if broken.any():
            states, leaves, memories = states[~broken], leaves[~broken], memories[~broken]
            if not states.size:
                return
        # Numpy sorts 16-bit numbers by counting, several times faster.
        keys = leaves.astype(np.int16) if len(self._leaves.all) < 1 << 15 else leaves
        order = np.argsort(keys, kind="stable")
        states, leaves, memories = states[order], leaves[order], memories[order]
        rows = self.visited.rows[states]
        hashes = self.visited.hashes[states]
        edges = [0, *(np.flatnonzero(np.diff(leaves)) + 1).tolist(), len(leaves)]
        for start, stop in itertools.pairwise(edges):
            for column, value in self._leaves.all[leaves[start]].writes:
                self._write(rows[start:stop], hashes[start:stop], column, value)
        self._write(rows, hashes, self.columns.rules, memories)
        numbers, new = self.visited.add(rows, hashes)
        self._grow()
        self.successors[states, actor] = numbers
        fresh = numbers[new]
        self.came_from[fresh] = states[new]
        self.came_by[fresh] = actor

    def _write(self, rows: Ints, hashes: Ints, column: int, value: Any) -> None:
        change = (value - rows[:, column].astype(np.int64)).astype(np.uint64)
        hashes += change * self.visited.weights[column]
        rows[:, column] = value

    def _grow(self) -> None:
        size = len(self.visited.hashes)
        if size > len(self.came_from):
            more = size - len(self.came_from)
            self.successors = np.concatenate([self.successors, np.full((more, len(self.actors)), NOWHERE, np.int32)])
            self.expanded = np.concatenate([self.expanded, np.zeros(more, bool)])
            self.came_from = np.concatenate([self.came_from, np.full(more, -1, np.int32)])
            self.came_by = np.concatenate([self.came_by, np.zeros(more, np.int8)])

    def _judge(self, states: Ints, actor: int, leaves: Ints) -> tuple[Ints, Ints]:
        """What the rules remember after each step, and which steps broke something."""
        before = self.visited.rows[states, self.columns.rules].astype(np.int64)
        events = self._leaves.events[leaves]
        self._room_to_judge()
        after = self._judged[before, events]
        while (unknown := np.flatnonzero(after == -1)).size:
            pairs = before[unknown] * len(self.table.events) + events[unknown]
            for index in unknown[np.unique(pairs, return_index=True)[1]]:
                memory, broken = self.small.judge(int(before[index]), self._leaves.all[leaves[index]])
                self._judged[before[index], events[index]] = -2 if broken else memory
            after = self._judged[before, events]
        if len(self.small.folds) > 0xFFFF:
            self.visited.larger_values()
        wrong: Ints = (after == -2) | self._leaves.broken[leaves]
        for index in np.flatnonzero(wrong):
            leaf = self._leaves.all[leaves[index]]
            what = leaf.broken or self.small.judge(int(before[index]), leaf)[1]
            self.goals.append(Goal(int(states[index]), actor, what[0]))
            self.successors[states[index], actor] = goal_of(len(self.goals) - 1)
        return after, wrong

    def _room_to_judge(self) -> None:
        memories, events = len(self.small.folds), len(self.table.events)
        rows, columns = self._judged.shape
        if memories > rows or events > columns:
            rows, columns = (2 * memories if memories > rows else rows), (2 * events if events > columns else columns)
            larger = np.full((rows, columns), -1, np.int64)
            larger[: self._judged.shape[0], : self._judged.shape[1]] = self._judged
            self._judged = larger

    # -- ends -------------------------------------------------------------------------------------------------------

    def _look_for_ends(self, states: Ints, leaves: Ints, enabled: Ints) -> Ints:
        """Which states the story ends in: deadlocks become goals, rest is noted."""
        waiting: Ints = self._leaves.waiting[leaves]
        able: Ints = np.any(enabled, axis=1)
        ended: Ints = np.zeros(len(able), bool)
        setup = [goal for goal in self.small.goals if goal.actor is None and goal.state == 0]
        if setup and self.small.setup_broke:
            ended |= states == 0
            for goal in setup if ended.any() else ():
                self._end(0, goal)
        some = np.flatnonzero(waiting.any(axis=1) & ~ended)
        if some.size:
            kinds = np.where(waiting[some], leaves[some], -1)
            combined = np.concatenate([kinds, able[some, None]], axis=1)
            _, representatives, inverse = np.unique(combined, axis=0, return_index=True, return_inverse=True)
            for kind, index in enumerate(representatives):
                at = some[index]
                pairs = self._waiting(leaves[at], waiting[at])
                broken = self.small.deadlock(pairs, bool(able[at]))
                if broken is not None:
                    stuck = some[np.ravel(inverse) == kind]
                    ended[stuck] = True
                    for state in states[stuck].tolist():
                        self._end(state, Goal(state, None, broken))
        rest = np.flatnonzero(~able & ~waiting.any(axis=1) & ~ended)
        if rest.size:
            self._rest(states[rest])
        return ended

    def _waiting(self, leaves: Sequence[int], waiting: Sequence[bool]) -> list[tuple[str, Leaf]]:
        return [
            (name, self._leaves.all[leaf])
            for name, leaf, wait in zip(self.actors, leaves, waiting, strict=True)
            if wait
        ]

    def _end(self, state: int, goal: Goal) -> None:
        self.goals.append(goal)
        self.goals_of.setdefault(state, []).append(len(self.goals) - 1)

    def _rest(self, states: Ints) -> None:
        self.at_rest.append(states)
        memories = self.visited.rows[states, self.columns.rules]
        for memory in np.unique(memories):
            for broken in self.small.left_open(int(memory)):
                for state in states[memories == memory].tolist():
                    self._end(state, Goal(state, None, broken))
