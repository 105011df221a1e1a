"""Plain replay, for drivers whose state cannot be frozen: every order with few switches is simply run.

Nothing is kept between runs, so nothing need be frozen; and nothing is merged, so only tiny scenes are exhausted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from p2plab.core.lockdep import any_waiting_cycle
from p2plab.core.monitor import Monitor
from p2plab.search.graph import Story
from p2plab.search.monitors import Broken, OpenCalls
from p2plab.search.watchdog import Watchdog
from p2plab.search.world import SearchWorld, entry

#: A longer run is assumed never to end, and not followed.
LONGEST = 2_000

Prefix = tuple[str, ...]


class Plain:
    """Layer ``n`` has every run with ``n`` switches; ``found`` is the first that breaks a promise."""

    def __init__(
        self, make: Callable[[], SearchWorld], rules: Sequence[Callable[[], Monitor]], dog: Watchdog, bound: int | None
    ) -> None:
        self.make, self.rules, self.dog, self.bound = make, rules, dog, bound
        self.switches = 0
        self.runs = 0
        self.found: Story | None = None
        self.done = False
        self.complete = False
        self.cut = False  #: whether some run was too long to be followed to its end
        self._here: list[Prefix] = [()]
        self._later: list[Prefix] = []

    @property
    def frontier(self) -> int:
        """How many prefixes are still to be tried."""
        return len(self._here) + len(self._later)

    def advance(self, seconds: float) -> None:
        """Go on for about that long."""
        deadline = time.perf_counter() + seconds
        while not self.done and time.perf_counter() < deadline:
            if self._here:
                self._follow(self._here.pop(0))
            elif self.found is not None or not self._later or self.switches == self.bound:
                self.done = True
                self.complete = self.found is None and not self._later and not self.cut
            else:
                self.switches += 1
                self._here, self._later = self._later, []

    def _follow(self, prefix: Prefix) -> None:
        """Run a prefix and stay with its last actor as long as it can; wherever another could step, branch."""
        self.runs += 1
        taken, broken, world, watchers = self._replay(prefix)
        while broken is None:
            broken = deadlock(world)
            able = [name for name in world.actors if world.probe(name)[0]]
            if broken is None and not able:
                broken = left_open(watchers)
            if broken is not None or not able:
                break
            if not taken:
                self._here += [(name,) for name in able]
                return
            same = taken[-1]
            self._later += [(*taken, name) for name in able if name != same]
            if same not in able:
                return
            if len(taken) >= LONGEST:
                self.cut = True
                return
            with self.dog.step():
                world.go(same)
            taken = (*taken, same)
            broken = watch(world, watchers)
        if broken is not None and (self.found is None or len(taken) < len(self.found.choices)):
            self.found = Story(self.switches, broken, taken)

    def _replay(self, prefix: Prefix) -> tuple[Prefix, Broken | None, SearchWorld, list[Monitor]]:
        watchers = [rule() for rule in self.rules]
        with self.dog.step():
            world = self.make()
        broken = watch(world, watchers)
        for number, choice in enumerate(prefix):
            if broken is not None:
                return prefix[:number], broken, world, watchers
            with self.dog.step():
                world.go(choice)
            broken = watch(world, watchers)
        return prefix, broken, world, watchers


def watch(world: SearchWorld, watchers: Sequence[Monitor]) -> Broken | None:
    """What the step that was just taken breaks first, as the rules see it."""
    found = None
    for watcher in watchers:
        for actor, event in world.events:
            for finding in watcher.see(entry(actor, event)):
                found = found or Broken(finding.rule, finding.culprit, finding.what)
    return found


def left_open(watchers: Sequence[Monitor]) -> Broken | None:
    """The callback in which an actor is stuck once no actor can step."""
    for watcher in watchers:
        for actor, calls in watcher.open.items() if isinstance(watcher, OpenCalls) else ():
            what = f"{actor} rests for ever inside {calls[-1]}"
            return Broken(OpenCalls.name, calls[-1].partition(".")[0], what)
    return None


def deadlock(world: SearchWorld) -> Broken | None:
    """A cycle of actors that wait for each other, or that all wait."""
    probes = {name: world.probe(name) for name in world.actors}
    waiting = {
        name: waits
        for name, (enabled, waits, _) in probes.items()
        if not enabled and (op := world.actors[name].op) is not None and not op.idle
    }
    cycle = any_waiting_cycle(waiting, lambda name: waiting.get(name, ()))
    if cycle or (waiting and not any(enabled for enabled, _, _ in probes.values())):
        return Broken("no-deadlock", (*cycle, *waiting)[0], f"deadlock: {' -> '.join(cycle) or 'all wait'}")
    return None
