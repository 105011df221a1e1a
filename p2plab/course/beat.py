"""A beat of a story: a step of a run, what to see there and why, and claims, each of which is checked against the run.

>>> from p2plab.course.stories import STORIES
>>> STORIES["00"].beats[0].wrong()
[]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from p2plab.catalog import CASES
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.everything import find
from p2plab.mm.log import NotifierStart
from p2plab.views.stage import moment

CHAIN, TIME = "chain", "time"


class BeatClaim(Protocol):
    """A statement about a step of a run."""

    def holds(self, run: Run, step: int) -> bool:
        """Whether it is true there."""


@dataclass(frozen=True)
class LoggedNow:
    """An event of this class is logged in this very step."""

    event: str

    def holds(self, run: Run, step: int) -> bool:
        return any(entry.step == step and type(entry.event).__name__ == self.event for entry in run.log)


@dataclass(frozen=True)
class NobodyTold:
    """No notifier was called up to this step."""

    def holds(self, run: Run, step: int) -> bool:
        return not any(entry.step <= step and isinstance(entry.event, NotifierStart) for entry in run.log)


@dataclass(frozen=True)
class EntryIs:
    """An importer's entry for a page has this state: ``right``, ``taken back``, ``stale`` or ``none``."""

    importer: str
    page: int
    state: str

    def holds(self, run: Run, step: int) -> bool:
        return moment(run, step).table(self.importer).entries[self.page].state == self.state


@dataclass(frozen=True)
class PageIs:
    """A process's page shows this frame's name (empty: no vma), and the CPU has an entry for it or not."""

    space: str
    page: int
    shows: str
    present: bool

    def holds(self, run: Run, step: int) -> bool:
        page = moment(run, step).space(self.space).pages[self.page]
        return (page.shows, page.present) == (self.shows, self.present)


@dataclass(frozen=True)
class SlotsShow:
    """The slots show these frames' names, from slot 0 on; empty: nothing."""

    shows: tuple[str, ...]

    def holds(self, run: Run, step: int) -> bool:
        return tuple(slot.shows for slot in moment(run, step).slots) == self.shows


@dataclass(frozen=True)
class LentTo:
    """The exporter has lent these slots, and no others, to the importer."""

    importer: str
    slots: tuple[int, ...]

    def holds(self, run: Run, step: int) -> bool:
        return tuple(s.number for s in moment(run, step).slots if self.importer in s.lent) == self.slots


@dataclass(frozen=True)
class BytesLost:
    """A stray write destroyed these bytes, in this step or before; ``C[0] of app2``."""

    bytes: str

    def holds(self, run: Run, step: int) -> bool:
        return any(frame.lost == self.bytes for frame in moment(run, step).frames)


@dataclass(frozen=True)
class BeatFlies:
    """A beat of the importer for this page is on its way, or lands in this step."""

    importer: str
    page: int

    def holds(self, run: Run, step: int) -> bool:
        return any((beat.importer, beat.page) == (self.importer, self.page) for beat in moment(run, step).beats)


@dataclass(frozen=True)
class WaitsFor:
    """An actor waits for another one."""

    actor: str
    other: str

    def holds(self, run: Run, step: int) -> bool:
        return any(row.name == self.actor and self.other in row.waits_for for row in moment(run, step).now)


@dataclass(frozen=True)
class HoldsLock:
    """An actor holds a lock."""

    actor: str
    lock: str

    def holds(self, run: Run, step: int) -> bool:
        return any(row.name == self.actor and self.lock in row.locks for row in moment(run, step).now)


@dataclass(frozen=True)
class CallRuns:
    """Code of one lane is called from another: it runs now, or was called in this step."""

    source: str
    target: str
    function: str

    def holds(self, run: Run, step: int) -> bool:
        calls = moment(run, step).calls
        return any((c.source, c.target, c.function) == (self.source, self.target, self.function) for c in calls)


@dataclass(frozen=True)
class BreaksNow:
    """A promise breaks for the first time in this very step."""

    rule: str

    def holds(self, run: Run, step: int) -> bool:
        return any((c.rule, c.state, c.step) == (self.rule, "broken", step) for c in moment(run, step).chips)


@dataclass(frozen=True)
class AllKept:
    """No promise is broken up to this step."""

    def holds(self, run: Run, step: int) -> bool:
        return not any(chip.state == "broken" for chip in moment(run, step).chips)


@dataclass(frozen=True)
class StageSays:
    """The stage's sentence contains these words."""

    words: str

    def holds(self, run: Run, step: int) -> bool:
        return self.words in str(moment(run, step).said)


@dataclass(frozen=True)
class StoryBeat:
    """One moment of a story. ``scene``: a scene, or a case by its code; ``claims``: what must hold for ``words`` to be true."""

    scene: str
    step: int
    words: str
    claims: tuple[BeatClaim, ...]
    knobs: Mapping[str, int | str] = field(default_factory=dict)
    picture: str = CHAIN

    @cached_property
    def run(self) -> Run:
        """The scene's story with these knobs."""
        scene = CASES[self.scene].scenario if self.scene in CASES else find(self.scene)
        return Run(scene, self.knobs).told()

    def wrong(self) -> list[BeatClaim]:
        """The claims that do not hold; all of them if there is no such step."""
        if not 0 <= self.step <= len(self.run):
            return list(self.claims)
        return [claim for claim in self.claims if not claim.holds(self.run, self.step)]

    @property
    def where(self) -> str:
        """Scene, knobs and step in a few words."""
        knobs = "".join(f", {name}={value}" for name, value in self.knobs.items())
        return f"{self.scene}{knobs}, step {self.step}"


@dataclass(frozen=True)
class FiveMinutes:
    """A story of some five minutes for a notebook: a title and its beats."""

    number: str
    title: str
    beats: tuple[StoryBeat, ...]

    def __post_init__(self) -> None:
        if not self.beats:
            raise BadInput(f"story {self.number} has no beats")

    def text(self) -> str:
        """All of it as lines of text."""
        lines = [f"{self.number} · {self.title}"]
        for number, beat in enumerate(self.beats, 1):
            lines += ["", f"{number}. {beat.where}", f"   {beat.words}"]
        return "\n".join(lines) + "\n"
