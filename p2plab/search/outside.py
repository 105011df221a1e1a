"""What is outside of attributes and local variables and must not change: globals, classes, functions, constants.

Each mutable object is recorded with its parts; afterwards the same objects must be in the same places. That takes a few
microseconds, so it is checked after each executed step of driver code.
"""

from __future__ import annotations

import collections
import itertools
import types
from collections.abc import Callable, Iterator
from operator import is_not
from typing import Any

from p2plab.core.tracked import is_made_in_python
from p2plab.search.objects import pin, slots_of

#: By kind of container, what it consists of.
_PARTS: dict[type, Callable[[Any], Any]] = {
    dict: lambda value: itertools.chain(value, value.values()),
    list: iter,
    set: iter,
    frozenset: iter,
    tuple: iter,
    bytearray: bytes,
    collections.deque: iter,
    types.CellType: lambda cell: _in_cell(cell),
    types.FunctionType: lambda function: (
        function.__code__,
        function.__defaults__,
        function.__kwdefaults__,
        *(function.__kwdefaults__ or {}).values(),
        function.__doc__,
        function.__name__,
        function.__qualname__,
        function.__module__,
        *function.__dict__.items(),
    ),
}
LOGGING = "how logging is set up"


#: What Python's library caches in a class on first use.
_REMEMBERED_BY_PYTHON = (
    "__slotnames__",
    "__annotations_cache__",
    "__annotations__",
    "__abstractmethods__",
    "_abc_impl",
)


class Outside:
    """Watched objects, by readable names."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[str, Any, Callable[[Any], Any]]] = {}
        self._names: dict[int, tuple[dict[str, Any], list[str]]] = {}
        self._logging = False
        self._was: list[tuple[Any, ...]] = []
        self._named: list[tuple[Any, ...]] = []

    # -- what to watch ----------------------------------------------------------------------------------------------

    def can_watch(self, value: Any) -> bool:
        """Whether a change inside an object would be seen."""
        return self._parts_of(value) is not None

    def watch(self, name: str, value: Any) -> Iterator[Any]:
        """Watch an object; returns its parts, which may have to be watched too."""
        parts = self._parts_of(value)
        if parts is None or id(value) in self._watched:
            return iter(())
        self._watched[id(value)] = name, value, parts
        if not isinstance(value, (types.CellType, types.FunctionType)):
            pin(value, name)
        return iter(list(parts(value)))

    def watch_member(self, name: str, member: Any) -> None:
        """Watch the attributes of a member of an enumeration, except what ``~`` caches in it."""
        self._watched[id(member)] = name, member, _in_member

    def watch_name(self, namespace: dict[str, Any], name: str) -> None:
        """Watch the value of a global."""
        names = self._names.setdefault(id(namespace), (namespace, []))[1]
        if name not in names:
            names.append(name)

    def watch_class(self, kind: type) -> None:
        """Watch the attributes of a class, and those of its functions."""
        if id(kind) in self._watched:
            return
        self._watched[id(kind)] = kind.__qualname__, kind, _in_class
        for member in vars(kind).values():
            if isinstance(member, types.FunctionType):
                self.watch(member.__qualname__, member)

    def watch_function(self, function: types.FunctionType) -> None:
        """Watch a function's attributes, defaults and the variables of the function around it."""
        self.watch(function.__qualname__, function)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            self.watch(name, cell)

    def watch_logging(self) -> None:
        """Watch the set-up of loggers: their output has no effect."""
        self._logging = True

    # -- looking ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Record the present state of everything."""
        self._was = [tuple(parts(value)) for _, value, parts in self._watched.values()]
        self._named = [tuple(map(space.get, names)) for space, names in self._names.values()]
        self._loggers = _loggers() if self._logging else {}

    def changed(self) -> str:
        """The name of something that changed; empty if nothing did."""
        for (space, names), was in zip(self._names.values(), self._named, strict=True):
            for name, before in zip(names, was, strict=True):
                if space.get(name) is not before:
                    return name
        for (name, value, parts), was in zip(self._watched.values(), self._was, strict=True):
            now = tuple(parts(value))
            same = len(now) == len(was) and not any(map(is_not, now, was))
            if not same and not _same_items(now, was):
                return f"{name}{_what_differs(value, was)}"
        if self._logging and any(now != self._loggers.get(name, now) for name, now in _loggers().items()):
            return LOGGING
        return ""

    def _parts_of(self, value: Any) -> Callable[[Any], Any] | None:
        kind = type(value)
        known = _PARTS.get(kind)
        if known is not None:
            return known
        if isinstance(value, (dict, list, set, collections.deque)):
            base = next(base for base in kind.__mro__ if base in _PARTS)
            return lambda thing: itertools.chain(_PARTS[base](thing), getattr(thing, "__dict__", {}).values())
        if kind is itertools.count:
            return lambda thing: (repr(thing),)
        if kind.__module__ == "numpy" and hasattr(value, "tobytes"):
            return lambda thing: (thing.dtype.str, thing.tobytes())
        if all(base is object or is_made_in_python(base) for base in kind.__mro__) and _looks_plain(kind):
            return _in_object
        return None


def _looks_plain(kind: type) -> bool:
    root = kind.__module__.partition(".")[0]
    return root not in ("contextvars", "threading", "weakref", "os", "random", "io")


def _in_object(value: Any) -> Iterator[Any]:
    attributes = getattr(value, "__dict__", {})
    yield type(value)
    yield from attributes
    yield from attributes.values()
    kind: type = type(value)
    for slot in slots_of(kind):
        yield getattr(value, slot.__name__, None)


def _in_member(member: Any) -> Iterator[Any]:
    for name, value in vars(member).items():
        if name != "_inverted_":
            yield name
            yield value


def _in_cell(cell: types.CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def _in_class(kind: type) -> Iterator[Any]:
    members = dict(vars(kind))
    for name in _REMEMBERED_BY_PYTHON:
        members.pop(name, None)
    return itertools.chain(
        (kind.__name__, kind.__qualname__, kind.__bases__),
        members,
        members.values(),
        *(_in_descriptor(member) for member in members.values() if type(member) in _WITH_ATTRIBUTES),
    )


def _in_descriptor(member: Any) -> tuple[Any, ...]:
    if type(member) is property:
        return (member.__doc__,)
    return (*vars(member), *vars(member).values())


_WITH_ATTRIBUTES = frozenset({property, staticmethod, classmethod})


def _same_items(now: tuple[Any, ...], was: tuple[Any, ...]) -> bool:
    """Whether rebuilt tuples are the same: pairs of a dict, a text, bytes."""
    return len(now) == len(was) and all(
        one is other
        or (type(one) is type(other) is tuple and len(one) == len(other) and not any(map(is_not, one, other)))
        or (type(one) is type(other) and type(one) in (str, bytes, int) and one == other)
        for one, other in zip(now, was, strict=True)
    )


def _what_differs(value: Any, was: tuple[Any, ...]) -> str:
    """``.attribute`` of a class or an object, if that is what changed."""
    attributes = vars(value) if isinstance(value, type) or hasattr(value, "__dict__") else None
    if attributes is None:
        return ""
    before = {id(part) for part in was}
    changed = [
        name for name, part in attributes.items() if id(part) not in before and name not in _REMEMBERED_BY_PYTHON
    ]
    return f".{changed[0]}" if changed else ""


def _loggers() -> dict[str, Any]:
    import logging

    loggers: dict[str, Any] = {"": logging.root}
    loggers.update(logging.root.manager.loggerDict)
    return {
        name: (
            *map(id, logger.handlers),
            *map(id, logger.filters),
            *((key, id(value)) for key, value in vars(logger).items() if key not in ("_cache", "parent")),
        )
        for name, logger in loggers.items()
        if isinstance(logger, logging.Logger)
    } | {"disable": logging.root.manager.disable}
