"""Frozen values: a hashable value that decides the whole future of a cell's content or of an actor's coroutines.

An actor's *local configuration* is its coroutine with everything that hangs on it: code, position, locals, closure
cells and the half-evaluated expressions on the value stack (the iterator of a ``for`` loop lives there, and nowhere
else). Mutable objects are numbered at the first visit, so that two names for one list differ from two equal lists.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import gc
import types
from collections.abc import Callable
from typing import Any

from p2plab.core.actors import Op
from p2plab.core.containers import TRACKED_CONTAINERS
from p2plab.core.errors import P2PError
from p2plab.core.iterators import TrackedIterator
from p2plab.core.tracked import Tracked, cells_of, name_of
from p2plab.search.frames import number_of, parts_of

#: A cell by name: an object's name, and an attribute of it.
CellName = tuple[str, str]


class Unfreezable(P2PError):
    """A value that cannot be part of a state; the text says what it is and where it was found."""


class Freezer:
    """Freezes one cell or one actor. ``held`` collects the cells whose container an actor refers to by itself."""

    def __init__(self, cell: CellName | None = None) -> None:
        self.cell = cell
        self.held: set[CellName] = set()
        self._seen: dict[int, tuple[int, Any]] = {}
        self._own: set[int] = set()  #: ids of iterators that only one frame refers to

    def whole(self, value: Any) -> Any:
        """The frozen value; :exc:`Unfreezable` for an open file, a lock of the operating system and their like."""
        try:
            return self.freeze(value)
        except RecursionError:
            raise Unfreezable("calls inside calls inside calls: they nest too deep to be looked at") from None

    @property
    def sealed(self) -> bool:
        """Whether no other actor's step could change what was frozen, as far as can be told from its parts.

        It could through a mutable object that both reach: a list, a dict, a plain object. Frames and the operations of
        ``core`` belong to one actor alone; for a closure's cell, ask :func:`~p2plab.search.frames.rebinding` as well.
        """
        return all(
            isinstance(value, _OF_ONE_ACTOR) or type(value).__module__.startswith("p2plab.core.")
            for key, (_, value) in self._seen.items()
            if key not in self._own
        )

    def freeze(self, value: Any) -> Any:
        """As :meth:`whole`, for a part of a value."""
        kind = type(value)
        if kind is int or kind is str or value is None:
            return value
        if kind in _ATOMS:  # 1 == True == 1.0 in Python; a state must not confuse them
            return (kind.__name__, repr(value)) if kind is float or kind is complex else (kind.__name__, value)
        if kind is tuple:
            return ("tuple", *map(self.freeze, value))
        if isinstance(value, Tracked):
            return ("object", name_of(value))
        known = _CONSTANTS.get(id(value))
        if known is not None:
            return known[1]
        by_kind = _BY_KIND.get(kind)
        if by_kind is not None:
            return by_kind(self, value)
        if isinstance(value, TRACKED_CONTAINERS):
            return self._container(value)
        return self._other(kind, value)

    # -- by kind ----------------------------------------------------------------------------------------------------

    def _other(self, kind: type, value: Any) -> Any:
        if isinstance(value, enum.Enum):
            return ("enum", kind.__qualname__, value.name)
        if isinstance(value, type):
            return ("class", value.__module__, value.__qualname__)
        if dataclasses.is_dataclass(value) and kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            return self._frozen_dataclass(kind, value)
        if isinstance(value, tuple):  # a named tuple
            return (kind.__qualname__, *map(self.freeze, value))
        number = self._number(value)
        if number is not None:
            return number
        if isinstance(value, BaseException):
            return ("exception", kind.__qualname__, self.freeze(value.args), self.freeze(value.__dict__))
        if kind.__name__ == "coroutine_wrapper":
            return ("awaiting", *map(self.freeze, gc.get_referents(value)))
        if kind.__module__ == "builtins" and kind.__name__ in _ITERATORS:
            return self._iterator(kind, value)
        return self._plain_object(kind, value)

    def _number(self, value: Any) -> tuple[str, int] | None:
        """None at the first visit of a mutable object; its number afterwards. Keeps it alive: ids stay unique."""
        known = self._seen.get(id(value))
        if known is not None:
            return ("again", known[0])
        self._seen[id(value)] = (len(self._seen), value)
        return None

    def _container(self, value: Any) -> Any:
        if value.cell is None:  # set algebra made it: a plain local value
            return self._number(value) or ("set", *map(self.freeze, value._items))
        owner, attribute = value.cell
        name = (name_of(owner), attribute)
        if name == self.cell:
            return _content(self, value)
        if cells_of(owner).get(attribute) is value:
            self.held.add(name)
            return ("in cell", *name)
        if self.cell is None:
            raise Unfreezable(
                f"a driver keeps a list, dict or set of {'.'.join(name)} across an await, one inside another or one "
                "that was replaced since: look it up again after the await"
            )
        raise Unfreezable(f"{'.'.join(self.cell)} holds a container of {'.'.join(name)}")

    def _frozen_dataclass(self, kind: type, value: Any) -> Any:
        fields = [field.name for field in dataclasses.fields(value) if field.compare]
        frozen = (kind.__qualname__, *(self.freeze(getattr(value, name)) for name in fields))
        if all(_is_constant(getattr(value, name)) for name in fields):
            if len(_CONSTANTS) >= _MOST_CONSTANTS:
                _CONSTANTS.clear()
            _CONSTANTS[id(value)] = (value, frozen)
        return frozen

    def _plain_object(self, kind: type, value: Any) -> Any:
        if not all(base is object or base.__flags__ & _HEAP_TYPE for base in kind.__mro__):
            raise Unfreezable(f"a {kind.__module__}.{kind.__qualname__} cannot be part of a state: {value!r:.60}")
        if self.cell is not None:
            raise Unfreezable(f"{'.'.join(self.cell)} reaches a {kind.__qualname__}: changes inside it would go unseen")
        slots = [name for base in kind.__mro__ for name in _slots(base)]
        parts = [(name, self.freeze(getattr(value, name))) for name in slots if hasattr(value, name)]
        if not parts and not getattr(value, "__dict__", None):
            raise Unfreezable(f"a {kind.__qualname__} with nothing but its identity cannot be part of a state")
        return ("plain", kind.__qualname__, tuple(parts), self.freeze(getattr(value, "__dict__", None)))

    def _iterator(self, kind: type, value: Any) -> Any:
        reduced = value.__reduce__()
        if any(isinstance(part, TRACKED_CONTAINERS) for part in reduced[1]):
            raise Unfreezable(f"a {kind.__name__} over shared state is kept across an await: iterate over list(…)")
        return ("own iterator" if id(value) in self._own else "iterator", kind.__name__, self.freeze(reduced[1:]))

    def _tracked_iterator(self, value: TrackedIterator) -> Any:
        if self.cell is not None:
            raise Unfreezable(f"{'.'.join(self.cell)} holds an iterator")
        number = self._number(value)
        return number or ("iterating", self.freeze(value.container), value.position, value.size)

    def _operation(self, value: Op) -> Any:
        if self.cell is not None:
            raise Unfreezable(f"{'.'.join(self.cell)} holds an operation that is to be awaited")
        calls = (value.effect, value.guard, value.waits_for)
        return ("op", value.label, value.idle, *(None if call is None else self.freeze(call) for call in calls))

    def _function(self, value: types.FunctionType) -> Any:
        if value.__closure__ is None and value.__defaults__ is None and value.__kwdefaults__ is None:
            return ("function", number_of(value.__code__))
        cells = tuple(map(self.freeze, value.__closure__ or ()))
        return ("function", number_of(value.__code__), cells, self.freeze((value.__defaults__, value.__kwdefaults__)))

    def _closure_cell(self, value: types.CellType) -> Any:
        number = self._number(value)
        if number is not None:
            return number
        try:
            return ("cell", self.freeze(value.cell_contents))
        except ValueError:
            return ("empty cell",)

    def _builtin(self, value: types.BuiltinFunctionType) -> Any:
        owner = value.__self__
        bound = None if owner is None or isinstance(owner, types.ModuleType) else self.freeze(owner)
        return ("builtin", value.__name__, bound)

    def _mutable(self, value: Any) -> Any:
        if self.cell is not None:
            raise Unfreezable(f"{'.'.join(self.cell)} reaches a plain {type(value).__name__}: changes would go unseen")
        return self._number(value) or _content(self, value)

    def _frame(self, value: Any) -> Any:
        if self.cell is not None:
            raise Unfreezable(f"{'.'.join(self.cell)} holds a {type(value).__name__}")
        return self._number(value) or self._frame_of(value)

    def _frame_of(self, value: Any) -> Any:
        code, position, names, parts, own = parts_of(value)
        self._own |= own
        return ("frame", code, position, names, *map(self.freeze, parts))


def _content(freezer: Freezer, value: Any) -> Any:
    name = type(value).__name__.removeprefix("Tracked").lower()
    if isinstance(value, dict):
        return (name, *((freezer.freeze(key), freezer.freeze(item)) for key, item in dict.items(value)))
    if isinstance(value, (set, frozenset)):
        return (name, frozenset(map(freezer.freeze, value)))
    if isinstance(value, list):
        return (name, *map(freezer.freeze, list.__iter__(value)))
    return (name, *map(freezer.freeze, getattr(value, "_items", value)))


def _slots(base: type) -> tuple[str, ...]:
    slots = base.__dict__.get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


def _is_constant(value: Any) -> bool:
    """Whether nothing inside of it can ever change or depend on the world."""
    if value is None or type(value) in _ATOMS or type(value) in (int, str) or isinstance(value, (enum.Enum, type)):
        return True
    if isinstance(value, (tuple, frozenset)):
        return all(map(_is_constant, value))
    return id(value) in _CONSTANTS


def _method(freezer: Freezer, value: types.MethodType) -> Any:
    return ("method", freezer.freeze(value.__func__), freezer.freeze(value.__self__))


_HEAP_TYPE = 1 << 9
_OF_ONE_ACTOR = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType, types.CellType)
_ATOMS = frozenset({bytes, bool, float, complex, range, slice, type(...)})
_SOME_ITERATORS = (
    *map(iter, ([], (), range(1), {}, {}.values(), {}.items(), set(), "", b"")),
    reversed([]), reversed({}), iter(range(1 << 70)), enumerate([]), zip(), map(len, []), filter(None, []),
)  # fmt: skip
_ITERATORS = frozenset({type(iterator).__name__ for iterator in _SOME_ITERATORS} | {"reversed"})
#: Values that never change, by id, with what they freeze to; each is kept alive so that its id stays its own.
_CONSTANTS: dict[int, tuple[Any, Any]] = {}
_MOST_CONSTANTS = 5_000

_BY_KIND: dict[type, Callable[[Freezer, Any], Any]] = {
    list: Freezer._mutable,
    dict: Freezer._mutable,
    set: Freezer._mutable,
    collections.deque: Freezer._mutable,
    frozenset: lambda freezer, value: ("frozenset", frozenset(map(freezer.freeze, value))),
    Op: Freezer._operation,
    types.FunctionType: Freezer._function,
    types.CellType: Freezer._closure_cell,
    types.MethodType: _method,
    types.BuiltinFunctionType: Freezer._builtin,
    types.MethodWrapperType: lambda freezer, value: ("wrapper", value.__name__, freezer.freeze(value.__self__)),
    types.CoroutineType: Freezer._frame,
    types.GeneratorType: Freezer._frame,
    types.AsyncGeneratorType: Freezer._frame,
    types.TracebackType: lambda _freezer, _value: ("traceback",),  # line numbers decide nothing
    types.ModuleType: lambda _freezer, value: ("module", value.__name__),
    TrackedIterator: Freezer._tracked_iterator,
    **dict.fromkeys(
        (types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType),
        lambda _freezer, value: ("descriptor", value.__objclass__.__qualname__, value.__name__),
    ),
}
