"""The same search without any memory of steps: every state is reached by running the scene again from its start.

Slow, and simple enough to be believed: the soundness gate compares the memoised search with it, state by state. It
tells states apart by every local variable, and reports them without those that are not read again: if one of those
decided anything, a state reported once would have been left in two ways.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from p2plab.core.lockdep import waiting_cycle
from p2plab.core.monitor import Monitor
from p2plab.search.frames import every_local
from p2plab.search.graph import Key
from p2plab.search.monitors import frozen
from p2plab.search.world import SearchWorld, entry


@dataclass
class Explored:
    """What a search found: states, and broken promises as (state before, actor or None, rule, what)."""

    states: set[Key] = field(default_factory=set)
    broken: set[tuple[Key, str | None, str, str]] = field(default_factory=set)
    at_rest: set[Key] = field(default_factory=set)
    transitions: int = 0
    complete: bool = True


class _Here:
    """One place of the search: a world run from its start along a path, with the rules that watched it."""

    def __init__(
        self, make: Callable[[], SearchWorld], rules: Sequence[Callable[[], Monitor]], path: Sequence[str]
    ) -> None:
        self.world = make()
        self.rules = [rule() for rule in rules]
        self.broken = self._watch()
        for choice in path:
            self.world.go(choice)
            self.broken = self._watch()

    def _watch(self) -> list[tuple[str, str]]:
        return [
            (finding.rule, finding.what)
            for rule in self.rules
            for actor, event in self.world.events
            for finding in rule.see(entry(actor, event))
        ]

    def in_full(self) -> Key:
        """The state with every local variable."""
        with every_local():
            return self.key()

    def key(self) -> Key:
        """The state as a search knows it."""
        world = self.world
        locals_ = tuple(world.frozen_actor(name).value for name in world.actors)
        return locals_, frozenset(world.frozen_cells().items()), tuple(frozen(rule) for rule in self.rules)


def explore(make: Callable[[], SearchWorld], rules: Sequence[Callable[[], Monitor]], limit: int = 5_000) -> Explored:
    """Every state, breadth first, up to ``limit`` of them."""
    result = Explored()
    steps: set[tuple[Key, str]] = set()
    todo: list[tuple[str, ...]] = [()]
    first = _Here(make, rules, ())
    result.states.add(first.key())
    seen = {first.in_full()}
    result.broken |= {(first.key(), None, rule, what) for rule, what in first.broken}
    if first.broken:
        return result
    while todo:
        if len(seen) > limit:
            result.complete = False
            return result
        path = todo.pop(0)
        here = _Here(make, rules, path)
        key = here.key()
        if _stands_still(here.world, key, result):
            continue
        for name in [name for name in here.world.actors if here.world.probe(name)[0]]:
            steps.add((key, name))
            there = _Here(make, rules, (*path, name))
            if there.broken:
                result.broken.add((key, name, *there.broken[0]))
            elif (after := there.in_full()) not in seen:
                seen.add(after)
                result.states.add(there.key())
                todo.append((*path, name))
    result.transitions = len(steps)
    return result


def _stands_still(world: SearchWorld, key: Key, result: Explored) -> bool:
    """Whether the story ends here: a cycle, nobody able, or rest. Whichever it is goes into the result."""
    waiting = {}
    able = False
    for name, actor in world.actors.items():
        enabled, waits, _ = world.probe(name)
        able |= enabled
        if not enabled and actor.op is not None and not actor.op.idle:
            waiting[name] = waits
    cycle = any(waiting_cycle(name, lambda who: waiting.get(who, ())) for name in waiting)
    if cycle or (waiting and not able):
        result.broken.add((key, None, "no-deadlock", "cycle" if cycle else "all wait"))
    elif not able:
        result.at_rest.add(key)
    return cycle or not able
