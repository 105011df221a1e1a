"""One worker's part of a search: the states that it owns, their expansion, and states from other parts.

All of it is integer work. A part asks for what it does not know (a step not taken yet, the monitors' reaction to an
event, whether waiting actors are in a deadlock), and changes nothing before it has the answer.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.search.arrays.graph import BREAKS
from p2plab.search.arrays.states import Collision, Layout, Visited, widened
from p2plab.search.arrays.steps import UNKNOWN, Combinations, Effects, FlatTree, Leaves, Pairs, first_of_each
from p2plab.search.parallel.team import Message
from p2plab.search.steps import StepTable

Ints = npt.NDArray[Any]

_OWNER = np.uint64(0xD6E8FEB86659FD93)
_BLOCK = 1 << 15


def owner_of(hashes: Ints, parts: int) -> Ints:
    """The part that owns states with these hashes: by other bits than those that choose a slot."""
    spread: Ints = ((hashes * _OWNER) >> np.uint64(40)).astype(np.int64)
    return (spread * parts) >> 24


class Part:
    """Answers messages, one at a time: ``begin``, ``load``, ``expand`` (while it has questions), ``insert``, ``words``."""

    def __init__(self) -> None:
        self.number, self.parts = 0, 1
        self.outbox: list[Ints] = []  #: for each part: the states for it, as words
        self._round = -1
        self._lock = threading.Lock()

    def answer(self, kind: str, message: Message) -> Message:
        """The answer to a message of that kind; ``gone`` for a late one of an earlier round."""
        with self._lock:
            if "round" in message and (
                message["round"] != self._round if kind == "insert" else message["round"] < self._round
            ):
                return {"gone": 1}
            return self._answer(kind, message)

    def letter(self, to: int, turn: int) -> Ints | None:
        """The states for another part in that round."""
        with self._lock:
            return self.outbox[to] if turn == self._round and self.outbox else None

    def _answer(self, kind: str, message: Message) -> Message:
        try:
            handler = {
                "begin": self._begin,
                "load": self._load,
                "expand": self._expand,
                "insert": self._insert,
                "words": self._words,
            }[kind]
            return handler(message)
        except Collision:
            return {"collision": 1}

    def _begin(self, message: Message) -> Message:
        self.number, self.parts = int(message["number"]), int(message["parts"])
        self.visited = Visited(1, int(message["seed"]))
        self._judged, self._ends = Pairs(), Combinations()
        self._round, self.outbox = -1, []  # another search may begin with the same workers, and count its rounds from 0
        return {}

    def _load(self, message: Message) -> Message:
        words = message["words"]
        for first in range(0, words.shape[1], _BLOCK):
            self._add(words[:, first : first + _BLOCK])
        return {"count": self.visited.count}

    def _add(self, words: Ints) -> tuple[Ints, Ints]:
        self.visited.widen(len(words))
        return self.visited.add(widened(words, len(self.visited.words)))

    def _words(self, message: Message) -> Message:
        return {"words": self.visited.words.take(message["states"], axis=1)}

    # -- expanding --------------------------------------------------------------------------------------------------

    def _expand(self, message: Message) -> Message:
        if "actors" in message:
            self.tables = Tables(message)
            self.visited.widen(self.tables.layout.words)
        if "states" in message:
            self._round, self.outbox = int(message["round"]), []
            self._states: Ints = message["states"]
            self._leaves: Ints = np.full((self.tables.actors, len(self._states)), -1, np.int64)
        if "ends" in message:
            self._ends.learn(self._asked_keys, message["ends"])
        if "after" in message:
            before, events = self._asked_pairs
            self._judged.learn(before, events, message["after"])
        self._here: Ints = self.visited.words.take(self._states, axis=1)
        return self._ask_steps() or self._ask_ends() or self._ask_rules() or self._step()

    def _ask_steps(self) -> Message:
        """Unknown steps: one state for each that the tables distinguish."""
        states: list[Ints] = []
        actors: list[int] = []
        for actor, tree in enumerate(self.tables.trees):
            todo = np.flatnonzero(self._leaves[actor] < 0)
            if todo.size:
                leaves, misses = tree.walk(self._here.take(todo, axis=1), actor, self.tables.layout)
                self._leaves[actor, todo] = leaves
                missing = np.flatnonzero(leaves < 0)
                if missing.size:
                    chosen = todo[missing[np.unique(misses[missing], return_index=True)[1]]]
                    states.append(chosen)
                    actors += [actor] * len(chosen)
        if not states:
            return {}
        at = np.concatenate(states)
        rows = self.tables.layout.unpack(self._here.take(at, axis=1))
        return {"ask": "steps", "states": self._states[at], "actors": np.array(actors, np.int64), "rows": rows}

    def _ask_ends(self) -> Message:
        """The states in which the story ends: whether waiting actors are in a deadlock depends on all their positions."""
        tables, leaves = self.tables, self._leaves
        self._enabled: Ints = tables.enabled[leaves]
        waiting: Ints = tables.waiting[leaves]
        able: Ints = np.any(self._enabled, axis=0)
        self._end: Ints = np.zeros(len(able), np.int64)  # 0: goes on, or 1 + the number of a deadlock
        self._resting: Ints = np.flatnonzero(~able & ~np.any(waiting, axis=0))
        # While some actor can step, only actors that wait for named ones can be stuck.
        matter = np.where(able, tables.linked[leaves], waiting)
        some = np.flatnonzero(np.any(matter, axis=0))
        if not some.size:
            return {}
        kinds = np.where(matter[:, some], leaves[:, some], -1)
        keys = self._ends.keys(kinds, able[some], len(tables.enabled))
        codes = self._ends.look(keys)
        unknown = np.flatnonzero(codes == UNKNOWN)
        if unknown.size:
            self._asked_keys, first = np.unique(keys[unknown], return_index=True)
            return {"ask": "ends", "kinds": kinds[:, unknown[first]], "able": able[some][unknown[first]]}
        self._end[some] = codes
        return {}

    def _ask_rules(self) -> Message:
        """The rules' state after each step, given their state before."""
        self._who, self._at = np.nonzero(self._enabled & (self._end == 0))
        self._leaf: Ints = self._leaves[self._who, self._at]
        self._before: Ints = self.tables.layout.read(self._here, self.tables.rules)[self._at]
        events = self.tables.events[self._leaf]
        self._after: Ints = self._judged.look(self._before, events)
        unknown = np.flatnonzero(self._after == UNKNOWN)
        if not unknown.size:
            return {}
        new = unknown[first_of_each(self._before[unknown], events[unknown])]
        self._asked_pairs = self._before[new], events[new]
        return {"ask": "rules", "before": self._before[new], "leaves": self._leaf[new]}

    # -- stepping ---------------------------------------------------------------------------------------------------

    def _step(self) -> Message:
        """Every successor, in the outbox of its owner. The coordinator gets the origin of each, and what ended."""
        tables, who, at, leaf = self.tables, self._who, self._at, self._leaf
        wrong: Ints = (self._after == BREAKS) | tables.broken[leaf]
        broken = np.stack([at[wrong], who[wrong], self._before[wrong], leaf[wrong]], axis=1)
        good = ~wrong
        words = tables.effects.step(self._here.take(at[good], axis=1), leaf[good], self._after[good])
        ended = np.flatnonzero(self._end)
        reply: Message = {
            "transitions": len(at),
            "resting": self._resting,
            "resting_memory": tables.layout.read(self._here.take(self._resting, axis=1), tables.rules),
            "ended": np.stack([ended, self._end[ended] - 1], axis=1),
            "broken": broken,
        }
        self._hand_out(words, (at[good] * tables.actors + who[good]).astype(np.int32), reply)
        return reply

    def _hand_out(self, words: Ints, origins: Ints, reply: Message) -> None:
        owners = owner_of(self.visited.hash_of(words), self.parts)
        self.outbox = []
        for part in range(self.parts):
            its = np.flatnonzero(owners == part)
            self.outbox.append(words.take(its, axis=1))
            reply[f"origins{part}"] = origins[its]

    # -- states from other parts --------------------------------------------------------------------------------------

    def _insert(self, message: Message) -> Message:
        """Insert the states for this part, its own among them. Doing so twice does no harm.

        ``base``: the known number of states of this part. The answer: the number of each, and the places of the new ones.
        """
        base = int(message["base"])
        pieces = [self.outbox[part] if part == self.number else message[f"words{part}"] for part in range(self.parts)]
        most = max(map(len, pieces))  # others may have more words than the tables here
        before = self.visited.count
        numbers, new = self._add(np.concatenate([widened(piece, most) for piece in pieces], axis=1))
        if before != base:  # this was begun once already, and a worker died in the middle
            later = np.flatnonzero(numbers >= base)
            new = later[np.unique(numbers[later], return_index=True)[1]]
        words = self.visited.words[:, base : self.visited.count]
        return {"numbers": numbers.astype(np.int32), "new": new.astype(np.int32), "words": words}


# -- what a part must know of the steps so far: decision trees and leaves, as arrays -----------------------------------

_OF_A_TREE = ("roots", "columns", "offsets", "sizes", "children")


def packed(table: StepTable, leaves: Leaves, layout: Layout) -> Message:
    """All that a worker needs for its look-ups."""
    actors = len(table.columns.actors)
    trees = [FlatTree(table, actor, leaves) for actor in range(actors)]
    leaves.refresh(layout, table.columns.memory)
    assert leaves.effects is not None
    message: Message = {
        "actors": actors,
        "rules": table.columns.memory,
        "layout": layout.packed(),
        "enabled": leaves.enabled,
        "waiting": leaves.waiting,
        "linked": leaves.linked,
        "broken": leaves.broken,
        "events": leaves.events,
        "keep": leaves.effects.keep,
        "put": leaves.effects.put,
    }
    for actor, tree in enumerate(trees):
        message |= {f"{name}{actor}": getattr(tree, name) for name in _OF_A_TREE}
    return message


class _Tree(FlatTree):
    """A tree that was sent."""

    def __init__(self, message: Message, actor: int) -> None:
        self.roots, self.columns, self.offsets, self.sizes, self.children = (
            message[f"{name}{actor}"] for name in _OF_A_TREE
        )


class Tables:
    """The same on the worker's side."""

    def __init__(self, message: Message) -> None:
        self.actors, self.rules = int(message["actors"]), int(message["rules"])
        self.layout = Layout.of_fields(message["layout"])
        self.trees: list[FlatTree] = [_Tree(message, actor) for actor in range(self.actors)]
        self.enabled: Ints = message["enabled"]
        self.waiting: Ints = message["waiting"]
        self.linked: Ints = message["linked"]
        self.broken: Ints = message["broken"]
        self.events: Ints = message["events"]
        self.effects = Effects(message["keep"], message["put"], self.layout, self.rules)
