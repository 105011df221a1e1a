"""Monitors and goals: what no run may do, and what some run must reach, as readers of the log.

A *monitor* is one promise: it reads the log entry by entry and reports what breaks it. A *goal* is reached by an event. The
rooms above say which there are and where they come from; a run and a search need no more than this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from p2plab.core.events import Entry, Event
from p2plab.core.lockdep import Deadlock, LockInversion
from p2plab.core.locks import LockAcquired


@dataclass(frozen=True)
class Finding:
    """A broken promise: the step and the actor taking it, the culprit, and what happened."""

    rule: str
    step: int
    actor: str
    culprit: str
    what: str


@dataclass(frozen=True)
class Goal:
    """Something that some order of events has to reach: ``reached`` looks at one event."""

    name: str
    what: str
    reached: Callable[[Event], bool]


class Monitor:
    """One promise. A subclass keeps what it remembers in plain attributes and overrides :meth:`see`.

    A search makes what a monitor remembers part of the state, so it must be plain values without step numbers and times.
    """

    name: ClassVar[str]
    promise: ClassVar[str]

    def __init__(self) -> None:
        self.exercised = False  #: whether anything happened that could have broken it

    def see(self, entry: Entry) -> Iterator[Finding]:
        """Look at the next entry; yield what it breaks."""
        raise NotImplementedError

    def broken(self, entry: Entry, culprit: str, what: str) -> Finding:
        """A finding of this monitor at this entry."""
        return Finding(self.name, entry.step, entry.actor, culprit, what)


class DeadlockMonitor(Monitor):
    """Breaks where actors wait for each other in a cycle. A search sees that in the states themselves."""

    name = "no-deadlock"

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.exercised |= isinstance(entry.event, LockAcquired)
        if isinstance(entry.event, Deadlock):
            yield self.broken(entry, entry.actor, str(entry.event))


class LockOrderMonitor(Monitor):
    """Breaks where two locks are taken in both orders. A search judges that by the locks that actors want."""

    name = "lock-order"

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.exercised |= isinstance(entry.event, LockAcquired)
        if isinstance(entry.event, LockInversion):
            yield self.broken(entry, entry.actor, str(entry.event))


class LeadsTo(Monitor):
    """``open`` while something has happened and what must follow has not.

    No single step breaks it: a search says whether a fair run, or one that has ended, leaves it open.
    """

    def __init__(self) -> None:
        super().__init__()
        self.open = False


def findings_in(log: Iterable[Entry], monitors: Sequence[type[Monitor]]) -> Iterator[Finding]:
    """What a log breaks, in log order, judged by fresh copies of the monitors."""
    fresh = [monitor() for monitor in monitors]
    return (finding for entry in log for monitor in fresh for finding in monitor.see(entry))
