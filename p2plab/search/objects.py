"""What Python objects consist of, as far as a search must know: their parts, and the cell that holds each.

A mutable object that has no cells belongs to the first cell that reaches it. That depends only on the cells' contents, so it
is the same on every path to a state.
"""

from __future__ import annotations

import collections
import contextlib
import enum
import functools
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

from p2plab.core.tracked import TRACKED_CONTAINERS, Tracked, TrackedSet, is_made_in_python

#: A cell by name: an object's name, and an attribute of it.
CellName = tuple[str, str]
#: By id, the mutable objects inside cells: the cell, the number within it, and the object itself.
Homes = dict[int, tuple[CellName, int, Any]]

LAYOUT = (types.MemberDescriptorType, types.GetSetDescriptorType)
#: Built-in values that a class may derive from, and what gives the plain value.
VALUES: dict[type, Callable[[Any], Any]] = {
    int: int.__int__, float: float.__float__, str: str.__str__, bytes: lambda value: bytes(memoryview(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)), frozenset: frozenset,
}  # fmt: skip
STORES = frozenset({list, dict, set, collections.deque})
ATOMS = frozenset({bytes, bool, float, complex, range, slice, type(...)})
#: Constants of modules, by id. Changes in them are watched elsewhere.
PINNED: dict[int, tuple[Any, Any]] = {}


def homes_of(cells: Iterable[tuple[CellName, Any]]) -> Homes:
    """For each mutable object without cells, its place: the first cell that reaches it, and the number within it.

    That depends only on the cells' contents, so it is the same on every path to a state. ``cells``: in a fixed order.
    """
    homes: Homes = {}
    for cell, value in cells:
        count = 0
        todo = [value]
        seen: set[int] = set()
        while todo:
            here = todo.pop()
            if type(here) in ATOMS or type(here) in (int, str) or here is None or id(here) in seen:
                continue
            if isinstance(here, (Tracked, enum.Enum, type, types.ModuleType)) or id(here) in PINNED:
                continue
            seen.add(id(here))
            parts = _parts_of(here)
            if _can_change(here):
                if id(here) in homes:
                    continue
                homes[id(here)] = (cell, count, here)
                count += 1
            todo += reversed(parts)
    return homes


def refers_to(frozen: Any) -> tuple[CellName, ...]:
    """The cells that hold objects to which a frozen value refers, each once."""
    if not isinstance(frozen, tuple):
        return tuple(sorted({cell for part in frozen for cell in refers_to(part)})) if type(frozen) is frozenset else ()
    if len(frozen) == 3 and frozen[0] == "in" and type(frozen[1]) is tuple:
        return (frozen[1],)
    return tuple(dict.fromkeys(cell for part in frozen for cell in refers_to(part)))


def _can_change(value: Any) -> bool:
    kind = type(value)
    if kind in (tuple, frozenset, types.FunctionType, types.MethodType) or isinstance(value, TRACKED_CONTAINERS):
        return False
    return not is_frozen_dataclass(kind) and (base_of(kind) not in VALUES)


def _parts_of(value: Any) -> list[Any]:
    """The parts of a value, as far as something in it may change."""
    kind: Any = type(value)
    parts: list[Any] = []
    if isinstance(value, dict):
        parts = [part for item in dict.items(value) for part in item]
    elif isinstance(value, (list, tuple, set, frozenset, collections.deque)):
        base: Any = next(base for base in kind.__mro__ if base in (list, tuple, set, frozenset, collections.deque))
        parts = list(base.__iter__(value))
    elif isinstance(value, TrackedSet):
        parts = list(value._items)
    elif kind is types.FunctionType:
        parts = [*(value.__closure__ or ()), *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    elif kind is types.CellType:
        with contextlib.suppress(ValueError):
            parts = [value.cell_contents]
    elif kind is types.MethodType:
        parts = [value.__self__]
    elif kind is functools.partial:
        parts = [value.func, *value.args, *value.keywords.values()]
    if kind not in (list, dict, tuple, set, frozenset):
        parts += (slot.__get__(value) for slot in slots_of(kind) if slot.__name__ != "cell" and is_bound(slot, value))
        parts += (dict_of(value) or {}).values()
    return parts


def dict_of(value: Any) -> dict[str, Any] | None:
    """An object's own ``__dict__``, even if its class redefines that name."""
    try:
        attributes: dict[str, Any] = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return attributes


def pin(value: Any, name: str) -> None:
    """Register a constant of a module: it never changes and is the same in every world, so its name identifies it."""
    PINNED.setdefault(id(value), (value, ("outside", name, len(PINNED))))


def is_frozen_dataclass(kind: type) -> bool:
    """Whether instances of a class are values: frozen dataclasses."""
    parameters = getattr(kind, "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


def is_numpy_scalar(kind: type) -> bool:
    """Whether it is one of numpy's kinds of number."""
    return kind.__module__ == "numpy" and any(base.__name__ == "generic" for base in kind.__mro__)


def is_importable(kind: type) -> bool:
    """Whether it is the class found under its name: made once, not once for each world."""
    found: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        found = getattr(found, "__dict__", {}).get(name)
    return found is kind


def base_of(kind: type) -> type:
    """The built-in class that a class derives from."""
    return next((base for base in kind.__mro__ if base in VALUES or base in STORES), object)


@functools.lru_cache(maxsize=1_000)
def slots_of(kind: type) -> tuple[types.MemberDescriptorType, ...]:
    """The slots of a class, in order: those that Python code has declared."""
    return tuple(
        member
        for base in kind.__mro__
        if is_made_in_python(base)
        for member in vars(base).values()
        if type(member) is types.MemberDescriptorType
    )


@functools.lru_cache(maxsize=1_000)
def fields_of_exception(kind: type) -> tuple[str, ...]:
    return tuple(
        name
        for base in kind.__mro__
        if not is_made_in_python(base)
        for name, member in vars(base).items()
        if isinstance(member, LAYOUT) and name not in ("__traceback__", "__dict__")
    )


def is_bound(slot: types.MemberDescriptorType, value: Any) -> bool:
    try:
        slot.__get__(value)
    except AttributeError:
        return False
    return True
