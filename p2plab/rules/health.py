"""What no run may do, whoever is to blame: deadlock, take locks in both orders, or crash."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.events import Entry
from p2plab.core.lockdep import Deadlock, LockInversion
from p2plab.core.locks import LockAcquired
from p2plab.core.world import Crashed, Stepped
from p2plab.rules.base import Finding, Rule


class NoDeadlock(Rule):
    """Nobody waits in a circle, and somebody can always go on until all are done."""

    name = "no-deadlock"
    promise = "nobody waits for somebody who waits for him"
    source = (
        "include/linux/mmu_notifier.h (lockdep map of invalidate_range_start; "
        "6.12's lockdep follows no chain through the notifiers of 2019)"
    )
    stated = False

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.exercised |= isinstance(entry.event, LockAcquired)
        if isinstance(entry.event, Deadlock):
            yield self.broken(entry, entry.actor, str(entry.event))


class LockOrderKept(Rule):
    """Two locks are always taken in the same order, whether or not the opposite one bit this time."""

    name = "lock-order"
    promise = "locks are taken in one order, so that no schedule can deadlock on them"
    source = "Documentation/locking/lockdep-design.rst"
    stated = True

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.exercised |= isinstance(entry.event, LockAcquired)
        if isinstance(entry.event, LockInversion):
            yield self.broken(entry, entry.actor, str(entry.event))


class NoCrash(Rule):
    """No driver's code raises."""

    name = "no-crash"
    promise = "no driver's code ends in an exception that nobody handles"
    source = "a rule of this model"
    stated = False

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.exercised |= isinstance(entry.event, Stepped)
        if isinstance(entry.event, Crashed):
            who = entry.event.driver or entry.actor
            yield self.broken(entry, who, f"{who} {entry.event}")
