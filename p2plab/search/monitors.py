"""Rules as part of the state: a rule is a fold over the log, so its state is one more value that a step changes.

All rules together are one column of a state. A rule's memory is its ``__dict__``, frozen; whether it was ``exercised``
has no effect and is left out. Steps' numbers and times cannot split states: a rule gets entries without them.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from p2plab.core.calls import Called, Returned
from p2plab.core.events import Entry, Event
from p2plab.core.lockdep import NOTIFIER, LockOrder
from p2plab.core.locks import LockAcquired, LockReleased
from p2plab.core.monitor import DeadlockMonitor, Finding, LockOrderMonitor, Monitor
from p2plab.search.freeze import Freezer
from p2plab.search.world import LockWanted, Unseen, entry

#: The calls that notifiers get under the lock map of their invalidation.
NOTIFIED = ("invalidate_range_start", "invalidate", "invalidate_range_end")
#: Number of rules that are looked up together: with some thirty rules of few states each, a handful of look-ups a step.
_FEW = 6
_CONSTANT = frozenset({type(None), int, str, bool, bytes, float, tuple, frozenset, Unseen})

#: The events of one step, with their actors, in order.
Events = tuple[tuple[str, Event], ...]


@dataclass(frozen=True)
class Broken:
    """A rule that a step broke, and the sentence for it."""

    rule: str
    culprit: str
    what: str


class WantedLocks(LockOrderMonitor):
    """The same promise, judged by the wanted locks: the search's worlds do not judge the lock order themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.order = LockOrder()

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        self.exercised |= isinstance(event, LockAcquired)
        if isinstance(event, LockWanted):
            for inversion in self.order.about_to_take(entry.actor, event.lock):
                yield self.broken(entry, entry.actor, str(inversion))
        elif isinstance(event, LockAcquired):
            self.order.taken(entry.actor, event.lock)
        elif isinstance(event, LockReleased):
            self.order.released(entry.actor, event.lock)
        elif isinstance(event, Called) and event.function in NOTIFIED:
            self.order.enters(entry.actor, NOTIFIER)
        elif isinstance(event, Returned) and event.function in NOTIFIED:
            self.order.leaves(entry.actor, NOTIFIER)


class OpenCalls(Monitor):
    """Per actor: the calls that have not returned. At rest there must be none, or a callback never returns."""

    name = "calls-return"
    promise = "a callback returns: nobody rests in the middle of it"

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[str, tuple[str, ...]] = {}

    def see(self, entry: Entry) -> Iterator[Finding]:
        event, before = entry.event, self.open.get(entry.actor, ())
        if isinstance(event, Called):
            self.open[entry.actor] = (*before, f"{event.target}.{event.function}")
        elif isinstance(event, Returned) and before:
            self.open[entry.actor] = before[:-1]
            if not before[:-1]:
                del self.open[entry.actor]
        return iter(())


def watched(rules: Sequence[type[Monitor]]) -> list[type[Monitor]]:
    """The rules as a search watches them; deadlock is seen in the states themselves."""
    kinds = [
        WantedLocks if issubclass(rule, LockOrderMonitor) else rule
        for rule in rules
        if not issubclass(rule, DeadlockMonitor)
    ]
    return [*kinds, OpenCalls]


class _Some:
    """A few of the rules, and every combination of their states: most steps do not change it, and that is looked up."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.combinations: list[tuple[int, ...]] = []
        self.steps: dict[tuple[int, int], tuple[int, tuple[Broken, ...]]] = {}
        self._numbers: dict[tuple[int, ...], int] = {}

    def number(self, memories: tuple[int, ...]) -> int:
        """The number of these rules' joint state."""
        number = self._numbers.setdefault(memories, len(self.combinations))
        if number == len(self.combinations):
            self.combinations.append(memories)
        return number


class Monitors:
    """The rules of a search and every combination of their states so far, numbered; 0 is the initial one."""

    def __init__(self, rules: Sequence[type[Monitor]]) -> None:
        self.kinds = tuple(rules)
        self.rules: list[Monitor] = [rule() for rule in watched(rules)]
        self.exercised: set[str] = set()
        self._memories: list[list[Monitor]] = [[rule] for rule in self.rules]
        self._numbers: list[dict[Any, int]] = [{frozen(rule): 0} for rule in self.rules]
        self._steps: list[dict[tuple[int, int], tuple[int, tuple[Broken, ...]]]] = [{} for _ in self.rules]
        self._some = [_Some(at, min(at + _FEW, len(self.rules))) for at in range(0, len(self.rules), _FEW)]
        self.together: list[tuple[int, ...]] = []
        self._by_some: list[tuple[int, ...]] = []  #: by combination, the numbers of each group's joint state
        self._numbers_by_some: dict[tuple[int, ...], int] = {}
        self._combine((0,) * len(self.rules))

    def __len__(self) -> int:
        return len(self.together)

    def after(self, before: int, number: int, events: Events) -> tuple[int, tuple[Broken, ...]]:
        """The combination after the events of that ``number`` in the combination ``before``, and what broke."""
        then: list[int] = []
        broken: tuple[Broken, ...] = ()
        for some, remembered in zip(self._some, self._by_some[before], strict=True):
            known = some.steps.get((remembered, number))
            if known is None:
                known = some.steps[remembered, number] = self._see_all(some, remembered, number, events)
            then.append(known[0])
            broken += known[1]
        return self._combined(tuple(then)), broken

    def left_open(self, combination: int) -> dict[str, tuple[str, ...]]:
        """The calls that have not returned, by actor."""
        rule = self._memories[-1][self.together[combination][-1]]
        assert isinstance(rule, OpenCalls)
        return rule.open

    def memory(self, combination: int, rule: int) -> Monitor:
        """One rule's state in a combination."""
        return self._memories[rule][self.together[combination][rule]]

    def frozen(self, combination: int) -> tuple[Any, ...]:
        """The rules' state as one value, for comparing searches."""
        return tuple(frozen(self._memories[rule][memory]) for rule, memory in enumerate(self.together[combination]))

    def renamed(self, combination: int, rename: Callable[[str], str]) -> int:
        """The combination with every text in the rules' state replaced. TypeError if that is not possible."""
        memories: list[int] = []
        for number, memory in enumerate(self.together[combination]):
            rule = copy.copy(self._memories[number][memory])
            vars(rule).update({name: _renamed(value, rename) for name, value in vars(rule).items()})
            memories.append(self._number(number, rule))
        return self._combine(tuple(memories))

    def fresh(self) -> Monitors:
        """The same rules in their initial state, for another table of steps, which numbers events differently."""
        new = Monitors(self.kinds)
        new.exercised = self.exercised
        return new

    def _number(self, number: int, rule: Monitor) -> int:
        known = self._numbers[number].setdefault(frozen(rule), len(self._memories[number]))
        if known == len(self._memories[number]):
            self._memories[number].append(rule)
        return known

    def _combine(self, memories: tuple[int, ...]) -> int:
        return self._combined(tuple(some.number(memories[some.first : some.last]) for some in self._some))

    def _combined(self, by_some: tuple[int, ...]) -> int:
        number = self._numbers_by_some.setdefault(by_some, len(self.together))
        if number == len(self.together):
            self._by_some.append(by_some)
            parts = (some.combinations[remembered] for some, remembered in zip(self._some, by_some, strict=True))
            self.together.append(tuple(itertools.chain.from_iterable(parts)))
        return number

    def _see_all(self, some: _Some, remembered: int, number: int, events: Events) -> tuple[int, tuple[Broken, ...]]:
        """The group's state after the events of that ``number``, and what broke."""
        memories: list[int] = []
        broken: tuple[Broken, ...] = ()
        for rule, memory in enumerate(some.combinations[remembered], some.first):
            known = self._steps[rule].get((memory, number))
            if known is None:
                known = self._steps[rule][memory, number] = self._see(rule, memory, events)
            memories.append(known[0])
            broken += known[1]
        return some.number(tuple(memories)), broken

    def _see(self, number: int, memory: int, events: Events) -> tuple[int, tuple[Broken, ...]]:
        before = self._memories[number][memory]
        rule = copy.copy(before)
        vars(rule).update({name: _copied(value) for name, value in vars(before).items()})
        rule.exercised = before.exercised = False
        broken = tuple(
            Broken(finding.rule, finding.culprit, finding.what)
            for actor, event in events
            for finding in rule.see(entry(actor, event))
        )
        if rule.exercised:
            self.exercised.add(rule.name)
            rule.exercised = False
        if vars(rule) == vars(before):  # most rules ignore most events
            return memory, broken
        return self._number(number, rule), broken


def frozen(rule: Monitor) -> Any:
    """A rule's state as a value."""
    return _RuleFreezer().freeze({name: value for name, value in vars(rule).items() if name != "exercised"})


def _copied(value: Any) -> Any:
    """A rule's memory is made of plain values: copying those by kind is several times faster than ``deepcopy``."""
    kind = type(value)
    if kind is dict:
        return {key: _copied(item) for key, item in value.items()}
    if kind is list:
        return [_copied(item) for item in value]
    if kind is set:
        return set(value)
    if kind in _CONSTANT or (isinstance(value, tuple) and all(type(item) in _CONSTANT for item in value)):
        return value
    if kind is LockOrder:
        return value.copied()
    return copy.deepcopy(value)


def _renamed(value: Any, rename: Callable[[str], str]) -> Any:
    kind = type(value)
    if kind is str:
        return rename(value)
    if kind in (tuple, list, set, frozenset):
        return kind(_renamed(item, rename) for item in value)
    if kind is dict:
        return {_renamed(key, rename): _renamed(item, rename) for key, item in value.items()}
    if value is None or kind in (int, bool, bytes, float):
        return value
    if kind is LockOrder:
        other = copy.copy(value)
        vars(other).update({name: _renamed(part, rename) for name, part in vars(value).items()})
        return other
    raise TypeError(f"a rule remembers a {kind.__qualname__}")


class _RuleFreezer(Freezer):
    """Freezes a rule's memory; the order of a rule's dicts and sets does not count."""

    def in_order(self, items: Iterable[Any]) -> tuple[Any, ...]:
        return (frozenset(map(self.freeze, items)),)

    def freeze(self, value: Any) -> Any:
        if isinstance(value, Unseen):
            return ("a step or a time",)
        if type(value) is dict:
            return ("dict", frozenset((self.freeze(key), self.freeze(item)) for key, item in value.items()))
        if isinstance(value, LockOrder):
            held = {actor: tuple(locks) for actor, locks in value.held.items() if locks}
            after = {(lock, under) for lock, others in value._after.items() for under in others}
            return self.freeze((held, value.inside, after, value._told))
        return super().freeze(value)
