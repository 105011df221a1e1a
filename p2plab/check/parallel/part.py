"""One worker's part of a search: the states that it owns, their expansion, and those that others hand to it.

All of it is integer work. What a part does not know (a step that nobody took yet, what the rules make of an event,
whether actors that wait are in a deadlock) it asks, and nothing is changed until it was told.
"""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.check.parallel.tables import Tables
from p2plab.check.parallel.team import Message
from p2plab.check.visited import Collision, Visited

Ints = npt.NDArray[Any]
Letter = tuple[Ints, Ints]

#: What the rules make of a step: not known yet; it breaks one of them.
UNKNOWN, BREAKS = -1, -2

_OWNER = np.uint64(0xD6E8FEB86659FD93)
_BLOCK = 1 << 15


def owner_of(hashes: Ints, parts: int) -> Ints:
    """Which part owns states of these hashes: other bits than those by which a part finds its slots."""
    spread: Ints = ((hashes * _OWNER) >> np.uint64(40)).astype(np.int64)
    return (spread * parts) >> 24


class Part:
    """Answers messages, one at a time: ``begin``, ``load``, ``expand`` (until it asks no more), ``insert``, ``rows``."""

    def __init__(self) -> None:
        self.number, self.parts = 0, 1
        self.outbox: list[Letter] = []  #: for each part: the rows and hashes that it gets
        self._round = -1
        self._lock = threading.Lock()

    def answer(self, kind: str, message: Message) -> Message:
        """The answer to a message of that kind; ``gone`` to one of a round that is over, which comes late."""
        with self._lock:
            if "round" in message and (
                message["round"] != self._round if kind == "insert" else message["round"] < self._round
            ):
                return {"gone": 1}
            return self._answer(kind, message)

    def letter(self, to: int, turn: int) -> Letter | None:
        """What goes to another part in that round."""
        with self._lock:
            return self.outbox[to] if turn == self._round and self.outbox else None

    def _answer(self, kind: str, message: Message) -> Message:
        try:
            handler = {
                "begin": self._begin,
                "load": self._load,
                "expand": self._expand,
                "insert": self._insert,
                "rows": self._rows,
            }[kind]
            return handler(message)
        except Collision:
            return {"collision": 1}

    def _begin(self, message: Message) -> Message:
        self.number, self.parts = int(message["number"]), int(message["parts"])
        self.visited = Visited(int(message["width"]), kind=np.uint8)
        self.visited.weights = message["weights"]
        self._judged: Ints = np.full((64, 64), UNKNOWN, np.int64)
        self._end_keys: Ints = np.zeros(0, np.int64)
        self._end_codes: Ints = np.zeros(0, np.int64)
        self._bits = 0
        self._kinds: dict[bytes, int] = {}
        return {}

    def _load(self, message: Message) -> Message:
        rows = message["rows"]
        for first in range(0, len(rows), _BLOCK):
            self._add(rows[first : first + _BLOCK])
        return {"count": self.visited.count}

    def _add(self, rows: Ints, hashes: Ints | None = None) -> tuple[Ints, Ints]:
        width = self.visited.rows.shape[1]
        self.visited.room_for(int(np.iinfo(rows.dtype).max))
        if rows.shape[1] > width:
            self.visited.widen(rows.shape[1])
            width = self.visited.rows.shape[1]
        if rows.shape[1] < width:
            rows = np.pad(rows, ((0, 0), (0, width - rows.shape[1])))
        rows = rows.astype(self.visited.rows.dtype, copy=False)
        return self.visited.add(rows, self.visited.hash_of(rows) if hashes is None else hashes)

    def _rows(self, message: Message) -> Message:
        return {"rows": self.visited.rows[message["states"]]}

    # -- expanding --------------------------------------------------------------------------------------------------

    def _expand(self, message: Message) -> Message:
        if "actors" in message:
            self.tables = Tables(message)
            self.visited.widen(self.tables.width)
        self.visited.room_for(int(message.get("largest", 0)))
        if "states" in message:
            self._round, self.outbox = int(message["round"]), []
            self._states: Ints = message["states"]
            self._leaves: Ints = np.full((len(self._states), self.tables.actors), -1, np.int64)
        if "ends" in message:
            self._learn_ends(message["ends"])
        if "after" in message:
            self._learn_rules(message["after"])
        self._here: Ints = self.visited.rows[self._states]
        return self._ask_steps() or self._ask_ends() or self._ask_rules() or self._step()

    def _ask_steps(self) -> Message:
        """Steps that nobody took yet: one state for each that is different as far as the tables know."""
        states: list[Ints] = []
        actors: list[int] = []
        for actor, tree in enumerate(self.tables.trees):
            todo = np.flatnonzero(self._leaves[:, actor] < 0)
            if todo.size:
                leaves, misses = tree.walk(self._here[todo], actor)
                self._leaves[todo, actor] = leaves
                missing = np.flatnonzero(leaves < 0)
                if missing.size:
                    chosen = todo[missing[np.unique(misses[missing], return_index=True)[1]]]
                    states.append(chosen)
                    actors += [actor] * len(chosen)
        if not states:
            return {}
        at = np.concatenate(states)
        rows = self._here[at, : self.tables.width]
        return {"ask": "steps", "states": self._states[at], "actors": np.array(actors, np.int64), "rows": rows}

    def _ask_ends(self) -> Message:
        """Which states the story ends in: whether those who wait are in a deadlock depends on where all of them are."""
        tables, leaves = self.tables, self._leaves
        self._enabled: Ints = tables.enabled[leaves]
        waiting: Ints = tables.waiting[leaves]
        able: Ints = np.any(self._enabled, axis=1)
        self._end: Ints = np.zeros(len(leaves), np.int64)  # 0: goes on, or 1 + the number of a deadlock
        waits: Ints = np.any(waiting, axis=1)
        self._resting: Ints = np.flatnonzero(~able & ~waits)
        # While somebody can step, only those who wait for each other by name can be stuck.
        matter = np.where(able[:, None], tables.linked[leaves], waiting)
        some = np.flatnonzero(np.any(matter, axis=1))
        if not some.size:
            return {}
        kinds = np.where(matter[some], leaves[some] + 1, 0)
        keys = self._keys(kinds, able[some])
        place = np.minimum(np.searchsorted(self._end_keys, keys), max(0, len(self._end_keys) - 1))
        known = self._end_keys[place] == keys if len(self._end_keys) else np.zeros(len(keys), bool)
        if not known.all():
            new = np.flatnonzero(~known)
            self._asked_keys, first = np.unique(keys[new], return_index=True)
            return {"ask": "ends", "kinds": kinds[new[first]] - 1, "able": able[some][new[first]]}
        self._end[some] = self._end_codes[place]
        return {}

    def _keys(self, kinds: Ints, able: Ints) -> Ints:
        """One exact number for each combination of leaves."""
        bits = int(len(self.tables.enabled) + 1).bit_length()
        if bits * kinds.shape[1] > 61:  # too many actors to be packed into one number
            both = np.concatenate([kinds, able[:, None]], axis=1)
            different, inverse = np.unique(both, axis=0, return_inverse=True)
            numbers = [self._kinds.setdefault(kind.tobytes(), -1 - len(self._kinds)) for kind in different]
            return np.array(numbers, np.int64)[np.ravel(inverse)]
        if bits != self._bits:  # numbers made with fewer bits mean something else
            self._bits, self._end_keys, self._end_codes = bits, self._end_keys[:0], self._end_codes[:0]
        keys = able.astype(np.int64)
        for actor in range(kinds.shape[1]):
            keys = (keys << bits) | kinds[:, actor]
        return keys

    def _learn_ends(self, codes: Ints) -> None:
        keys = np.concatenate([self._end_keys, self._asked_keys])
        order = np.argsort(keys)
        self._end_keys, self._end_codes = keys[order], np.concatenate([self._end_codes, codes])[order]

    def _ask_rules(self) -> Message:
        """What the rules remember after each step, given what they remembered before."""
        self._able: list[Ints] = []
        self._after: list[Ints] = []
        memories = self._here[:, self.tables.rules].astype(np.int64)
        unknown: list[Ints] = []
        for actor in range(self.tables.actors):
            able = np.flatnonzero(self._enabled[:, actor] & (self._end == 0))
            before, leaves = memories[able], self._leaves[able, actor]
            events = self.tables.events[leaves]
            self._room(before, events)
            after = self._judged[before, events]
            self._able.append(able)
            self._after.append(after)
            new = np.flatnonzero(after == UNKNOWN)
            if new.size:
                unknown.append(np.stack([before[new], events[new], leaves[new]], axis=1))
        if not unknown:
            return {}
        pairs = np.concatenate(unknown)
        first = np.unique((pairs[:, 0] << 32) | pairs[:, 1], return_index=True)[1]
        self._asked_pairs = pairs[first]
        return {"ask": "rules", "before": self._asked_pairs[:, 0], "leaves": self._asked_pairs[:, 2]}

    def _room(self, before: Ints, events: Ints) -> None:
        if not before.size:
            return
        rows, columns = self._judged.shape
        most_rows, most_columns = int(before.max()) + 1, int(events.max()) + 1
        if most_rows > rows or most_columns > columns:
            shape = 2 * most_rows if most_rows > rows else rows, 2 * most_columns if most_columns > columns else columns
            larger = np.full(shape, UNKNOWN, np.int64)
            larger[:rows, :columns] = self._judged
            self._judged = larger

    def _learn_rules(self, after: Ints) -> None:
        self._judged[self._asked_pairs[:, 0], self._asked_pairs[:, 1]] = after

    # -- stepping ---------------------------------------------------------------------------------------------------

    def _step(self) -> Message:
        """Every successor, in the outbox of its owner. To the one who asked: from where each came, and what ended."""
        out: list[tuple[Ints, Ints, Ints]] = []
        broken: list[Ints] = []
        actors = self.tables.actors
        transitions = 0
        hashes_here = self.visited.hashes[self._states]
        for actor, able, after in zip(range(actors), self._able, self._after, strict=True):
            leaves = self._leaves[able, actor]
            transitions += len(able)
            wrong = (after == BREAKS) | self.tables.broken[leaves]
            if wrong.any():
                at = able[wrong]
                memory = self._here[at, self.tables.rules].astype(np.int64)
                broken.append(np.stack([at, np.full(len(at), actor), memory, leaves[wrong]], axis=1))
                able, leaves, after = able[~wrong], leaves[~wrong], after[~wrong]
            if able.size:
                order = np.argsort(
                    leaves.astype(np.int16) if len(self.tables.enabled) < 1 << 15 else leaves, kind="stable"
                )
                able = able[order]
                rows, hashes = self._here[able], hashes_here[able]
                self._write_all(rows, hashes, leaves[order], after[order])
                out.append((rows, hashes, (able * actors + actor).astype(np.int32)))
        reply: Message = {"transitions": transitions, "resting": self._resting}
        reply["resting_memory"] = self._here[self._resting, self.tables.rules].astype(np.int64)
        ended = np.flatnonzero(self._end)
        reply["ended"] = np.stack([ended, self._end[ended] - 1], axis=1)
        reply["broken"] = np.concatenate(broken) if broken else np.zeros((0, 4), np.int64)
        self._hand_out(out, reply)
        return reply

    def _write_all(self, rows: Ints, hashes: Ints, leaves: Ints, memories: Ints) -> None:
        edges = [0, *(np.flatnonzero(np.diff(leaves)) + 1).tolist(), len(leaves)]
        for start, stop in itertools.pairwise(edges):
            for column, value in self.tables.writes(int(leaves[start])):
                self._write(rows[start:stop], hashes[start:stop], column, value)
        self._write(rows, hashes, self.tables.rules, memories)

    def _write(self, rows: Ints, hashes: Ints, column: int, value: Any) -> None:
        change = (value - rows[:, column].astype(np.int64)).astype(np.uint64)
        hashes += change * self.visited.weights[column]
        rows[:, column] = value

    def _hand_out(self, out: list[tuple[Ints, Ints, Ints]], reply: Message) -> None:
        if not out:
            self.outbox = [(np.zeros((0, 1), np.uint8), np.zeros(0, np.uint64))] * self.parts
            reply.update({f"origins{part}": np.zeros(0, np.int32) for part in range(self.parts)})
            return
        rows, hashes, origins = (np.concatenate(column) for column in zip(*out, strict=True))
        owners = owner_of(hashes, self.parts)
        self.outbox = []
        for part in range(self.parts):
            its = np.flatnonzero(owners == part)
            self.outbox.append((rows[its, : self.tables.width], hashes[its]))
            reply[f"origins{part}"] = origins[its]

    # -- what others hand over --------------------------------------------------------------------------------------

    def _insert(self, message: Message) -> Message:
        """Take the states handed to this part, its own among them. Doing so twice does no harm.

        ``base``: how many states this part is known to have. The answer: the number of each, and where the new ones are.
        """
        base = int(message["base"])
        pieces = [
            self.outbox[part] if part == self.number else (message[f"rows{part}"], message[f"hashes{part}"])
            for part in range(self.parts)
        ]
        wide = max(rows.shape[1] for rows, _ in pieces)
        rows = np.concatenate([np.pad(rows, ((0, 0), (0, wide - rows.shape[1]))) for rows, _ in pieces])
        hashes = np.concatenate([hashes for _, hashes in pieces])
        before = self.visited.count
        numbers, new = self._add(rows, hashes)
        if before != base:  # this was begun once already, and somebody died in the middle
            later = np.flatnonzero(numbers >= base)
            new = later[np.unique(numbers[later], return_index=True)[1]]
        return {
            "numbers": numbers.astype(np.int32),
            "new": new.astype(np.int32),
            "rows": self.visited.rows[
                base : self.visited.count, :wide
            ],  # others may know of more columns than the tables here
        }
