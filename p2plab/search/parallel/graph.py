"""A graph whose states are with workers: it has their numbers only, so that all readers of a graph can read it.

For each state: its successors, its parent, and the worker that owns it. That is some 20 bytes a state and 4 for each step; the
states' words and their table, 15 to 30 bytes each, are with the workers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from p2plab.search.arrays.graph import CHUNK, ArrayGraph, NumberedGraph
from p2plab.search.arrays.states import GROWTH, Collision, longer, widened
from p2plab.search.parallel.part import owner_of, packed
from p2plab.search.parallel.team import Lost, Message, NoWorkers, Team
from p2plab.search.steps import NOWHERE, Row

Ints = npt.NDArray[Any]

#: Versions of the step table and of the layout.
Version = tuple[int, int]

#: Maximum number of lost workers in one search that are replaced; after that something is wrong with their machine.
LOSSES = 5


class SharedGraph(NumberedGraph):
    """Continues ``begun``, which must not be used any more."""

    def __init__(self, begun: ArrayGraph, team: Team) -> None:
        begun.expand(np.zeros(1, np.int64))  # what set-up broke is judged there
        super().__init__(begun.model, begun)
        self.team, self.parts = team, team.parts
        self.losses = self._round = 0
        self._sent: dict[int, Version] = {}  #: by part, the versions of its tables
        self._packed: tuple[Version, Message] = ((-1, -1), {})
        self._seed = begun.visited.seed
        self._count = count = begun.visited.count
        words = begun.visited.words[:, :count]
        owners = owner_of(begun.visited.hash_of(words), team.parts)
        self._owner: Ints = np.zeros(len(self.came_from), np.int16)
        self._owner[:count] = owners
        self._local: Ints = np.zeros(len(self.came_from), np.int32)
        self._global: list[Ints] = []
        self._many: list[int] = []
        self._spool = Spool(team.parts)
        for part in range(team.parts):
            its = np.flatnonzero(owners == part)
            self._local[its] = np.arange(len(its))
            self._global.append(its.astype(np.int32))
            self._many.append(len(its))
            self._spool.add(part, words.take(its, axis=1))
        self._begin(list(range(team.parts)))

    def __len__(self) -> int:
        return self._count

    def row(self, state: int) -> Row:
        """A state as the table knows it."""
        return self._rows([state])[0]

    def rows_of_path(self, state: int) -> list[Row]:
        """The states that :meth:`path` passes, the first and the last included."""
        states = [state]
        while state:
            state = int(self.came_from[state])
            states.append(state)
        return self._rows(states[::-1])

    def close(self) -> None:
        """Free the disk space; the team is closed by its owner."""
        self._spool.close()

    # -- a round ----------------------------------------------------------------------------------------------------

    def _expand(self, states: Ints) -> None:
        owners = self._owner[states]
        by_part = [states[owners == part] for part in range(self.team.parts)]
        while True:
            try:
                self._round += 1
                expanded = self._until_all_is_known(by_part)
                inserted = self.team.exchange(
                    {part: {"round": self._round, "base": count} for part, count in enumerate(self._many)}
                )
                break
            except Lost as lost:
                self._recover(lost.parts)
        if any("collision" in reply for reply in inserted.values()):
            raise Collision
        successors = np.full((len(states), len(self.actors)), NOWHERE, np.int32)
        for part, reply in expanded.items():
            its = np.searchsorted(states, by_part[part])
            self._note_ends(by_part[part], reply)
            for at, actor, breach in self._broken(by_part[part], reply):
                successors[its[at], actor] = breach
        self._number(states, successors, by_part, expanded, inserted)
        able = successors != NOWHERE
        self.edges.add(states, np.ascontiguousarray(able.T), successors[able])

    def _until_all_is_known(self, by_part: Sequence[Ints]) -> dict[int, Message]:
        """Make all parts expand, and answer their questions until there are none."""
        todo: dict[int, Message] = {
            part: self._with_tables(part, {"round": self._round, "states": self._local[its]})
            for part, its in enumerate(by_part)
        }
        done: dict[int, Message] = {}
        while todo:
            replies = self.team.ask("expand", todo)
            asking = {part: reply for part, reply in replies.items() if "ask" in reply}
            done |= {part: reply for part, reply in replies.items() if part not in asking}
            answers = {part: self._answer(reply, self._global[part]) for part, reply in asking.items()}
            todo = {part: self._with_tables(part, answer | {"round": self._round}) for part, answer in answers.items()}
        return done

    def _with_tables(self, part: int, message: Message) -> Message:
        """A message, with the tables if that part has older ones."""
        version = self.table.version, self.layout.version
        if self._packed[0] != version:
            self._packed = version, packed(self.table, self._leaves, self.layout)
        if self._sent.get(part) == version:
            return message
        self._sent[part] = version
        return message | self._packed[1]

    # -- questions of the parts ---------------------------------------------------------------------------------------------

    def _answer(self, question: Message, numbers: Ints) -> Message:
        if question["ask"] == "steps":
            for local, actor, row in zip(question["states"], question["actors"], question["rows"], strict=True):
                self._record_step(tuple(row.tolist()), int(actor), int(numbers[local]))
            return {}
        if question["ask"] == "ends":
            return {"ends": self._ends.judged(question["kinds"], question["able"])}
        after = self._memories.judged(question["before"], question["leaves"], self._leaves)
        self._room_for_values()
        return {"after": after}

    def _record_step(self, row: Row, actor: int, state: int) -> None:
        row = self.model.whole(row)
        if self.table.look_up(row, actor) is None:
            self.recorder.record(row, actor, lambda: self.path(state))
            self._room_for_values()

    def _room_for_values(self) -> None:
        self.layout.room_for(self._counts())

    # -- the numbers ------------------------------------------------------------------------------------------------

    def _note_ends(self, states: Ints, reply: Message) -> None:
        self.transitions += int(reply["transitions"])
        for at, kind in reply["ended"].tolist():
            self._end(int(states[at]), self._ends.broken[kind])
        if len(reply["resting"]):
            self._rest(states[reply["resting"]], reply["resting_memory"])

    def _broken(self, states: Ints, reply: Message) -> Iterator[tuple[int, int, int]]:
        """The steps that broke something: their states, actors, and codes of breaches."""
        for at, actor, memory, number in reply["broken"].tolist():
            leaf = self._leaves.all[number]
            what = leaf.broken or self.model.judge(memory, leaf)[1]
            yield at, actor, self._break(int(states[at]), actor, what[0])

    def _number(
        self,
        states: Ints,
        successors: Ints,
        by_part: Sequence[Ints],
        expanded: dict[int, Message],
        inserted: dict[int, Message],
    ) -> None:
        """New states get the next numbers; every step gets the number of its successor."""
        actors = len(self.actors)
        self._grow_to(self._count + sum(len(reply["new"]) for reply in inserted.values()))
        for part in range(self.team.parts):
            reply = inserted[part]
            pieces = [(by_part[source], expanded[source][f"origins{part}"]) for source in sorted(expanded)]
            came_from = np.concatenate([its[origins // actors] for its, origins in pieces])
            came_by = np.concatenate([origins % actors for _, origins in pieces])
            new = reply["new"]
            fresh = np.arange(self._count, self._count + len(new), dtype=np.int32)
            self._owner[fresh], self._local[fresh] = part, np.arange(self._many[part], self._many[part] + len(new))
            self.came_from[fresh], self.came_by[fresh] = came_from[new], came_by[new]
            self._append(part, fresh)
            successors[np.searchsorted(states, came_from), came_by] = self._global[part][reply["numbers"]]
            self._spool.add(part, reply["words"])

    def _append(self, part: int, fresh: Ints) -> None:
        count = self._many[part]
        if count + len(fresh) > len(self._global[part]):
            room = np.zeros(len(fresh) + count // 2, np.int32)
            self._global[part] = np.concatenate([self._global[part], room])
        self._global[part][count : count + len(fresh)] = fresh
        self._many[part] += len(fresh)
        self._count += len(fresh)

    def _grow_to(self, wanted: int) -> None:
        have = len(self._owner)
        if wanted > have:
            for name in ("came_from", "came_by", "_owner", "_local"):
                setattr(self, name, longer(getattr(self, name), have, GROWTH * wanted))

    # -- rows, and workers that die ---------------------------------------------------------------------------------

    def _rows(self, states: Sequence[int]) -> list[Row]:
        numbers = np.array(states, np.int64)
        owners = self._owner[numbers]
        asks = {int(part): {"states": self._local[numbers[owners == part]]} for part in np.unique(owners)}
        while True:
            try:
                replies = self.team.ask("words", asks)
                break
            except Lost as lost:
                self._recover(lost.parts)
        found: list[Row] = [()] * len(numbers)
        for part, reply in replies.items():
            rows = self.layout.unpack(widened(reply["words"], self.layout.words))
            for place, row in zip(np.flatnonzero(owners == part), rows.tolist(), strict=True):
                found[place] = tuple(row)
        return found

    def _begin(self, parts: list[int]) -> None:
        """Give empty parts their states."""
        while parts:
            try:
                common = {"parts": self.team.parts, "seed": self._seed}
                self.team.ask("begin", {part: common | {"number": part} for part in parts})
                for part in parts:
                    for words in self._spool.read(part):
                        for first in range(0, words.shape[1], CHUNK):
                            piece = {"words": words[:, first : first + CHUNK]}
                            if "collision" in self.team.ask("load", {part: piece})[part]:
                                raise Collision
                return
            except Lost as lost:
                parts = sorted({*parts, *lost.parts})
                self._count_losses(lost.parts)

    def _recover(self, parts: list[int]) -> None:
        self._count_losses(parts)
        self._begin(parts)

    def _count_losses(self, parts: list[int]) -> None:
        self.losses += len(parts)
        if self.losses > LOSSES:
            raise NoWorkers(f"workers died {self.losses} times (out of memory?): the search is given up")
        self._sent.clear()  # another part, asked at the same time, may not have it
        self.team.replace(parts)


class Spool:
    """A copy of each part's states on disk: those of a dead worker are given to its replacement.

    States are words, in the order in which they were added. Files have no name: they disappear with this process.
    """

    def __init__(self, parts: int) -> None:
        self._files: list[BinaryIO] = [tempfile.TemporaryFile() for _ in range(parts)]  # noqa: SIM115
        self._shapes: list[list[tuple[int, int]]] = [[] for _ in range(parts)]

    def add(self, part: int, words: Ints) -> None:
        """Append states of a part, each a column."""
        if words.shape[1]:
            self._shapes[part].append((words.shape[0], words.shape[1]))
            self._files[part].write(np.ascontiguousarray(words).data)

    def read(self, part: int) -> Iterator[Ints]:
        """All states of a part, in pieces."""
        file = self._files[part]
        file.flush()
        file.seek(0)
        for rows, columns in self._shapes[part]:
            yield np.frombuffer(file.read(rows * columns * 8), np.uint64).reshape(rows, columns)
        file.seek(0, 2)

    def close(self) -> None:
        """Free the disk space."""
        for file in self._files:
            file.close()
