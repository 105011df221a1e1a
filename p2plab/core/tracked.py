"""Shared state that notices by itself who reads and who writes it.

Every attribute of a :class:`Tracked` object is a *cell*. While a step runs, each cell read and each cell written goes
into the step's :class:`Footprint`, in program order; nobody declares a footprint by hand, because a forgotten one would
make a search over all orders miss bugs silently. Lists, dicts and sets become tracked containers when they are assigned
(a whole container is one cell); other mutable objects are refused, since their changes could not be seen.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from typing import Any

from p2plab.core.errors import P2PError
from p2plab.core.running import running

Cell = tuple["Tracked", str]

_get = object.__getattribute__
_set = object.__setattr__


class Untrackable(P2PError, TypeError):
    """A value that cannot be shared state, because a change inside it would go unseen."""


class Footprint:
    """The cells that one step read (before writing them itself) and wrote, each in program order."""

    __slots__ = ("reads", "writes")

    def __init__(self) -> None:
        self.reads: dict[Cell, None] = {}
        self.writes: dict[Cell, None] = {}

    def read(self, cell: Cell) -> None:
        """Note a read, unless the step is looking at what it wrote itself."""
        if cell not in self.writes:
            self.reads[cell] = None

    def write(self, cell: Cell) -> None:
        """Note a write."""
        self.writes[cell] = None

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The same as text: (cells read, cells written), each ``object.attribute``."""
        reads, writes = ([f"{name_of(o)}.{attribute}" for o, attribute in cells] for cells in (self.reads, self.writes))
        return tuple(reads), tuple(writes)


class Tracked:
    """Base of every object that two actors may share. Assign attributes as in any class; they are cells."""

    __slots__ = ("__dict__", "__weakref__", "_tracked_name")

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        self = object.__new__(cls)
        world = running.world
        _set(self, "_tracked_name", cls.__name__ if world is None else world.register(self))
        return self

    def __getattribute__(self, name: str) -> Any:
        footprint = running.footprint
        if footprint is None or name[:2] == "__":
            if footprint is not None and name == "__dict__":
                raise Untrackable(
                    f"read the attributes of {name_of(self)} by name: __dict__ would hide which were read"
                )
            return _get(self, name)
        # A method is not a cell; a class's default value is one, because an assignment would hide it.
        if name in _get(self, "__dict__") or not isinstance(getattr(type(self), name, None), _CODE):
            footprint.read((self, name))
        return _get(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if type(value) not in _ATOMS:
            value = tracked_value(value, (self, name))
        if running.footprint is not None:
            running.footprint.write((self, name))
        _set(self, name, value)

    def __delattr__(self, name: str) -> None:
        if running.footprint is not None:
            running.footprint.write((self, name))
        object.__delattr__(self, name)

    def __repr__(self) -> str:
        return f"<{name_of(self)}>"


def name_of(thing: Tracked) -> str:
    """The name the world gave: the same in every replay, whatever the order of the other actors' steps."""
    name: str = _get(thing, "_tracked_name")
    return name


def cells_of(thing: Tracked) -> dict[str, Any]:
    """The cells of an object, looked at from outside: nothing is recorded."""
    cells: dict[str, Any] = _get(thing, "__dict__")
    return cells


_CODE = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    property,
    classmethod,
    staticmethod,
)
_ATOMS = frozenset({int, str, bytes, bool, float, type(None), range})
_CALLABLE = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def tracked_value(value: Any, cell: Cell) -> Any:
    """``value`` as it may be stored in ``cell``: containers wrapped; :exc:`Untrackable` where changes would be lost."""
    from p2plab.core.containers import TRACKED_CONTAINERS, wrap

    kind = type(value)
    if kind in _ATOMS or isinstance(value, (Tracked, enum.Enum, type, *_CALLABLE)):
        return value
    if kind in (list, dict, set):
        return wrap(value, cell)
    if isinstance(value, TRACKED_CONTAINERS):
        if value.cell is None:
            return wrap(set(value), cell)
        if value.cell != cell:
            owner = ".".join((name_of(value.cell[0]), value.cell[1]))
            raise Untrackable(
                f"{_cell_name(cell)} cannot be the same {kind.__name__[7:].lower()} as {owner}: share the object "
                "that owns it, or store a copy"
            )
        return value
    if isinstance(value, (tuple, frozenset)):
        _check_items(value, cell)
        return value
    if dataclasses.is_dataclass(value) and kind.__dataclass_params__.frozen:
        return value
    raise Untrackable(
        f"{_cell_name(cell)} cannot hold a {kind.__name__}: changes inside it could not be seen. Allowed are numbers, "
        "text, bytes, tuples, lists, dicts, sets, enums, frozen dataclasses, functions and Tracked objects"
    )


def _check_items(items: tuple[Any, ...] | frozenset[Any], cell: Cell) -> None:
    for item in items:
        if type(item) in (list, dict, set):
            kind = type(item).__name__
            raise Untrackable(f"{_cell_name(cell)} cannot hold a {kind} inside a {type(items).__name__}: use a tuple")
        tracked_value(item, cell)


def _cell_name(cell: Cell) -> str:
    return f"{name_of(cell[0])}.{cell[1]}"


def freeze(value: Any) -> Any:
    """A hashable value, equal in every replay, that says all there is to say about the content of a cell."""
    if type(value) in _ATOMS:
        # 1 == True == 1.0 in Python; a state must not confuse them.
        return value if type(value) in (int, str) else (type(value).__name__, value)
    if isinstance(value, Tracked):
        return ("object", name_of(value))
    if isinstance(value, dict):
        return ("dict", *((freeze(key), freeze(item)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, *(freeze(item) for item in value))
    if isinstance(value, (frozenset, set)):
        return ("frozenset", frozenset(freeze(item) for item in value))
    if isinstance(value, types.MethodType):
        return ("method", value.__func__.__qualname__, freeze(value.__self__))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return (type(value).__qualname__, *(freeze(getattr(value, field.name)) for field in fields))
    if hasattr(value, "__qualname__"):
        return (type(value).__name__, value.__module__, value.__qualname__)
    if isinstance(value, enum.Enum):
        return ("enum", type(value).__qualname__, value.name)
    if hasattr(value, "__iter__"):  # a TrackedSet, whose order of insertion is part of what a step may see
        return ("set", *(freeze(item) for item in value))
    raise Untrackable(f"a {type(value).__name__} cannot be part of a state")
