"""Running what was looked up: some whole paths (the audit), and steps along other paths (the second net).

A search assumes that a step depends on the state alone. If it depends on anything else, two paths to one state may
differ, and a step run at the end of one and looked up at the end of the other comes out differently. So steps are run
again, from the scene's start, along paths that the search has not run, and each is compared: its events, its writes, and
its actor's position afterwards.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from p2plab.core.schedule import schedule_text
from p2plab.core.tracked import cells_of, name_of
from p2plab.search.closed import Refused
from p2plab.search.frames import line_of
from p2plab.search.graph import Graph, StateGraph
from p2plab.search.objects import CellName
from p2plab.search.steps import ABSENT, Leaf, NotDeterministic, Row
from p2plab.search.verdict import Net
from p2plab.search.world import SearchWorld

#: The net takes less than a quarter of the search's time, but at least this (seconds).
SHARE, LEAST = 0.22, 0.05
#: On a busy machine it may take this many times as long in wall-clock time.
_WAITS = 2
#: A walk in circles is ended after this many steps.
LONGEST = 1_000


#: Paths replayed from scratch at the end of a search; fewer where the second net runs steps again along others.
AUDITS, BESIDE_THE_NET = 12, 4


def audit(graph: Graph, paths: int = AUDITS) -> None:
    """Replay some paths from scratch, half of them to their end. :exc:`NotDeterministic` if one comes out differently."""
    resting = [int(state) for state in graph.terminal()]
    pick = random.Random(len(graph))
    for number in range(paths):
        among: Sequence[int] = resting if number % 2 and resting else range(len(graph))
        state = among[int(pick.random() * len(among))]
        graph.model.recorder.audit(graph.rows_of_path(state), graph.path(state))


def named(error: NotDeterministic) -> str:
    """The sentence for a driver whose hidden state was found."""
    return f"not deterministic: {error}. Time, chance, globals and leftovers must not decide what a driver does"


class SecondNet:
    """Runs steps again until all were run, or until its time is up; ``result`` counts them."""

    def __init__(self, graph: Graph, seconds: float) -> None:
        self.graph = graph
        #: A graph whose states can be found by value; in a large search a walk takes steps that were not run again yet.
        self.by_row = graph if isinstance(graph, StateGraph) else None
        self.model = graph.model
        self.table, self.columns, self.recorder = graph.model.table, graph.model.columns, graph.model.recorder
        self.seconds = max(LEAST, SHARE * seconds)
        self.spent = self.waited = 0.0  #: in processor time, and in wall-clock time
        self.done = False
        self._again: set[tuple[Row, int]] = set()
        self._reached_once: dict[int, bool] = {0: True}  #: small searches: whether only one path leads to a state
        self._random = random.Random(len(graph))
        self._todo = self._targets()
        self._fruitless = 0

    @property
    def result(self) -> Net:
        """The number of different steps that were run again, their total, and the seconds."""
        return Net(len(self._again), self.graph.transitions, self.spent)

    def advance(self, seconds: float) -> bool:
        """Go on for about that long; whether it is done. :exc:`Refused` if a step came out differently."""
        began, until = time.process_time(), time.perf_counter() + min(seconds, _WAITS * self.seconds)
        while not self.done:
            known = len(self._again)
            self._walk(next(self._todo, ()))
            self._fruitless = 0 if len(self._again) > known else self._fruitless + 1
            self.done = len(self._again) >= self.graph.transitions or self._fruitless > 50
            spent = self.spent + time.process_time() - began
            if spent >= self.seconds or time.perf_counter() >= until:
                break
        self.spent += time.process_time() - began
        self.waited += time.perf_counter() - until + min(seconds, _WAITS * self.seconds)
        self.done |= self.spent >= self.seconds or self.waited >= _WAITS * self.seconds
        return self.done

    # -- where to go ------------------------------------------------------------------------------------------------

    def _targets(self) -> Iterator[Sequence[int]]:
        """Orders of actors to step first, so as to reach states along other paths than the search did."""
        graph = self.by_row
        if graph is None:
            return
        before: list[list[tuple[int, int]]] = [[] for _ in range(len(graph))]
        for state, successors in enumerate(graph.successors):
            for actor, successor in enumerate(successors or ()):
                if successor >= 0:
                    before[successor].append((state, actor))
        for state in range(1, len(graph)):
            parents = before[state]
            self._reached_once[state] = len(parents) == 1 and self._reached_once.get(parents[0][0], False)
        states = list(range(len(graph)))
        self._random.shuffle(states)
        for state in states:
            row, steps = graph.rows[state], graph.successors[state] or ()
            if any((row, actor) not in self._again for actor, to in enumerate(steps) if to >= 0):
                yield self._another_path(graph, state, before)

    def _another_path(self, graph: StateGraph, state: int, before: list[list[tuple[int, int]]]) -> Sequence[int]:
        actors: list[int] = []
        another = False
        while state:
            ways = [way for way in before[state] if way[0] < state]
            others = [way for way in ways if way != graph.came_from[state]]
            if others and not another:
                ways, another = others, True
            state, actor = self._random.choice(ways)
            actors.append(actor)
        return actors[::-1]

    def _walk(self, first: Sequence[int]) -> None:
        """From the start, along some steps and then along steps not run again yet, until no actor can step."""
        graph, row = self.by_row, self.model.initial
        state: int | None = 0
        another = graph is None  # in a large search a random path is never the first one
        with self.recorder.dog.step():
            world = self.recorder.make()
        trail: list[str] = []
        while len(trail) < LONGEST:
            able = self._able(row)
            if not able:
                break
            choice = first[len(trail)] if len(trail) < len(first) else -1
            if choice not in able:
                new = [actor for actor in able if (row, actor) not in self._again]
                choice = self._random.choice(new or list(able))
            trail.append(self.columns.actors[choice])
            after = self._step(world, row, choice, able[choice], trail)
            if after is None:
                return
            if another or state is None or self._reached_once[state]:
                self._again.add((row, choice))
            row = after
            if graph is not None:
                came, state = state, graph.number_of(row)
                another = another or state is None or graph.came_from[state] != (came, choice)
        self._compare_all(world, row, trail)

    def _able(self, row: Row) -> dict[int, Leaf]:
        """The actors that can step, as far as the search knows."""
        leaves = ((actor, self.table.look_up(row, actor)) for actor in range(len(self.columns.actors)))
        return {actor: leaf for actor, leaf in leaves if leaf is not None and leaf.enabled and not leaf.broken}

    # -- comparing --------------------------------------------------------------------------------------------------

    def _step(self, world: SearchWorld, row: Row, actor: int, leaf: Leaf, trail: list[str]) -> Row | None:
        """One step run and compared with what the search looked up; the state after it, None where a story ends."""
        name = self.columns.actors[actor]
        with self.recorder.dog.step():
            enabled = world.probe(name)[0]
        if not enabled:
            raise self._differs(row, trail[:-1], world, name, f"{name} cannot go on with {leaf.label!r}")
        with self.recorder.dog.step():
            looked = world.go(name)
        if tuple(world.events) != self.table.events[leaf.events]:
            raise self._differs(row, trail[:-1], world, name, f"{name} does something else in its step {leaf.label!r}")
        memory, broken = self.model.judge(row[self.columns.memory], leaf)
        if broken:
            return None
        after = self.model.after(row, leaf, memory)
        if self.columns.values[actor].get(world.frozen_actor(name).value) != after[actor]:
            what = f"{name} goes on otherwise after its step {leaf.label!r}, or has another local variable"
            raise self._differs(row, trail[:-1], world, name, what)
        if world.plain:
            self._compare_all(world, after, trail)
        for thing, attribute in looked.writes:
            cell = (name_of(thing), attribute)
            value = cells_of(thing).get(attribute, ABSENT)
            if not self._is(world, after, cell, value):
                raise self._differs(
                    row, trail[:-1], world, name, f"the step {leaf.label!r} of {name} leaves {'.'.join(cell)} otherwise"
                )
        return after

    def _is(self, world: SearchWorld, row: Row, cell: CellName, value: object) -> bool:
        frozen = ABSENT if value is ABSENT else world.frozen(cell, value)
        return self.columns.known(cell, frozen) == self.columns.of_row(row, cell)

    def _compare_all(self, world: SearchWorld, row: Row, trail: list[str]) -> None:
        for actor, name in enumerate(self.columns.actors):
            if self.columns.values[actor].get(world.frozen_actor(name).value) != row[actor]:
                raise self._differs(row, trail, world, name, f"{name} is elsewhere, or has another local variable")
        for cell, value in world.cells_as_they_are().items():
            if not self._is(world, row, cell, value):
                raise self._differs(row, trail, world, "", f"{'.'.join(cell)} differs")

    def _differs(self, row: Row, trail: Sequence[str], world: SearchWorld, name: str, what: str) -> Exception:
        at = line_of(world.actors[name].coroutine) if name else ""
        paths = f"after {_written(trail)}"
        first = self._first_path(row)
        if first is not None and list(first) != list(trail):
            paths = f"{paths} and after {_written(first)} the state is the same"
        said = f"{paths}, and yet {what}{f' ({at})' if at else ''}"
        if self.recorder.closed is None:
            return NotDeterministic(said)
        self.recorder.closed.look("some step", everywhere=True)  # which has the line, if it is something that changed
        return Refused(
            f"{said}: something decides that is neither an attribute of a driver nor a local variable. Keep what a driver "
            "remembers in an attribute (self.…)"
        )

    def _first_path(self, row: Row) -> Sequence[str] | None:
        """The path on which the search first reached a state, if known."""
        state = None if self.by_row is None else self.by_row.number_of(row)
        return None if state is None else self.graph.path(state)


def _written(path: Sequence[str]) -> str:
    return f"`{schedule_text(tuple(path))}`" if path else "set-up"
