"""The lines of the step list: as events of the log, and how each went, so that runs of different designs can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from p2plab.core.events import Entry, Event
from p2plab.rules.damage import damage


@dataclass(frozen=True, slots=True)
class StepBegun(Event):
    """A line of the step list begins."""

    what: str

    def __str__(self) -> str:
        return f"== {self.what} =="


@dataclass(frozen=True, slots=True)
class StepEnded(Event):
    """A line of the step list is done; ``errno`` is empty, or how it failed."""

    what: str
    errno: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.what}: -{self.errno}, {self.sentence}" if self.errno else f"{self.what}: done"


@dataclass(frozen=True)
class Line:
    """A line of the list: its actor, first and last step (None: it never ended), and its errno, empty if it succeeded."""

    what: str
    actor: str
    first: int
    last: int | None
    errno: str

    @property
    def outcome(self) -> str:
        """``done``, ``-ENODEV``, or ``waits`` if it never ended."""
        if self.last is None:
            return "waits"
        return f"-{self.errno}" if self.errno else "done"


def lines_of(log: Iterable[Entry]) -> tuple[Line, ...]:
    """The lines in the order in which they began. A line that is done twice is there twice."""
    lines: list[Line] = []
    for entry in log:
        event = entry.event
        if isinstance(event, StepBegun):
            lines.append(Line(event.what, entry.actor, entry.step, None, ""))
        elif isinstance(event, StepEnded):
            at = max(n for n, line in enumerate(lines) if line.what == event.what and line.actor == entry.actor)
            lines[at] = Line(event.what, entry.actor, lines[at].first, entry.step, event.errno)
    return tuple(lines)


def outcomes(log: tuple[Entry, ...]) -> str:
    """All lines in a phrase, with the owners of damaged memory: ``set up done; map done; …; nobody damaged``."""
    said = [f"{line.what} {line.outcome}" for line in lines_of(log)]
    hits = damage(log)
    owners = sorted({hit.owner for hit in hits if hit.owner})
    harm = f"{len(hits)} beats astray into memory of {' and '.join(owners)}" if owners else f"{len(hits)} beats lost"
    return "; ".join([*said, harm if hits else "nobody damaged"])
