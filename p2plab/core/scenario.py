"""Scenarios: a world that can be built afresh, deterministically, from a name and a few knobs."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from p2plab.core import known
from p2plab.core.errors import BadInput
from p2plab.core.monitor import Monitor
from p2plab.core.world import World

Value = int | str


@dataclass(frozen=True)
class Knob:
    """One setting of a scenario: a number from ``low`` to ``high``, or one of ``choices``.

    ``ticks``: a time or a duration. Only the clock takes it into account: under any other schedule it changes nothing.
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
    """A knob's value as text; anything but text and numbers (it may be nested to any depth) only by its type."""
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
class Role:
    """A part of a scene that your own class can play.

    ``bases``: kind -> class; a class must derive from one of them. ``needs``: methods that the scene calls and that not
    every class of the base has. ``knob``: the knob that chooses the class when none is given, or empty.
    """

    bases: Mapping[str, type]
    needs: tuple[str, ...] = ()
    knob: str = ""

    @property
    def kinds(self) -> str:
        """``an importer or an interval importer``."""
        return " or ".join(f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" for kind in self.bases)

    def why_not(self, given: type) -> str:
        """Why a class cannot play the part, as the end of a sentence; empty if it can."""
        if not isinstance(given, type) or not issubclass(given, tuple(self.bases.values())):
            bases = " or ".join(f"{base.__module__}.{base.__qualname__}" for base in self.bases.values())
            return f"derive it from {bases}"
        missing = [name for name in self.needs if not hasattr(given, name)]
        if missing:
            return f"the scene calls {', '.join(missing)} on it; write `async def {missing[0]}(self, …)`"
        return ""


@dataclass(frozen=True)
class Words:
    """What a scene is called, what happens in it, and the rule that its story breaks (or empty)."""

    title: str
    about: str
    breaks: str = ""


@dataclass(frozen=True)
class Scenario:
    """A machine, drivers, actors and the story they play.

    ``version`` goes up whenever a change of scene or model makes the same schedule mean something else. ``story`` is
    the schedule (in text form) that shows what the scene is about; ``rules`` are the names of the promises watched;
    ``breaks`` is the one that the story must break, or empty. ``roles`` are the parts that your own classes can play
    (``importer``, ``exporter``), and ``cast`` the classes that play them: see :meth:`with_cast`. ``when_cast``: knobs whose
    default changes then, so that only your class is on trial.
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
    roles: Mapping[str, Role] = field(default_factory=dict, compare=False)
    when_cast: Mapping[str, Value] = field(default_factory=dict, compare=False)
    cast: Mapping[str, type] = field(default_factory=dict, compare=False)
    words: Mapping[str, Mapping[str, Words]] = field(
        default_factory=dict, compare=False
    )  #: knob -> value -> words instead of ``title``, ``about`` and ``breaks``; value ``""``: a class plays that part
    small: Mapping[str, Value] = field(
        default_factory=dict, compare=False
    )  #: knobs with which it shows the same in less time
    variants: tuple[Mapping[str, Value], ...] = field(
        default=(), compare=False
    )  #: other knobs with which a class is tried too
    must: tuple[str, ...] = ()  #: goals, by name, that some order must reach when your own class plays
    needs: str = field(default="", compare=False)  #: ``FILE.py:NAME`` of a scene that p2plab does not ship
    own: Mapping[str, Any] = field(
        default_factory=dict, compare=False
    )  #: rules and goals that came with a class, by name

    @property
    def monitors(self) -> Mapping[str, type[Monitor]]:
        """Every monitor that can watch this scene, by name: the known ones, and those that came with a class."""
        return {**known.monitors(), **{name: own for name, own in self.own.items() if isinstance(own, type)}}

    def changed(self, settings: Mapping[str, Value]) -> dict[str, Value]:
        """The knobs that are not at their default."""
        return {knob.name: settings[knob.name] for knob in self.knobs if settings[knob.name] != knob.default}

    def given(self, settings: Mapping[str, Value]) -> dict[str, Value]:
        """What makes it another scene than the one that its name stands for: classes by role, then changed knobs."""
        return {**{role: kind.__name__ for role, kind in self.cast.items()}, **self.changed(settings)}

    def words_with(self, settings: Mapping[str, object]) -> Words:
        """Title, text and expected break with these knobs, and with the classes that play; never those of other knobs."""
        said = Words(self.title, self.about, self.breaks)
        for name, by_value in self.words.items():
            said = by_value.get(str(settings.get(name, "")), said)
        plays = "".join(f", with {given.__name__} as {role}" for role, given in self.cast.items())
        changed = [
            f"{knob.name}={settings[knob.name]}"
            for knob in self.knobs
            if knob.choices and knob.name not in self.words and settings.get(knob.name, knob.default) != knob.default
        ]
        about = (
            f"{said.about} (This is the scene as it comes; here it has {', '.join(changed)}.)"
            if changed
            else said.about
        )
        return Words(f"{said.title}{plays}", about, "" if plays or changed else said.breaks)

    def takes(self, kind: str) -> bool:
        """Whether there is a role of that name, or one for that kind of class (``interval importer``)."""
        return kind in self.roles or any(kind in role.bases for role in self.roles.values())

    def with_cast(self, classes: Mapping[str, type]) -> Scenario:
        """This scene with your classes in its roles. :exc:`BadInput` for a role that it lacks, or a class that does not fit."""
        for name, given in classes.items():
            called = given.__name__ if isinstance(given, type) else repr(given)[:40]
            if name not in self.roles:
                has = f"; it has {', '.join(self.roles)}" if self.roles else "; it takes no class of yours"
                raise BadInput(f"{called} cannot be the {name} of {self.name}: there is no such role{has}")
            if why_not := self.roles[name].why_not(given):
                raise BadInput(f"{called} cannot be the {name} of {self.name}: {why_not}")
        if not classes:
            return self
        taken = {self.roles[name].knob for name in classes}
        knobs = (replace(k, default=self.when_cast.get(k.name, k.default)) for k in self.knobs if k.name not in taken)
        return replace(self, knobs=tuple(knobs), cast={**self.cast, **classes})

    def settings(self, given: Mapping[str, object]) -> dict[str, Value]:
        """All knobs, with what was given; :exc:`BadInput` for an unknown knob or a value it does not take."""
        known = {knob.name: knob for knob in self.knobs}
        for name in given:
            if name not in known:
                for role, played in self.cast.items():
                    if self.roles[role].knob == name:
                        raise BadInput(f"{self.name}: {name} chooses the {role}, and that is {played.__name__} already")
                allowed = ", ".join(known) or "none"
                raise BadInput(f"{self.name} has no knob {str(name)[:40]!r}; it has: {allowed}")
        return {name: knob.check(given[name]) if name in given else knob.default for name, knob in known.items()}

    def world(self, **knobs: Value) -> World:
        """A new world of this scenario, at step 0."""
        settings = self.settings(knobs)
        return World(lambda world: self.build(world, settings), self.cast)
