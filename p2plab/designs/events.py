"""The lines of the step list, as events of the log."""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.core.events import Event


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
