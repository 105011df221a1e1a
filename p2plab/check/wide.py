"""The states of a large search, expanded thousands at a time: look-ups, judging and the visited set are array work.

It shares recorder, table and rules with the small graph, so what that has learnt is known here.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.check.flat import FlatTree, Leaves
from p2plab.check.graph import NOWHERE, Goal, StateGraph, goal_of
from p2plab.check.steps import Row
from p2plab.check.visited import Visited
from p2plab.check.wideends import Combinations, Memories
from p2plab.check.wideways import first_met

Ints = npt.NDArray[Any]

#: States expanded together: large enough for arrays to pay, small enough to stay in the cache.
CHUNK = 1 << 15


#: So few states are looked up one by one.
FEW = 200


class WideGraph:
    """States by number, as in :class:`StateGraph`; ``successors`` is a matrix, one row a state, one column an actor."""

    parts = 1  #: among how many workers the states are shared

    def __init__(self, small: StateGraph, seed: int = 1) -> None:
        self.small = small
        self.recorder, self.table, self.columns = small.recorder, small.table, small.columns
        self.actors = small.actors
        self.visited = Visited(len(self.columns) + 4, seed, np.uint8)
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
        self._memories = Memories(small)
        self._ends = Combinations(small, self._leaves)
        self._room_for_values()
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
        self._here = self.visited.rows[states]
        leaves = np.stack([self._look_up(states, actor) for actor in range(len(self.actors))])
        self._leaves.refresh()
        enabled = self._leaves.enabled[leaves]
        goes_on = ~self._look_for_ends(states, leaves, enabled)
        taken = [
            self._step(states, able, actor, leaves[actor, able])
            for actor in range(len(self.actors))
            if (able := np.flatnonzero(enabled[actor] & goes_on)).size
        ]
        if taken:
            self._arrive(*map(np.concatenate, zip(*taken, strict=True)))

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
        return None if calm[:count].all() else first_met(self, ~calm[:count])

    # -- looking steps up -------------------------------------------------------------------------------------------

    def _look_up(self, states: Ints, actor: int) -> Ints:
        found, misses = self._tree(actor).walk(self._here, actor)
        todo = np.flatnonzero(found < 0)
        misses = misses[todo]
        while todo.size > FEW:
            for index in todo[np.unique(misses, return_index=True)[1]]:
                self._record(states, int(states[index]), actor)
            numbers, misses = self._tree(actor).walk(self._here[todo], actor)
            found[todo] = numbers
            missing = np.flatnonzero(numbers < 0)
            todo, misses = todo[missing], misses[missing]
        for index in todo.tolist():  # for a few it does not pay to make arrays of the trees again
            state = int(states[index])
            while (leaf := self.table.look_up(self.row(state), actor)) is None:
                self._record(states, state, actor)
            found[index] = self._leaves.number(leaf)
        return found

    def _tree(self, actor: int) -> FlatTree:
        tree = self._trees[actor]
        if tree is None or self._tree_versions[actor] != self.table.versions[actor]:
            tree = self._trees[actor] = FlatTree(self.table, actor, self._leaves)
            self._tree_versions[actor] = self.table.versions[actor]
        return tree

    def _record(self, states: Ints, state: int, actor: int) -> None:
        row = self.row(state)
        if self.table.look_up(row, actor) is not None:
            return
        if self.recorder.record(row, actor, lambda: self.path(state)):
            self.visited.widen(len(self.columns))
        self._room_for_values()
        if self.visited.rows.shape[1] != self._here.shape[1]:
            self._here = self.visited.rows[states]

    def _room_for_values(self) -> None:
        self.visited.room_for(max(len(self.small.folds), *map(len, self.columns.values)))

    # -- stepping ---------------------------------------------------------------------------------------------------

    def _step(self, states: Ints, able: Ints, actor: int, leaves: Ints) -> tuple[Ints, Ints, Ints]:
        """The states after one actor's steps, with their hashes and where each came from: state and actor in one."""
        self.transitions += len(able)
        memories, broken = self._judge(states, able, actor, leaves)
        if broken.any():
            able, leaves, memories = able[~broken], leaves[~broken], memories[~broken]
        # Numpy sorts 16-bit numbers by counting, several times faster.
        keys = leaves.astype(np.int16) if len(self._leaves.all) < 1 << 15 else leaves
        order = np.argsort(keys, kind="stable")
        able, leaves = able[order], leaves[order]
        rows = self._here[able].astype(self.visited.rows.dtype, copy=False)
        hashes = self.visited.hashes[states[able]]
        edges = [0, *(np.flatnonzero(np.diff(leaves)) + 1).tolist(), len(leaves)]
        for start, stop in itertools.pairwise(edges) if len(leaves) else ():
            for column, value in self._leaves.all[leaves[start]].writes:
                self._write(rows[start:stop], hashes[start:stop], column, value)
        if len(self.small.folds) > 1:
            self._write(rows, hashes, self.columns.rules, memories[order])
        return rows, hashes, states[able] * len(self.actors) + actor

    def _arrive(self, rows: Ints, hashes: Ints, origins: Ints) -> None:
        numbers, new = self.visited.add(rows, hashes)
        self._grow()
        self.successors.reshape(-1)[origins] = numbers
        fresh = numbers[new]
        self.came_from[fresh], self.came_by[fresh] = np.divmod(origins[new], len(self.actors))

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

    def _judge(self, states: Ints, able: Ints, actor: int, leaves: Ints) -> tuple[Ints, Ints]:
        """What the rules remember after each step, and which steps broke something."""
        before = self._here[able, self.columns.rules].astype(np.int64)
        after = self._memories.after(before, self._leaves.events[leaves], leaves, self._leaves)
        self._room_for_values()
        wrong: Ints = (after == -2) | self._leaves.broken[leaves]
        for index in np.flatnonzero(wrong):
            leaf = self._leaves.all[leaves[index]]
            what = leaf.broken or self.small.judge(int(before[index]), leaf)[1]
            self.goals.append(Goal(int(states[able[index]]), actor, what[0]))
            self.successors[states[able[index]], actor] = goal_of(len(self.goals) - 1)
        return after, wrong

    # -- ends -------------------------------------------------------------------------------------------------------

    def _look_for_ends(self, states: Ints, leaves: Ints, enabled: Ints) -> Ints:
        """Which states the story ends in: deadlocks become goals, rest is noted."""
        waiting: Ints = self._leaves.waiting[leaves]
        able: Ints = np.any(enabled, axis=0)
        ended: Ints = np.zeros(len(able), bool)
        setup = [goal for goal in self.small.goals if goal.actor is None and goal.state == 0]
        if setup and self.small.setup_broke:
            ended |= states == 0
            for goal in setup if ended.any() else ():
                self._end(0, goal)
        waits: Ints = np.any(waiting, axis=0)
        # While somebody can step, only those who wait for each other by name can be stuck.
        matter = np.where(able, self._leaves.linked[leaves], waiting)
        some = np.flatnonzero(np.any(matter, axis=0) & ~ended)
        if some.size:
            ends = self._ends.look(np.where(matter[:, some], leaves[:, some], -1), able[some])
            for at in np.flatnonzero(ends):
                ended[some[at]] = True
                state = int(states[some[at]])
                self._end(state, Goal(state, None, self._ends.broken[ends[at] - 1]))
        rest = np.flatnonzero(~able & ~waits & ~ended)
        if rest.size:
            self._rest(states[rest])
        return ended

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
