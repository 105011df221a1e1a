"""A driver beside the stage: its source, the line at which its code waits, and its attributes."""

from __future__ import annotations

import ast
import linecache
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from p2plab.core.calls import Called
from p2plab.core.tracked import Tracked
from p2plab.core.world import World
from p2plab.p2p.things import things_of
from p2plab.views.driver_lines import ROOMS, frames, short_path
from p2plab.views.stage.model import Attribute, Driver

#: For each actor, the places in code files where it waits, from its first function to the innermost: (file, line).
Pending = dict[str, tuple[tuple[str, int], ...]]

#: The sections of the classes shown; a class that was defined again is another one.
_known: weakref.WeakKeyDictionary[type, tuple[Section, ...]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Section:
    """One class of a driver: the lines of its source, the first of which has the number ``first`` in ``file``."""

    title: str
    file: str
    path: str
    first: int
    lines: tuple[str, ...]


def pending(world: World) -> Pending:
    """Where the code of each actor waits now."""
    return {name: tuple((place.path, place.line) for place in places) for name, places in frames(world).items()}


def drivers_of(world: World) -> dict[str, Any]:
    """The drivers of a world by name: the exporter's, then the importers'."""
    things = things_of(world)
    return {driver.name: driver for driver in (*things.exporters, *things.importers)}


def sections_of(driver: Any) -> tuple[Section, ...]:
    """The source of a driver's class, and of its base drivers; empty where Python has no source."""
    kind = type(driver)
    if kind not in _known:
        _known[kind] = tuple(_sections(kind))
    return _known[kind]


def _sections(kind: type) -> Iterator[Section]:
    for made in kind.__mro__:
        if made is Tracked or not issubclass(made, Tracked):
            continue
        if made.__module__.startswith("p2plab.") and made.__module__.split(".")[1] in ROOMS:
            continue
        found = _source_of(made)
        if found is not None:
            path, first, lines = found
            yield Section(made.__name__, short_path(path), path, first, tuple(lines))


def _source_of(made: type) -> tuple[str, int, list[str]] | None:
    """(file, number of the first line, lines) of a class. For a notebook's class its methods know the file."""
    for function in vars(made).values():
        code = getattr(function, "__code__", None)
        if code is None:
            continue
        lines = linecache.getlines(code.co_filename)
        try:
            tree = ast.parse("".join(lines))
        except SyntaxError:  # a cell with a magic in it
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name == made.__name__:
                end = node.end_lineno or node.lineno
                return code.co_filename, node.lineno, [line.rstrip("\n") for line in lines[node.lineno - 1 : end]]
    return None


def driver_at(
    driver: Any,
    sections: tuple[Section, ...],
    world: World,
    before: Pending,
    now: Pending,
    old: dict[str, str],
    cells: dict[str, str],
) -> Driver:
    """``before`` and ``now``: where all actors waited before this step and wait now; ``old``, ``cells``: its attributes."""
    acted = world.log[-1].actor if world.log else ""
    step = [entry for entry in world.log if entry.step == world.steps]
    called = [e.event.function for e in step if isinstance(e.event, Called) and e.event.target == driver.name]
    began = dict.fromkeys(_places(sections, before.get(acted, ())))
    lit = tuple(dict.fromkeys([*began, *(place for name in called for place in _definition(sections, name))]))
    waits = tuple(dict.fromkeys(place for places in now.values() for place in _places(sections, places)))
    attributes = tuple(
        Attribute(name, value, old[name] if name in old and old[name] != value else None)
        for name, value in cells.items()
    )
    return Driver(driver.name, lit, waits, attributes)


def _places(sections: tuple[Section, ...], places: tuple[tuple[str, int], ...]) -> Iterator[tuple[int, int]]:
    """Those places that are lines of a driver, innermost first."""
    for path, line in reversed(places):
        for number, section in enumerate(sections):
            if section.path == path and section.first <= line < section.first + len(section.lines):
                yield number, line


def _definition(sections: tuple[Section, ...], function: str) -> list[tuple[int, int]]:
    for number, section in enumerate(sections):
        for at, line in enumerate(section.lines):
            if line.lstrip().startswith((f"def {function}(", f"async def {function}(")):
                return [(number, section.first + at)]
    return []
