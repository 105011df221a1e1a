"""Beside each step of a driver: the source lines that it ran, and the attributes of the driver that changed.

The place where a coroutine waits is in its frames: ``cr_frame`` has the line, ``cr_await`` is the coroutine that it waits in. A
step goes on from there. A function of the driver that the step entered is named by its ``def``: it may have ended
within the step, and left no frame. All this is read during a replay; a search records none of it.
"""

from __future__ import annotations

import enum
import linecache
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType, FunctionType, MethodType
from typing import Any

from p2plab.core.calls import Called
from p2plab.core.run import Run
from p2plab.core.tracked import TRACKED_CONTAINERS, Tracked, cells_of, name_of
from p2plab.core.world import World
from p2plab.p2p.contract import Grant
from p2plab.p2p.exporter import Exporter
from p2plab.p2p.mapper import Mapper
from p2plab.p2p.memory import BufferObject

_PACKAGE = Path(__file__).resolve().parents[1]
#: Classes of these rooms are bases of drivers, and are not shown as a driver's own code.
ROOMS = ("core", "mm", "p2p", "pci")
#: Attributes that place a driver and are no state of it.
_BORING = ("name", "peer", "bdf", "machine", "memory", "mm", "fabric", "map_again", "rules", "wiring", "timer")
#: Maximum length of a value, in characters.
LONGEST = 60
#: Maximum number of added, removed or changed entries of a dict that are spelled out.
_SPELLED = 2


@dataclass(frozen=True)
class SourceLine:
    """One line of source; ``file`` by its short name, ``text`` without its indent."""

    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.file.rpartition('/')[2]}:{self.number} {self.text}".rstrip()


@dataclass(frozen=True)
class AttributeChange:
    """An attribute of a driver with its value before and after; None where the attribute did not or does not exist."""

    driver: str
    name: str
    before: str | None
    after: str | None
    said: str  #: the same in a few words

    def __str__(self) -> str:
        return f"{self.driver}.{self.name}: {self.said}"


@dataclass(frozen=True)
class DriverStep:
    """The lines of a driver that one step ran, and the attributes that it changed. Either may be empty, not both."""

    step: int
    actor: str
    lines: tuple[SourceLine, ...]
    changes: tuple[AttributeChange, ...]


def driver_steps(run: Run, shipped: bool = True) -> Iterator[DriverStep]:
    """Replay a run: its steps that ran a driver's code or changed a driver. Not ``shipped``: none unless a driver is yours."""
    world = run.scenario.world(**run.settings)
    watch = Watch(world, shipped)
    for choice in run.schedule:
        world.take(choice)
        if (found := watch.stepped(choice)) is not None:
            yield found


def lines_as_json(run: Run, lines: bool | None = None) -> list[dict[str, Any]]:
    """The same as JSON objects, one a step. ``lines`` None: where a driver is yours; False: none."""
    found = () if lines is False else driver_steps(run, shipped=lines is True)
    return [asdict(step) for step in found]


class Watch:
    """Looks at a world before and after each of its steps. Watches only drivers defined outside of p2plab, if any."""

    def __init__(self, world: World, shipped: bool = True) -> None:
        self.world = world
        self.yours = any(
            _yours(type(thing)) for thing in world.objects
        )  #: whether a driver is defined outside of p2plab
        self._shipped = shipped and not self.yours
        self._frames = frames(world)
        self._kept = self._look()

    def stepped(self, choice: str) -> DriverStep | None:
        """Call after ``world.take(choice)``: what the step did in a driver, or None."""
        before, self._frames = self._frames.get(choice, ()), frames(self.world)
        old, self._kept = self._kept, self._look()
        lines = dict.fromkeys(self._lines(before, self._frames.get(choice, ())))
        names = dict.fromkeys((*old, *self._kept))
        changes = tuple(
            _change(key, old.get(key), self._kept.get(key)) for key in names if old.get(key) != self._kept.get(key)
        )
        if not lines and not changes:
            return None
        return DriverStep(self.world.steps, choice, tuple(lines), changes)

    def _drivers(self) -> Iterator[Tracked]:
        for thing in self.world.objects:
            if _yours(type(thing)) or (self._shipped and _is_driver(type(thing))):
                yield thing

    def _look(self) -> dict[tuple[str, str], _Kept]:
        found: dict[tuple[str, str], _Kept] = {}
        for driver in self._drivers():
            name = str(cells_of(driver).get("name", "") or name_of(driver))
            found |= {(name, key): kept for key, kept in _kept(driver, private=_yours(type(driver)))}
        return found

    def _lines(self, before: tuple[CodePosition, ...], now: tuple[CodePosition, ...]) -> Iterator[SourceLine]:
        drivers = list(self._drivers())
        paths = {path for driver in drivers for path in _files(type(driver))}
        mine = [place for place in before if place.path in paths]
        # A line of the reader's own code, if any, says more than the shipped method that it calls.
        mine = [place for place in mine if not _in_package(place.path)] or mine
        if mine:
            yield line_of(mine[-1].path, mine[-1].line)
        earlier = {id(place.frame) for place in before}
        for place in now:
            if id(place.frame) not in earlier and place.path in paths:
                yield line_of(place.path, place.frame.f_code.co_firstlineno)
        by_name = {str(cells_of(driver).get("name", "")): driver for driver in drivers}
        for entry in reversed(self.world.log):
            if entry.step != self.world.steps:
                break
            event = entry.event
            if isinstance(event, Called) and event.target in by_name:
                code = getattr(getattr(type(by_name[event.target]), event.function, None), "__code__", None)
                if code is not None and code.co_filename in paths:
                    yield line_of(code.co_filename, code.co_firstlineno)


# -- where the code is ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CodePosition:
    """Where one function of an actor waits. It keeps its frame, so that a later one is not mistaken for it."""

    path: str
    line: int
    frame: FrameType


def frames(world: World) -> dict[str, tuple[CodePosition, ...]]:
    """Where the code of each actor waits now, from its first function to the innermost."""
    return {name: tuple(_frames(actor.coroutine)) for name, actor in world.actors.items()}


def _frames(inner: Any) -> Iterator[CodePosition]:
    while inner is not None:
        frame = getattr(inner, "cr_frame", None)
        if frame is not None:
            yield CodePosition(frame.f_code.co_filename, frame.f_lineno, frame)
        inner = getattr(inner, "cr_await", None)


def line_of(path: str, number: int) -> SourceLine:
    """A line of a file, or of a notebook's cell; its text is empty where Python has no source."""
    return SourceLine(short_path(path), number, linecache.getline(path, number).strip())


def short_path(path: str) -> str:
    """A file's short name: from the package's folder on, or only its name; a notebook's cell is ``cell``."""
    if path.startswith("<ipython-input") or "ipykernel_" in path:
        return "cell"
    if path.startswith("<"):
        return path
    return f"p2plab/{Path(path).relative_to(_PACKAGE).as_posix()}" if _in_package(path) else Path(path).name


def _in_package(path: str) -> bool:
    return not path.startswith("<") and Path(path).is_relative_to(_PACKAGE)


def _yours(kind: type) -> bool:
    """Whether a class is defined outside of p2plab."""
    return not kind.__module__.startswith("p2plab.")


def _is_driver(kind: type) -> bool:
    """Whether a shipped class is a driver, and not a base of drivers."""
    driver = issubclass(kind, (Mapper, Exporter)) or kind.__module__.split(".")[1] in ("drivers", "designs")
    return driver and not _of_a_room(kind)


def _files(kind: type) -> set[str]:
    """The files of a driver's class and of the drivers that it derives from."""
    found = set()
    for made in kind.__mro__:
        if made is not Tracked and issubclass(made, Tracked) and not _of_a_room(made):
            codes = [getattr(member, "__code__", None) for member in vars(made).values()]
            found |= {code.co_filename for code in codes if code is not None}
    return found


def _of_a_room(kind: type) -> bool:
    return kind.__module__.startswith("p2plab.") and kind.__module__.split(".")[1] in ROOMS


# -- a driver's state ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kept:
    text: str
    parts: tuple[tuple[str, str], ...] | None  #: of a dict its entries


def _kept(driver: Tracked, private: bool) -> Iterator[tuple[str, _Kept]]:
    for name, value in cells_of(driver).items():
        if name not in _BORING and (private or not name.startswith("_")):
            for part, item in _inside(name, value):
                entries = isinstance(item, dict)
                parts = tuple((_text(key, 1), _text(entry, 1)) for key, entry in item.items()) if entries else None
                yield part, _Kept(item if isinstance(item, _Said) else short(item), parts)


class _Said(str):
    """A value that is already text."""

    __slots__ = ()


def _inside(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    kind = type(value).__name__
    if kind == "Mutex":
        yield name, _Said(f"held by {value.owner}" if value.owner else "free")
    elif kind == "DmaEngine":
        for part in ("table", "in_flight", "queue", "stopped"):
            yield f"{name}.{part}", cells_of(value).get(part)
    elif kind == "Aperture":
        yield f"{name}.shows", list(value.shows)
    else:
        yield name, value


def _change(key: tuple[str, str], old: _Kept | None, new: _Kept | None) -> AttributeChange:
    driver, name = key
    before, after = (None if kept is None else kept.text for kept in (old, new))
    if old is not None and new is not None and old.parts is not None and new.parts is not None:
        said = _entries(dict(old.parts), dict(new.parts)) or "in another order"
    else:
        said = f"{'nothing' if before is None else before} -> {'nothing' if after is None else after}"
    return AttributeChange(driver, name, before, after, said)


def _entries(old: dict[str, str], new: dict[str, str]) -> str:
    """``+ 0x7000: 0xe000, - 0x8000``: what was added, removed and changed; of many the first ones and their number."""
    said = []
    for sign, names in (("-", [key for key in old if key not in new]), ("+", [key for key in new if key not in old])):
        spelled = [f"{sign} {key}: {new[key]}" if sign == "+" else f"- {key}" for key in names[:_SPELLED]]
        said += spelled + ([f"{sign} {len(names) - _SPELLED} more"] if len(names) > _SPELLED else [])
    turned = [key for key in new if key in old and old[key] != new[key]]
    said += [f"{key}: {old[key]} -> {new[key]}" for key in turned[:_SPELLED]]
    return ", ".join(said + ([f"{len(turned) - _SPELLED} more changed"] if len(turned) > _SPELLED else []))


def attributes_of(driver: Any) -> dict[str, str]:
    """A driver's state as readable text: its own cells, with the engine's table and the lock's holder."""
    return {name: kept.text for name, kept in _kept(driver, private=False)}


def short(value: Any) -> str:
    """A value in one line; addresses in hex."""
    text = _text(value, 0)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _text(value: Any, depth: int) -> str:
    """None of the driver's code runs here: an object of the driver's own class is shown by its attributes."""
    kind = type(value)
    if kind in (bool, str, bytes, float) or value is None:
        return repr(value)
    if kind is int:
        return hex(value) if value >= 4096 else str(value)
    if isinstance(value, Tracked):
        return str(cells_of(value).get("name", "") or name_of(value))
    if isinstance(value, enum.Enum):
        return f"{kind.__name__}.{value._name_}"
    if depth > 2:
        return "…"
    if issubclass(kind, dict):
        items = [(_text(key, depth + 1), _text(item, depth + 1)) for key, item in dict.items(value)]
        return "{" + ", ".join(f"{key}: {item}" for key, item in items) + "}"
    if issubclass(kind, tuple) and depth:
        return "(" + ", ".join(_text(item, depth + 1) for item in tuple.__iter__(value)) + ")"
    if issubclass(kind, (list, tuple, set, frozenset, deque, *TRACKED_CONTAINERS)):
        return "[" + ", ".join(_text(item, depth + 1) for item in value) + "]"
    if isinstance(value, (Grant, BufferObject)):
        return hex(value.address) if isinstance(value, Grant) else value.name
    if isinstance(value, (type, FunctionType, MethodType)):
        return value.__qualname__
    kept = object.__getattribute__(value, "__dict__") if _yours(kind) and kind.__dictoffset__ else None
    if kept:
        return f"{kind.__name__}({', '.join(f'{name}={_text(item, depth + 1)}' for name, item in kept.items())})"
    return kind.__name__
