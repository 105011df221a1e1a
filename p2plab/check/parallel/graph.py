"""A wide graph whose rows lie with workers: here are the numbers only, so that all that reads a graph reads this one too.

For each state: its successors, whence it came, and whose it is. That is some 40 bytes a state where a row with its hash and
its slot has 60 to 80.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.check.graph import Goal, goal_of
from p2plab.check.parallel.part import BREAKS, owner_of
from p2plab.check.parallel.spool import Spool
from p2plab.check.parallel.tables import packed
from p2plab.check.parallel.team import Lost, Message, NoWorkers, Team
from p2plab.check.steps import Row
from p2plab.check.visited import Collision
from p2plab.check.wide import CHUNK, WideGraph

Ints = npt.NDArray[Any]

#: So many losses of workers in one search are made good; after that something is wrong with where they work.
LOSSES = 5


class SharedGraph(WideGraph):
    """Goes on where ``wide`` is; ``wide`` must not be used any more."""

    def __init__(self, wide: WideGraph, team: Team) -> None:
        wide.expand(np.zeros(1, np.int64))  # what set-up broke is looked at there
        vars(self).update(vars(wide))
        self.team, self.parts = team, team.parts
        self.losses = self._round = 0
        self._sent = -1  #: the version of the tables that all parts have
        self._packed: tuple[int, Message] = (-1, {})
        self._weights = wide.visited.weights
        self._broken_ends: list[Goal] = []
        self._end_numbers: dict[tuple[int, ...], int] = {}
        count = wide.visited.count
        self._count = count
        owners = owner_of(wide.visited.hashes[:count], team.parts)
        self._owner: Ints = np.zeros(len(self.came_from), np.int16)
        self._owner[:count] = owners
        self._local: Ints = np.zeros(len(self.came_from), np.int32)
        self._global: list[Ints] = []
        self._counts: list[int] = []
        self._spool = Spool(team.parts)
        for part in range(team.parts):
            its = np.flatnonzero(owners == part)
            self._local[its] = np.arange(len(its))
            self._global.append(its.astype(np.int32))
            self._counts.append(len(its))
            self._spool.add(part, wide.visited.rows[its, : len(self.columns)])
        del self.visited
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
        """Give the room on disk back; the team is its owner's to close."""
        self._spool.close()

    # -- a round ----------------------------------------------------------------------------------------------------

    def expand(self, states: Ints) -> None:
        """Work out the successors of some states, those among them that are not expanded yet."""
        states = states[~self.expanded[states]]
        if len(states) > 1 and not (np.diff(states) > 0).all():  # in order, and each once
            states = np.unique(states)
        many = CHUNK * self.team.parts
        for first in range(0, len(states), many):
            self._expand(states[first : first + many])

    def _expand(self, states: Ints) -> None:
        owners = self._owner[states]
        by_part = [states[owners == part] for part in range(self.team.parts)]
        while True:
            try:
                self._round += 1
                expanded = self._until_all_is_known(by_part)
                inserted = self.team.exchange(
                    {part: {"round": self._round, "base": count} for part, count in enumerate(self._counts)}
                )
                break
            except Lost as lost:
                self._recover(lost.parts)
        if any("collision" in reply for reply in inserted.values()):
            raise Collision
        self.expanded[states] = True
        for part, reply in expanded.items():
            self._note_ends(by_part[part], reply)
        self._number(by_part, expanded, inserted)

    def _until_all_is_known(self, by_part: Sequence[Ints]) -> dict[int, Message]:
        """Have all parts expand, and answer what they ask, until none asks any more."""
        version, tables = self._tables()
        todo: dict[int, Message] = {
            part: {"round": self._round, "states": self._local[its]} for part, its in enumerate(by_part)
        }
        if version != self._sent:
            todo = {part: message | tables | {"largest": self._largest()} for part, message in todo.items()}
        done: dict[int, Message] = {}
        while todo:
            replies = self.team.ask("expand", todo)
            self._sent = version
            asking = {part: reply for part, reply in replies.items() if "ask" in reply}
            done |= {part: reply for part, reply in replies.items() if part not in asking}
            todo = {
                part: self._answer(reply, self._global[part]) | {"round": self._round} for part, reply in asking.items()
            }
            for part, reply in asking.items():
                if reply["ask"] == "steps":  # others get the new tables with their next states
                    todo[part] |= self._tables()[1]
        return done

    def _tables(self) -> tuple[int, Message]:
        if self._packed[0] != self.table.version:
            self._packed = self.table.version, packed(self.table, self._leaves)
        return self._packed

    # -- what parts ask ---------------------------------------------------------------------------------------------

    def _answer(self, question: Message, numbers: Ints) -> Message:
        if question["ask"] == "steps":
            for local, actor, row in zip(question["states"], question["actors"], question["rows"], strict=True):
                self._record_step(tuple(row.tolist()), int(actor), int(numbers[local]))
            return {"largest": self._largest()}
        if question["ask"] == "ends":
            codes = [
                self._end_of(kind, able)
                for kind, able in zip(question["kinds"].tolist(), question["able"].tolist(), strict=True)
            ]
            return {"ends": np.array(codes, np.int64)}
        after = []
        for before, number in zip(question["before"].tolist(), question["leaves"].tolist(), strict=True):
            memory, broken = self.small.judge(before, self._leaves.all[number])
            after.append(BREAKS if broken else memory)
        return {"after": np.array(after, np.int64), "largest": self._largest()}

    def _largest(self) -> int:
        """No number in a row is larger."""
        return max(len(self.small.folds), *map(len, self.columns.values))

    def _record_step(self, row: Row, actor: int, state: int) -> None:
        row = (*row, *(0,) * (len(self.columns) - len(row)))
        if self.table.look_up(row, actor) is None:
            self.recorder.record(row, actor, lambda: self.path(state))

    def _end_of(self, kind: Sequence[int], able: bool) -> int:
        """0 if a story goes on where these actors wait, else 1 + the number of its end."""
        key = (*kind, able)
        if key not in self._end_numbers:
            waiting = [
                (name, self._leaves.all[leaf]) for name, leaf in zip(self.actors, kind, strict=True) if leaf >= 0
            ]
            broken = self.small.deadlock(waiting, able)
            if broken is not None:
                self._broken_ends.append(Goal(0, None, broken))
            self._end_numbers[key] = len(self._broken_ends) if broken is not None else 0
        return self._end_numbers[key]

    # -- the numbers ------------------------------------------------------------------------------------------------

    def _note_ends(self, states: Ints, reply: Message) -> None:
        self.transitions += int(reply["transitions"])
        for at, kind in reply["ended"].tolist():
            state = int(states[at])
            self._end(state, Goal(state, None, self._broken_ends[kind].broken))
        if len(reply["resting"]):
            resting, memories = states[reply["resting"]], reply["resting_memory"]
            self.at_rest.append(resting)
            for memory in np.unique(memories).tolist():
                for broken in self.small.left_open(memory):
                    for state in resting[memories == memory].tolist():
                        self._end(state, Goal(state, None, broken))
        for at, actor, memory, number in reply["broken"].tolist():
            leaf = self._leaves.all[number]
            what = leaf.broken or self.small.judge(memory, leaf)[1]
            self.goals.append(Goal(int(states[at]), actor, what[0]))
            self.successors[states[at], actor] = goal_of(len(self.goals) - 1)

    def _number(self, by_part: Sequence[Ints], expanded: dict[int, Message], inserted: dict[int, Message]) -> None:
        """New states get the next numbers; every step gets the number of the state that it leads to."""
        actors = len(self.actors)
        self._grow_to(self._count + sum(len(reply["new"]) for reply in inserted.values()))
        for part in range(self.team.parts):
            reply = inserted[part]
            pieces = [(by_part[source], expanded[source][f"origins{part}"]) for source in sorted(expanded)]
            came_from = np.concatenate([states[origins // actors] for states, origins in pieces])
            came_by = np.concatenate([origins % actors for _, origins in pieces])
            new = reply["new"]
            fresh = np.arange(self._count, self._count + len(new), dtype=np.int32)
            self._owner[fresh], self._local[fresh] = part, np.arange(self._counts[part], self._counts[part] + len(new))
            self.came_from[fresh], self.came_by[fresh] = came_from[new], came_by[new]
            self._append(part, fresh)
            self.successors[came_from, came_by] = self._global[part][reply["numbers"]]
            self._spool.add(part, reply["rows"])

    def _append(self, part: int, fresh: Ints) -> None:
        count = self._counts[part]
        if count + len(fresh) > len(self._global[part]):
            room = np.zeros(len(fresh) + count // 2, np.int32)
            self._global[part] = np.concatenate([self._global[part], room])
        self._global[part][count : count + len(fresh)] = fresh
        self._counts[part] += len(fresh)
        self._count += len(fresh)

    def _grow_to(self, wanted: int) -> None:
        have = len(self._owner)
        if wanted > have:
            more = max(wanted, have + have // 2) - have
            self.successors = np.concatenate([self.successors, np.full((more, len(self.actors)), -1, np.int32)])
            self.expanded = np.concatenate([self.expanded, np.zeros(more, bool)])
            self.came_from = np.concatenate([self.came_from, np.full(more, -1, np.int32)])
            self.came_by = np.concatenate([self.came_by, np.zeros(more, np.int8)])
            self._owner = np.concatenate([self._owner, np.zeros(more, np.int16)])
            self._local = np.concatenate([self._local, np.zeros(more, np.int32)])

    # -- rows, and workers that die ---------------------------------------------------------------------------------

    def _rows(self, states: Sequence[int]) -> list[Row]:
        numbers = np.array(states, np.int64)
        owners = self._owner[numbers]
        asks = {int(part): {"states": self._local[numbers[owners == part]]} for part in np.unique(owners)}
        while True:
            try:
                replies = self.team.ask("rows", asks)
                break
            except Lost as lost:
                self._recover(lost.parts)
        width = len(self.columns)
        found: list[Row] = [()] * len(numbers)
        for part, reply in replies.items():
            for place, row in zip(np.flatnonzero(owners == part), reply["rows"].tolist(), strict=True):
                found[place] = (*row[:width], *(0,) * (width - len(row)))
        return found

    def _begin(self, parts: list[int]) -> None:
        """Give parts that have nothing the states that are theirs."""
        while parts:
            try:
                common = {"parts": self.team.parts, "width": len(self.columns) + 8, "weights": self._weights}
                self.team.ask("begin", {part: common | {"number": part} for part in parts})
                for part in parts:
                    for rows in self._spool.read(part):
                        for first in range(0, len(rows), CHUNK):
                            piece = {"rows": rows[first : first + CHUNK]}
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
        self._sent = -1
        self.team.replace(parts)
