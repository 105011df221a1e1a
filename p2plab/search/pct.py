"""Random orders, for what is left of a budget: probabilistic concurrency testing (PCT).

Burckhardt, Kothari, Musuvathi and Nagarakatti, *A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs*
(ASPLOS 2010). Each actor gets a random priority; of those that can step, the one with the highest does. An order of depth *d*
has *d* - 1 random steps after which the actor gets the lowest priority. Of *n* actors and runs of *k* steps, one such order
finds a bug of depth *d* with a probability of at least 1 / (n k^(d-1)).

Steps that a search knows are looked up, so that an order takes a millisecond; for a driver whose state cannot be frozen
each order is run.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from p2plab.core.monitor import Monitor
from p2plab.search.graph import Story
from p2plab.search.model import Model
from p2plab.search.monitors import Broken
from p2plab.search.plain import deadlock, left_open, watch
from p2plab.search.steps import Leaf, Row, waits
from p2plab.search.verdict import RandomOrders, switches_of
from p2plab.search.watchdog import StepTooLong, Watchdog, where
from p2plab.search.world import SearchWorld

#: Maximum number of steps of a run.
LONGEST = 2_000
#: After this many steps in a row an actor gets the lowest priority: it may wait for another in a loop.
IN_A_ROW = 100
#: Orders of depth 2 up to this many more than the switches of the bound that is complete.
BEYOND = 3


class Runner(Protocol):
    """One run at a time, from the scene's start."""

    actors: tuple[str, ...]

    def begin(self) -> Broken | None:
        """Go back to the start; returns what set-up breaks."""

    def able(self, actor: int) -> bool:
        """Whether an actor could step."""

    def step(self, actor: int, path: Sequence[str]) -> Broken | None:
        """One step of an actor that can take it; returns what it breaks. ``path``: the choices before it."""

    def end(self) -> Broken | None:
        """What breaks because no actor can step."""


class Chance:
    """Random orders, a slice at a time, until one breaks something (``found``) or the time is up (``done``)."""

    def __init__(self, runner: Runner, switches: int, seconds: float, seed: int = 0) -> None:
        """``switches``: of the bound up to which all orders hold, -1 if there is none."""
        self.runner = runner
        self.switches = switches
        self.deepest = max(switches, 0) + BEYOND
        self.found: Story | None = None
        self.depth = 0  #: depth of the order that broke something
        self.done = False
        self.orders = 0
        self.seconds = seconds  #: that are left
        self._random = random.Random(seed)
        self._steps = 1  #: of the longest run so far
        self._path: list[str] = []

    @property
    def tried(self) -> RandomOrders:
        """The number of orders, and their depths."""
        deepest = min(self.deepest, self.orders + 1)
        return RandomOrders(
            self.orders, (2, deepest), self._steps, self.switches if self.switches >= 0 else None, self.depth
        )

    def advance(self, seconds: float) -> None:
        """Go on for about that long."""
        began = time.perf_counter()
        until = began + min(seconds, self.seconds)
        while not self.done and (time.perf_counter() < until or not self.orders):
            depth = 2 + self.orders % (self.deepest - 1)
            broken = self._order(depth)
            self.orders += 1
            if broken is not None:
                choices = tuple(self._path)
                self.found, self.depth, self.done = Story(switches_of(choices), broken, choices), depth, True
        self.seconds -= time.perf_counter() - began
        self.done |= self.seconds <= 0

    def _order(self, depth: int) -> Broken | None:
        """One run of that depth; what it breaks."""
        runner, pick = self.runner, self._random
        first_to_last = list(range(len(runner.actors)))
        pick.shuffle(first_to_last)
        changes = {int(pick.random() * self._steps) for _ in range(depth - 1)}
        path = self._path = []
        broken = runner.begin()
        last, in_a_row = -1, 0
        while broken is None and len(path) < LONGEST:
            actor = next((actor for actor in first_to_last if runner.able(actor)), None)
            if actor is None:
                self._steps = max(self._steps, len(path))
                return runner.end()
            in_a_row = in_a_row + 1 if actor == last else 1
            last = actor
            if len(path) in changes or in_a_row > IN_A_ROW:
                first_to_last.remove(actor)
                first_to_last.append(actor)
                in_a_row = 0
                actor = next(actor for actor in first_to_last if runner.able(actor))
            broken = runner.step(actor, path)
            path.append(runner.actors[actor])
        self._steps = max(self._steps, len(path))
        return broken


class LookedUp:
    """Runs in which steps are looked up, and run if not known yet."""

    def __init__(self, model: Model) -> None:
        self.model, self.actors = model, model.actors
        self._row: Row = ()
        self._path: Sequence[str] = ()

    def begin(self) -> Broken | None:
        self._row, self._path = self.model.initial, ()
        return next(iter(self.model.setup_broke), None)

    def able(self, actor: int) -> bool:
        return self._leaf(actor).enabled

    def step(self, actor: int, path: Sequence[str]) -> Broken | None:
        leaf = self._leaf(actor)
        self._path = (*path, self.actors[actor])
        if leaf.broken:
            return leaf.broken[0]
        memory, broken = self.model.judge(self._row[self.model.columns.memory], leaf)
        if broken:
            return broken[0]
        self._row = self.model.after(self._row, leaf, memory)
        return None

    def end(self) -> Broken | None:
        leaves = [(name, self._leaf(actor)) for actor, name in enumerate(self.actors)]
        waiting = [(name, leaf) for name, leaf in leaves if waits(leaf)]
        if waiting:
            return self.model.deadlock(waiting, able=False)
        return next(iter(self.model.left_open(self._row[self.model.columns.memory])), None)

    def _leaf(self, actor: int) -> Leaf:
        return self.model.leaf(self._row, actor, lambda: self._path)


class InWorlds:
    """Runs in which each step is taken in a world."""

    def __init__(self, make: Callable[[], SearchWorld], rules: Sequence[Callable[[], Monitor]], dog: Watchdog) -> None:
        self.make, self.rules, self.dog = make, rules, dog
        with dog.step():
            self.world = make()
        self.actors = tuple(self.world.actors)
        self._watchers: list[Monitor] = []

    def begin(self) -> Broken | None:
        with self.dog.step():
            self.world = self.make()
        self._watchers = [rule() for rule in self.rules]
        return watch(self.world, self._watchers)

    def able(self, actor: int) -> bool:
        with self.dog.step():
            return self.world.probe(self.actors[actor])[0]

    def step(self, actor: int, path: Sequence[str]) -> Broken | None:
        name = self.actors[actor]
        try:
            with self.dog.step():
                self.world.go(name)
        except StepTooLong as error:
            return Broken("endless-step", name, f"a step of {name} never comes to its next await: {where(error)}")
        return watch(self.world, self._watchers)

    def end(self) -> Broken | None:
        return deadlock(self.world) or left_open(self._watchers)
