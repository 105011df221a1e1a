"""What no run may do, whichever driver is to blame: deadlock, take locks in both orders, or crash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from p2plab.core.events import Entry
from p2plab.core.monitor import DeadlockMonitor, Finding, LockOrderMonitor
from p2plab.core.world import Crashed, Stepped
from p2plab.rules.base import Rule


class NoDeadlock(DeadlockMonitor, Rule):
    """No actors wait in a cycle, and some actor can always go on until all are done."""

    promise = "no actors wait for each other in a cycle"
    source = (
        "include/linux/mmu_notifier.h; lockdep sees a class taken twice, no chain through the notifiers of 2019 (srcu), "
        "and no wait for what is no lock"
    )
    sources: ClassVar = {
        "6.1": "include/linux/mmu_notifier.h; lockdep sees chains through notifiers, and no wait for what is no lock",
        "rfc2019": "Documentation/locking/lockdep-design.txt; lockdep has no map of notifiers (5.4), and sees no wait for "
        "what is no lock",
    }
    stated = False


class LockOrderKept(LockOrderMonitor, Rule):
    """Two locks are always taken in the same order, whether or not the opposite order deadlocked this time."""

    promise = "locks are taken in one order, so that no schedule can deadlock on them"
    source = (
        "Documentation/locking/lockdep-design.rst; this kernel's lockdep reports it with an interval notifier, and is "
        "silent through the notifiers of 2019 (srcu)"
    )
    sources: ClassVar = {
        "6.1": "Documentation/locking/lockdep-design.rst; this kernel's lockdep reports it",
        "rfc2019": "Documentation/locking/lockdep-design.txt; this kernel's lockdep reports it, but not through reclaim (5.11)",
    }
    stated = True


class NoCrash(Rule):
    """No driver's code raises."""

    name = "no-crash"
    promise = "no driver's code ends in an unhandled exception"
    source = "a rule of this model"
    stated = False

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.exercised |= isinstance(entry.event, Stepped)
        if isinstance(entry.event, Crashed):
            who = entry.event.driver or entry.actor
            yield self.broken(entry, who, f"{who} {entry.event}")
