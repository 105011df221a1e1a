"""The states of a large search, expanded thousands at a time: look-ups, judging and the visited set are array work.

It shares recorder, table and rules with the small graph, so what that has learnt is known here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.search.edges import Edges
from p2plab.search.flat import FlatTree, Leaves
from p2plab.search.graph import Goal, StateGraph, goal_of
from p2plab.search.layout import Layout
from p2plab.search.steps import Leaf, Row
from p2plab.search.visited import Visited, longer
from p2plab.search.wideends import BREAKS, Ends, Memories
from p2plab.search.wideways import restless

Ints = npt.NDArray[Any]

#: States expanded together: large enough for arrays to pay, small enough to stay in the cache.
CHUNK = 1 << 16

#: So few states are looked up one by one.
FEW = 100


class WideGraph:
    """States by number, as in :class:`StateGraph`; ``edges`` has the successors of those that are expanded."""

    parts = 1  #: among how many workers the states are shared

    def __init__(self, small: StateGraph, seed: int = 1) -> None:
        self.small = small
        self.recorder, self.table, self.columns = small.recorder, small.table, small.columns
        self.actors = small.actors
        self.layout = Layout(self._counts())
        self.visited = Visited(self.layout.words, seed)
        many = self.visited.words.shape[1]
        self.edges = Edges(len(self.actors))
        self.came_from: Ints = np.full(many, -1, np.int32)
        self.came_by: Ints = np.zeros(many, np.int16)
        _keep_memory()
        self.goals: list[Goal] = []
        self.goals_of: dict[int, list[int]] = {}
        self.at_rest: list[Ints] = []
        self.transitions = 0
        self._leaves = Leaves()
        self._trees: list[FlatTree | None] = [None] * len(self.actors)
        self._tree_versions = [-1] * len(self.actors)
        self._known = (-1, -1)  #: for how many columns and values there is room
        self._states, self._here = np.zeros(0, np.int64), self.visited.words[:, :0]
        self._memories = Memories(small)
        self._ends = Ends(small, self._leaves)
        self.visited.add(self.layout.pack(np.array([small.rows[0]])))

    def __len__(self) -> int:
        return self.visited.count

    def resting(self) -> Ints:
        """The states at rest."""
        return np.concatenate(self.at_rest) if self.at_rest else np.zeros(0, np.int64)

    def row(self, state: int) -> Row:
        """A state as the table knows it."""
        return self._whole(self.layout.row(self.visited.words[:, state]))

    def _whole(self, row: Row) -> Row:
        """A state with the columns that are not laid out yet: there it has not changed."""
        return (*row, *(0,) * (len(self.columns) - len(row)))

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
        states = states[~self.edges.known(states)]
        if len(states) > 1 and not (np.diff(states) > 0).all():  # in order, and each once
            states = np.unique(states)
        for first in range(0, len(states), CHUNK * self.parts):
            self._expand(states[first : first + CHUNK * self.parts])

    def _expand(self, states: Ints) -> None:
        self._states, self._here = states, self.visited.words.take(states, axis=1)
        leaves = np.stack([self._look_up(states, actor) for actor in range(len(self.actors))])
        self._leaves.refresh(self.layout, self.columns.rules)
        enabled = self._leaves.enabled[leaves]
        enabled &= ~self._look_for_ends(states, leaves, enabled)
        # Each step, state by state: from which of the states, and whose.
        at = np.repeat(np.arange(len(states)), enabled.sum(axis=0, dtype=np.int64))
        who = np.flatnonzero(np.ascontiguousarray(enabled.T)) - at * len(self.actors)
        self.edges.add(states, enabled, self._step(states, at, who, leaves.ravel().take(who * len(states) + at)))

    def followers(self, state: int) -> list[int]:
        """The successors of a state that is expanded, one an actor."""
        found: list[int] = self.edges.of(np.array([state]))[0].tolist()
        return found

    def restless(self) -> int | None:
        """As :func:`p2plab.search.liveness.restless`, when all states are expanded."""
        return restless(self)

    # -- looking steps up -------------------------------------------------------------------------------------------

    def _look_up(self, states: Ints, actor: int) -> Ints:
        found, misses = self._tree(actor).walk(self._here, actor, self.layout)
        todo = np.flatnonzero(found < 0)
        misses = misses[todo]
        while todo.size > FEW:
            if self._tree_versions[actor] == self.table.versions[actor]:
                for index in todo[np.unique(misses, return_index=True)[1]]:
                    self._looked_up(int(states[index]), actor)
            numbers, misses = self._tree(actor, anew=True).walk(self._here.take(todo, axis=1), actor, self.layout)
            found[todo] = numbers
            missing = np.flatnonzero(numbers < 0)
            todo, misses = todo[missing], misses[missing]
        for index in todo.tolist():  # for a few it does not pay to make arrays of the trees again
            found[index] = self._leaves.number(self._looked_up(int(states[index]), actor))
        return found

    def _tree(self, actor: int, anew: bool = False) -> FlatTree:
        """An actor's trees as arrays. Unless made ``anew`` it may miss steps that were added since: these are not found."""
        tree, version = self._trees[actor], self._tree_versions[actor]
        if tree is None or version < self.table.reshaped[actor] or (anew and version != self.table.versions[actor]):
            tree = self._trees[actor] = FlatTree(self.table, actor, self._leaves)
            self._tree_versions[actor] = self.table.versions[actor]
        return tree

    def _looked_up(self, state: int, actor: int) -> Leaf:
        """What an actor does in a state; driver code runs if nobody knows yet."""
        while (leaf := self.table.look_up(row := self.row(state), actor)) is None:
            self._record(row, state, actor)
        return leaf

    def _record(self, row: Row, state: int, actor: int) -> None:
        self.recorder.record(row, actor, lambda: self.path(state))
        self._room_for_values()

    def _counts(self) -> list[int]:
        """How many values each column has by now."""
        counts = [len(values) for values in self.columns.values]
        counts[self.columns.rules] = len(self.small.folds)
        return counts

    def _room_for_values(self) -> None:
        """Make room in the states for all values known by now."""
        known = self.columns.version, len(self.small.folds)
        if known != self._known and self.layout.room_for(self._counts()):
            self.visited.widen(self.layout.words)
            if len(self._here) < self.layout.words:
                self._here = self.visited.words.take(self._states, axis=1)
        self._known = known

    # -- stepping ---------------------------------------------------------------------------------------------------

    def _step(self, states: Ints, at: Ints, who: Ints, leaves: Ints) -> Ints:
        """Steps from ``states[at]``, each by the actor ``who`` and as its leaf says: where each leads."""
        self.transitions += len(at)
        targets = np.empty(len(at), np.int32)
        memories, broken = self._judge(states, at, who, leaves, targets)
        good: Ints | slice = slice(None)
        if broken.any():
            good = ~broken
            at, who, leaves, memories = at[good], who[good], leaves[good], memories[good]
        self._leaves.refresh(self.layout, self.columns.rules)
        assert self._leaves.effects is not None
        words = self._leaves.effects.step(self._here.take(at, axis=1), leaves, memories)
        targets[good] = self._arrive(words, states.take(at), who)
        return targets

    def _arrive(self, words: Ints, states: Ints, who: Ints) -> Ints:
        numbers, new = self.visited.add(words)
        self._grow()
        fresh = numbers.take(new)
        self.came_from[fresh], self.came_by[fresh] = states.take(new), who.take(new)
        return numbers

    def _grow(self) -> None:
        size, used = self.visited.words.shape[1], len(self.came_from)
        if size > used:
            self.came_from = longer(self.came_from, used, size)
            self.came_by = longer(self.came_by, used, size)

    def _judge(self, states: Ints, at: Ints, who: Ints, leaves: Ints, targets: Ints) -> tuple[Ints, Ints]:
        """What the rules remember after each step, and which steps broke something: these lead to goals."""
        before = self.layout.read(self._here, self.columns.rules).take(at)
        after = self._memories.after(before, self._leaves.events.take(leaves), leaves, self._leaves)
        self._room_for_values()
        wrong: Ints = (after == BREAKS) | self._leaves.broken.take(leaves)
        for index in np.flatnonzero(wrong):
            leaf = self._leaves.all[leaves[index]]
            what = leaf.broken or self.small.judge(int(before[index]), leaf)[1]
            self.goals.append(Goal(int(states[at[index]]), int(who[index]), what[0]))
            targets[index] = goal_of(len(self.goals) - 1)
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
        memories = self.layout.read(self.visited.words.take(states, axis=1), self.columns.rules)
        for memory in np.unique(memories):
            for broken in self.small.left_open(int(memory)):
                for state in states[memories == memory].tolist():
                    self._end(state, Goal(state, None, broken))


def _keep_memory() -> None:
    """Have the C library keep what arrays give back: for each chunk they take it again, and new memory is slow.

    Glibc gives memory of some size back to the system at once, and learns from the largest that was ever given back.
    """
    large = np.empty(8 << 20, np.uint8)
    del large
