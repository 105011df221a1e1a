"""Scenarios: a world that can be built afresh, deterministically, from a name and a few knobs."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from p2plab.core.errors import BadInput
from p2plab.core.world import World

Value = int | str


@dataclass(frozen=True)
class Knob:
    """One setting of a scenario: a number from ``low`` to ``high``, or one of ``choices``.

    ``ticks``: a time or a duration. The clock heeds it; where the schedule alone decides it changes nothing.
    """

    name: str
    default: Value
    help: str
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = 0
    ticks: bool = False

    def __post_init__(self) -> None:
        if bool(self.choices) == (self.low < self.high):
            raise ValueError(f"knob {self.name!r}: give either choices, or numbers from low up to high")

    def check(self, value: object) -> Value:
        """The value as this knob's type; :exc:`BadInput` says what is allowed."""
        text = _written(value)
        if self.choices:
            if text not in self.choices:
                raise BadInput(f"{self.name}={text[:40]} is not possible; allowed: {', '.join(self.choices)}")
            return text
        number = int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) else None
        if number is None or not self.low <= number <= self.high:
            raise BadInput(f"{self.name}={text[:40]} is not possible; allowed: {self.low} to {self.high}")
        return number


def _written(value: object) -> str:
    """A knob's value as text; what is no text and no number (it may be anything, of any depth) only by its type."""
    if isinstance(value, str):
        return value
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return f"<{type(value).__name__}>"
    if isinstance(value, bool) or number.bit_length() > 64:
        return f"<{type(value).__name__} of {number.bit_length()} bits>"
    return str(number)


@dataclass(frozen=True)
class Scenario:
    """A machine, drivers, actors and the story they play.

    ``version`` goes up whenever a change of scene or model makes the same schedule mean something else. ``story`` is
    the schedule (in text form) that shows what the scene is about; ``rules`` are the names of the promises watched;
    ``breaks`` is the one that the story must break, or empty. ``cast`` puts somebody's own class into a role
    (``importer``, ``exporter``): see :meth:`~p2plab.core.world.World.role`.
    """

    name: str
    title: str
    build: Callable[[World, Mapping[str, Any]], None]
    version: int = 1
    knobs: tuple[Knob, ...] = ()
    story: str = "..."
    rules: tuple[str, ...] = ()
    breaks: str = ""
    about: str = field(default="", compare=False)
    cast: Mapping[str, type] = field(default_factory=dict, compare=False)

    def settings(self, given: Mapping[str, object]) -> dict[str, Value]:
        """All knobs, with what was given; :exc:`BadInput` for an unknown knob or a value it does not take."""
        known = {knob.name: knob for knob in self.knobs}
        for name in given:
            if name not in known:
                allowed = ", ".join(known) or "none"
                raise BadInput(f"{self.name} has no knob {str(name)[:40]!r}; it has: {allowed}")
        return {name: knob.check(given[name]) if name in given else knob.default for name, knob in known.items()}

    def world(self, **knobs: Value) -> World:
        """A new world of this scenario, at step 0."""
        settings = self.settings(knobs)
        return World(lambda world: self.build(world, settings), self.cast)
