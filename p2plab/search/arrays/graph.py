"""The states of a large search, expanded thousands at a time: look-ups, judging and the visited set are array work.

What is known about states by number (successors, predecessors, where runs end) is one class, wherever the states
themselves are kept: here, in :class:`ArrayGraph`, or with workers (:mod:`p2plab.search.parallel.graph`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.search.arrays import whole
from p2plab.search.arrays.edges import Edges
from p2plab.search.arrays.states import Layout, Visited, longer
from p2plab.search.arrays.steps import UNKNOWN, Combinations, FlatTree, Leaves, Pairs, first_of_each
from p2plab.search.graph import Breach
from p2plab.search.model import Model
from p2plab.search.monitors import Broken
from p2plab.search.steps import Leaf, Row, breach_of
from p2plab.search.verdict import Orbits

Ints = npt.NDArray[Any]

#: States expanded together: large enough for arrays to pay, small enough to stay in the cache.
CHUNK = 1 << 16

#: Up to this many states are looked up one by one.
FEW = 100


class NumberedGraph:
    """A :class:`~p2plab.search.graph.Graph` of states by number; ``edges`` has the successors of those that are expanded."""

    orbits: Orbits | None = None
    parts = 1  #: among how many workers the states are shared

    def __init__(self, model: Model, before: NumberedGraph | None = None) -> None:
        """``before``: a graph that this one continues; it must not be used any more."""
        self.model, self.actors = model, model.actors
        self.recorder, self.table, self.columns = model.recorder, model.table, model.columns
        _keep_memory()
        if before is None:
            self.layout = Layout(self._counts())
            self.edges = Edges(len(self.actors))
            self.came_from: Ints = np.zeros(0, np.int32)
            self.came_by: Ints = np.zeros(0, np.int16)
            self.breaches: list[Breach] = []
            self.breaches_of: dict[int, list[int]] = {}
            self.transitions = 0
            self._terminal: list[Ints] = []
        else:
            self.layout, self.edges = before.layout, before.edges
            self.came_from, self.came_by = before.came_from, before.came_by
            self.breaches, self.breaches_of = before.breaches, before.breaches_of
            self.transitions, self._terminal = before.transitions, before._terminal
        self._leaves = Leaves()
        self._memories = Memories(model)
        self._ends = Ends(model, self._leaves)

    def __len__(self) -> int:
        raise NotImplementedError

    def row(self, state: int) -> Row:
        """As :meth:`~p2plab.search.graph.Graph.row`."""
        raise NotImplementedError

    @property
    def full(self) -> int:
        """Each represents itself."""
        return len(self)

    def terminal(self) -> Ints:
        """As :meth:`~p2plab.search.graph.Graph.terminal`."""
        return np.concatenate(self._terminal) if self._terminal else np.zeros(0, np.int64)

    def path(self, state: int) -> list[str]:
        """As :meth:`~p2plab.search.graph.Graph.path`."""
        choices = []
        while state:
            choices.append(self.actors[int(self.came_by[state])])
            state = int(self.came_from[state])
        return choices[::-1]

    def rows_of_path(self, state: int) -> list[Row]:
        """As :meth:`~p2plab.search.graph.Graph.rows_of_path`."""
        rows = [self.row(state)]
        while state:
            state = int(self.came_from[state])
            rows.append(self.row(state))
        return rows[::-1]

    def followers(self, state: int) -> list[int]:
        """As :meth:`~p2plab.search.graph.Graph.followers`, of a state that is expanded."""
        found: list[int] = self.edges.of(np.array([state]))[0].tolist()
        return found

    def count_orders(self) -> int | None:
        """As :meth:`~p2plab.search.graph.Graph.count_orders`."""
        return whole.count_orders(self.edges, len(self))

    def cannot_terminate(self) -> int | None:
        """As :meth:`~p2plab.search.graph.Graph.cannot_terminate`, when all states are expanded."""
        return whole.cannot_terminate(self)

    def expand(self, states: Ints) -> None:
        """Compute the successors of those of some states that are not expanded yet."""
        states = states[~self.edges.known(states)]
        if len(states) > 1 and not (np.diff(states) > 0).all():  # in order, and each once
            states = np.unique(states)
        for first in range(0, len(states), CHUNK * self.parts):
            self._expand(states[first : first + CHUNK * self.parts])

    # -- for those that keep states -----------------------------------------------------------------------------------

    def _expand(self, states: Ints) -> None:
        raise NotImplementedError

    def _counts(self) -> list[int]:
        """How many values each column has so far."""
        counts = [len(values) for values in self.columns.values]
        counts[self.columns.memory] = len(self.model.monitors)
        return counts

    def _break(self, state: int, actor: int, broken: Broken) -> int:
        """Record a promise that a step breaks; returns its code among successors."""
        self.breaches.append(Breach(state, actor, broken))
        return breach_of(len(self.breaches) - 1)

    def _end(self, state: int, broken: Broken) -> None:
        """Record a promise that a state itself breaks: a run ends there."""
        self.breaches.append(Breach(state, None, broken))
        self.breaches_of.setdefault(state, []).append(len(self.breaches) - 1)

    def _rest(self, states: Ints, memories: Ints) -> None:
        """Record terminal states, and the monitors' state in them."""
        self._terminal.append(states)
        for memory in np.unique(memories).tolist():
            for broken in self.model.left_open(memory):
                for state in states[memories == memory].tolist():
                    self._end(state, broken)


class ArrayGraph(NumberedGraph):
    """The states are words in the visited set of this process."""

    def __init__(self, model: Model, seed: int = 1) -> None:
        super().__init__(model)
        self.visited = Visited(self.layout.words, seed)
        many = self.visited.words.shape[1]
        self.came_from, self.came_by = np.full(many, -1, np.int32), np.zeros(many, np.int16)
        self._trees: list[FlatTree | None] = [None] * len(self.actors)
        self._tree_versions = [-1] * len(self.actors)
        self._known = (-1, -1)  #: the number of columns and values for which there is room
        self._states, self._here = np.zeros(0, np.int64), self.visited.words[:, :0]
        self.visited.add(self.layout.pack(np.array([model.initial])))

    def __len__(self) -> int:
        return self.visited.count

    def row(self, state: int) -> Row:
        """As :meth:`~p2plab.search.graph.Graph.row`."""
        return self.model.whole(self.layout.row(self.visited.words[:, state]))

    def _expand(self, states: Ints) -> None:
        self._states, self._here = states, self.visited.words.take(states, axis=1)
        leaves = np.stack([self._look_up(states, actor) for actor in range(len(self.actors))])
        self._leaves.refresh(self.layout, self.columns.memory)
        enabled = self._leaves.enabled[leaves]
        enabled &= ~self._look_for_ends(states, leaves, enabled)
        # Each step, state by state: its state and its actor.
        at = np.repeat(np.arange(len(states)), enabled.sum(axis=0, dtype=np.int64))
        who = np.flatnonzero(np.ascontiguousarray(enabled.T)) - at * len(self.actors)
        self.edges.add(states, enabled, self._step(states, at, who, leaves.ravel().take(who * len(states) + at)))

    # -- looking steps up -------------------------------------------------------------------------------------------

    def _look_up(self, states: Ints, actor: int) -> Ints:
        found, misses = self._tree(actor).walk(self._here, actor, self.layout)
        todo = np.flatnonzero(found < 0)
        misses = misses[todo]
        while todo.size > FEW:
            if self._tree_versions[actor] == self.table.versions[actor]:
                for index in todo[np.unique(misses, return_index=True)[1]]:
                    self._looked_up(int(states[index]), actor)
            numbers, misses = self._tree(actor, rebuild=True).walk(self._here.take(todo, axis=1), actor, self.layout)
            found[todo] = numbers
            missing = np.flatnonzero(numbers < 0)
            todo, misses = todo[missing], misses[missing]
        for index in todo.tolist():  # for a few it does not pay to rebuild the trees' arrays
            found[index] = self._leaves.number(self._looked_up(int(states[index]), actor))
        return found

    def _tree(self, actor: int, rebuild: bool = False) -> FlatTree:
        """An actor's trees as arrays. Without ``rebuild``, steps added since are not found."""
        tree, version = self._trees[actor], self._tree_versions[actor]
        if tree is None or version < self.table.reshaped[actor] or (rebuild and version != self.table.versions[actor]):
            tree = self._trees[actor] = FlatTree(self.table, actor, self._leaves)
            self._tree_versions[actor] = self.table.versions[actor]
        return tree

    def _looked_up(self, state: int, actor: int) -> Leaf:
        """An actor's step in a state; driver code runs if it is not known yet."""
        while (leaf := self.table.look_up(row := self.row(state), actor)) is None:
            self._record(row, state, actor)
        return leaf

    def _record(self, row: Row, state: int, actor: int) -> None:
        self.recorder.record(row, actor, lambda: self.path(state))
        self._room_for_values()

    def _room_for_values(self) -> None:
        """Make room in the states for all values known by now."""
        known = self.columns.version, len(self.model.monitors)
        if known != self._known and self.layout.room_for(self._counts()):
            self.visited.widen(self.layout.words)
            if len(self._here) < self.layout.words:
                self._here = self.visited.words.take(self._states, axis=1)
        self._known = known

    # -- stepping ---------------------------------------------------------------------------------------------------

    def _step(self, states: Ints, at: Ints, who: Ints, leaves: Ints) -> Ints:
        """Steps from ``states[at]``, each by the actor ``who`` according to its leaf: where each leads."""
        self.transitions += len(at)
        targets = np.empty(len(at), np.int32)
        memories, broken = self._judge(states, at, who, leaves, targets)
        good: Ints | slice = slice(None)
        if broken.any():
            good = ~broken
            at, who, leaves, memories = at[good], who[good], leaves[good], memories[good]
        self._leaves.refresh(self.layout, self.columns.memory)
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
        """The monitors' state after each step, and the steps that broke something: these lead to breaches."""
        before = self.layout.read(self._here, self.columns.memory).take(at)
        after = self._memories.after(before, self._leaves.events.take(leaves), leaves, self._leaves)
        self._room_for_values()
        wrong: Ints = (after == BREAKS) | self._leaves.broken.take(leaves)
        for index in np.flatnonzero(wrong):
            leaf = self._leaves.all[leaves[index]]
            what = leaf.broken or self.model.judge(int(before[index]), leaf)[1]
            targets[index] = self._break(int(states[at[index]]), int(who[index]), what[0])
        return after, wrong

    # -- ends -------------------------------------------------------------------------------------------------------

    def _look_for_ends(self, states: Ints, leaves: Ints, enabled: Ints) -> Ints:
        """Which states a run ends in: deadlocks become breaches, terminal states are noted."""
        waiting: Ints = self._leaves.waiting[leaves]
        able: Ints = np.any(enabled, axis=0)
        ended: Ints = np.zeros(len(able), bool)
        if self.model.setup_broke:
            ended |= states == 0
            for broken in self.model.setup_broke if ended.any() else ():
                self._end(0, broken)
        waits: Ints = np.any(waiting, axis=0)
        # While some actor can step, only actors that wait for named ones can be stuck.
        matter = np.where(able, self._leaves.linked[leaves], waiting)
        some = np.flatnonzero(np.any(matter, axis=0) & ~ended)
        if some.size:
            ends = self._ends.look(np.where(matter[:, some], leaves[:, some], -1), able[some])
            for at in np.flatnonzero(ends):
                ended[some[at]] = True
                self._end(int(states[some[at]]), self._ends.broken[ends[at] - 1])
        rest = states[~able & ~waits & ~ended]
        if rest.size:
            self._rest(rest, self.layout.read(self.visited.words.take(rest, axis=1), self.columns.memory))
        return ended


#: The monitors' state after a step that breaks one of them.
BREAKS = -2


class Memories:
    """The monitors' next state by their state and the events; :data:`BREAKS` where one breaks."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._pairs = Pairs()

    def after(self, before: Ints, events: Ints, leaves: Ints, known: Leaves) -> Ints:
        """The monitors' state after each step; ``leaves`` are the steps, ``events`` their events."""
        after = self._pairs.look(before, events)
        unknown = np.flatnonzero(after == UNKNOWN)
        if not unknown.size:
            return after
        new = unknown[first_of_each(before[unknown], events[unknown])]
        self._pairs.learn(before[new], events[new], self.judged(before[new], leaves[new], known))
        return self._pairs.look(before, events)

    def judged(self, before: Ints, leaves: Ints, known: Leaves) -> Ints:
        """The same, by asking the monitors."""
        after = []
        for memory, leaf in zip(before.tolist(), leaves.tolist(), strict=True):
            then, broken = self.model.judge(memory, known.all[leaf])
            after.append(BREAKS if broken else then)
        return np.array(after, np.int64)


class Ends:
    """Whether, and how, the story ends where these actors wait."""

    def __init__(self, model: Model, leaves: Leaves) -> None:
        self.model, self.leaves = model, leaves
        self.broken: list[Broken] = []
        self._codes = Combinations()

    def look(self, kinds: Ints, able: Ints) -> Ints:
        """For each state 0 if the story goes on, else 1 + a number in ``broken``.

        ``kinds``: a row per actor: where it waits, -1 if it does not. ``able``: whether some actor can step.
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
            (name, self.leaves.all[leaf]) for name, leaf in zip(self.model.actors, kinds, strict=True) if leaf >= 0
        ]
        broken = self.model.deadlock(waiting, able)
        if broken is None:
            return 0
        self.broken.append(broken)
        return len(self.broken)


def _keep_memory() -> None:
    """Make the C library keep memory that arrays free: each chunk takes it again, and new memory is slow.

    Glibc returns large blocks to the system at once, and adapts to the largest block freed so far.
    """
    large = np.empty(8 << 20, np.uint8)
    del large
