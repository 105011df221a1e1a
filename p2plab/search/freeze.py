"""Frozen values: a hashable value that decides the whole future of a cell's content or of an actor's coroutines.

An actor's *local configuration* is its coroutine with everything attached to it: code, position, locals, closure
cells and the half-evaluated expressions on the value stack (the iterator of a ``for`` loop lives there, and nowhere
else). Mutable objects are numbered at the first visit, so that two names for one list differ from two equal lists.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import gc
import itertools
import re
import struct
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from p2plab.core.actors import Op
from p2plab.core.errors import P2PError
from p2plab.core.tracked import (
    TRACKED_CONTAINERS,
    Tracked,
    TrackedIterator,
    cells_of,
    is_exact_number,
    is_made_in_python,
    name_of,
)
from p2plab.search.frames import number_of, parts_of
from p2plab.search.objects import (
    ATOMS,
    LAYOUT,
    PINNED,
    VALUES,
    CellName,
    Homes,
    base_of,
    dict_of,
    fields_of_exception,
    is_bound,
    is_frozen_dataclass,
    is_importable,
    is_numpy_scalar,
    slots_of,
)

_NO_HOMES: Homes = {}
#: Text from this length on is large; it is remembered up to so much together, until all is forgotten.
_LARGE, _MUCH = 4_096, 1 << 28
_TEXTS: dict[str | bytes, str | bytes] = {}


class Unfreezable(P2PError):
    """A value that cannot be part of a state; the text says what and where it is."""


def one_of(text: str | bytes) -> str | bytes:
    """The same text; if it is large, one object for all that are equal, so that comparing two states is quick."""
    if len(text) < _LARGE:
        return text
    if text not in _TEXTS and sum(map(len, _TEXTS)) > _MUCH:
        _TEXTS.clear()
    return _TEXTS.setdefault(text, text)


class Freezer:
    """Freezes one cell or one actor. ``held`` collects the cells whose container an actor refers to by itself."""

    def __init__(self, cell: CellName | None = None, homes: Homes | None = None) -> None:
        self.cell = cell
        self.homes = _NO_HOMES if homes is None else homes
        self.held: set[CellName] = set()
        self.inside: set[CellName] = set()  #: cells that hold an object that is referred to
        self._seen: dict[int, tuple[int, Any]] = {}
        self._own: set[int] = set()  #: ids of iterators that only one frame refers to

    def whole(self, value: Any) -> Any:
        """The frozen value; :exc:`Unfreezable` for an open file, an operating system lock and the like."""
        try:
            return self.freeze(value)
        except RecursionError:
            raise Unfreezable("calls inside calls inside calls: they nest too deep to be looked at") from None

    @property
    def sealed(self) -> bool:
        """Whether no other actor's step could change what was frozen, judging by its parts.

        It could through a mutable object that both reach: a list, a dict, a plain object. Frames and the operations of
        ``core`` belong to one actor alone; for a closure's cell, ask :func:`~p2plab.search.frames.rebinding` as well.
        """
        return not self.inside and all(
            isinstance(value, _OF_ONE_ACTOR) or type(value).__module__.startswith("p2plab.core.")
            for key, (_, value) in self._seen.items()
            if key not in self._own
        )

    def freeze(self, value: Any) -> Any:
        """As :meth:`whole`, for a part of a value."""
        kind = type(value)
        if kind is int or value is None:
            return value
        if kind is str:
            return one_of(value)
        if kind is bytes:
            return ("bytes", one_of(value))
        if kind in ATOMS:  # 1 == True == 1.0 in Python; a state must not confuse them
            return (kind.__name__, _bits_of(value)) if kind is float or kind is complex else (kind.__name__, value)
        if kind is tuple:
            return ("tuple", *map(self.freeze, value))
        if isinstance(value, Tracked):
            return ("object", name_of(value))
        known = _CONSTANTS.get(id(value)) or PINNED.get(id(value))
        if known is not None:
            return known[1]
        by_kind = _BY_KIND.get(kind)
        if by_kind is not None:
            return by_kind(self, value)
        if isinstance(value, TRACKED_CONTAINERS):
            return self._container(value)
        return self._other(kind, value)

    def in_order(self, items: Iterable[Any]) -> tuple[Any, ...]:
        """The elements of a built-in set. Their order counts where it follows from their values.

        Where it follows from addresses it differs from world to world, which exposes a driver that depends on it.
        """
        frozen = tuple(map(self.freeze, items))
        if all(type(item) in _ORDERED or item is None for item in items):
            return frozen
        return (frozenset(frozen),)

    # -- by kind ----------------------------------------------------------------------------------------------------

    def _other(self, kind: type, value: Any) -> Any:
        if isinstance(value, enum.Enum):  # a combination of flags has no name that is the same in every version
            return (
                "enum",
                self._class(kind),
                value._name_ if value._name_ in vars(kind)["_member_map_"] else repr(value._value_),
            )
        if isinstance(value, type):
            return self._class(value)
        if kind in _CONSTANT_KINDS:
            return ("constant", id(value))
        if is_frozen_dataclass(kind):
            return self._frozen_dataclass(kind, value)
        base = base_of(kind)
        if base in VALUES:  # a named tuple, a subclass of a number or of str
            content = (
                tuple(map(self.freeze, tuple.__iter__(value))) if base is tuple else self.freeze(VALUES[base](value))
            )
            return ("value", self._class(kind), content, self._attributes(kind, value))
        if is_numpy_scalar(kind):
            return ("numpy", value.dtype.str, value.tobytes())
        if is_exact_number(kind):
            return ("number", kind.__qualname__, str(value))
        number = self._number(value)
        if number is not None:
            return number
        if base in _BY_KIND:  # a defaultdict, a Counter, a subclass of list
            return (self._class(kind), _content(self, value), self._attributes(kind, value))
        if isinstance(value, BaseException):
            return (
                "exception",
                self._class(kind),
                self._attributes(kind, value),
                *self._state_of_exception(kind, value),
            )
        if kind.__name__ in _AWAITING and kind.__module__ == "builtins":
            return ("awaiting", kind.__name__, *map(self.freeze, gc.get_referents(value)))
        if (kind.__module__ == "builtins" and kind.__name__ in _ITERATORS) or kind in _OF_ITERTOOLS:
            return self._iterator(kind, value)
        return self._plain_object(kind, value)

    def _class(self, kind: type) -> Any:
        """A class by its number; one that is made in a step (a new one in each world) by its content."""
        known = _CLASSES.get(id(kind))
        if known is not None:
            return known[1]
        if is_importable(kind):
            _CLASSES[id(kind)] = kind, ("class", kind.__qualname__, len(_CLASSES))
            return _CLASSES[id(kind)][1]
        number = self._number(kind)
        if number is not None:
            return number
        if type(kind) is not type:
            raise Unfreezable(
                f"the class {kind.__qualname__} is made in a function, and by {type(kind).__qualname__}: define it outside"
            )
        members = tuple(
            (name, self._member(member))
            for name, member in vars(kind).items()
            if name not in _OF_EVERY_CLASS and not isinstance(member, LAYOUT)
        )
        return ("class made here", kind.__qualname__, tuple(map(self._class, kind.__bases__)), members)

    def _member(self, member: Any) -> Any:
        if isinstance(member, (staticmethod, classmethod)):
            return (type(member).__name__, self.freeze(member.__func__))
        if isinstance(member, property):
            return ("property", *map(self.freeze, (member.fget, member.fset, member.fdel)))
        if isinstance(member, types.MappingProxyType):  # the fields of a dataclass, which its methods were made from
            return ("fields", *member)
        return self.freeze(member)

    def _attributes(self, kind: type, value: Any) -> Any:
        """What an object has in slots and in its ``__dict__``."""
        slots = tuple(
            (number, self.freeze(slot.__get__(value)))
            for number, slot in enumerate(slots_of(kind))
            if is_bound(slot, value)
        )
        attributes = dict_of(value)
        if not attributes:
            return slots
        return (*slots, *((name, self.freeze(item)) for name, item in attributes.items()))

    def _state_of_exception(self, kind: type, value: BaseException) -> Iterator[Any]:
        """The C part of an exception: its arguments, its cause, an errno; not the lines that it passed."""
        for name in fields_of_exception(kind):
            yield self.freeze(getattr(value, name, None))

    def _number(self, value: Any) -> tuple[Any, ...] | None:
        """None at the first visit of a mutable object; its number afterwards. Keeps it alive: ids stay unique."""
        known = self._seen.get(id(value))
        if known is not None:
            return ("again", known[0])
        home = self.homes.get(id(value))
        if home is not None and home[0] != self.cell:
            self.inside.add(home[0])
            return ("in", home[0], home[1])
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
        if not kind.__module__.startswith("p2plab."):
            return ("value", self._class(kind), self._attributes(kind, value))
        # `frozen` cannot be bypassed here, and fields that are not compared follow from the others.
        names = [field.name for field in dataclasses.fields(value) if field.compare]
        fields = [getattr(value, name) for name in names]
        frozen = ("value", self._class(kind), *map(self.freeze, fields))
        if all(map(_is_constant, fields)):
            if len(_CONSTANTS) >= _MOST_CONSTANTS:
                _CONSTANTS.clear()
            _CONSTANTS[id(value)] = (value, frozen)
        return frozen

    def _plain_object(self, kind: type, value: Any) -> Any:
        if kind is not types.SimpleNamespace and not all(
            base is object or is_made_in_python(base) for base in kind.__mro__
        ):
            raise Unfreezable(f"a {kind.__module__}.{kind.__qualname__} cannot be part of a state")
        if self.cell is not None and id(value) not in self.homes:
            raise Unfreezable(f"{'.'.join(self.cell)} reaches a {kind.__qualname__}: changes inside it would go unseen")
        attributes = self._attributes(kind, value)
        if not attributes and self.cell is None:
            raise Unfreezable(f"a {kind.__qualname__} with nothing but its identity cannot be part of a state")
        return ("plain", self._class(kind), attributes)

    def _iterator(self, kind: type, value: Any) -> Any:
        reduced = _reduced(value) if kind in _OF_ITERTOOLS else value.__reduce__()
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
        bare = value.__closure__ is None and value.__defaults__ is None and value.__kwdefaults__ is None
        if bare and not value.__dict__:
            return ("function", number_of(value.__code__))
        number = self._number(value) if value.__dict__ else None
        if number is not None:
            return number
        cells = tuple(map(self.freeze, value.__closure__ or ()))
        defaults = self.freeze(value.__defaults__), _items_of(self, value.__kwdefaults__)
        return ("function", number_of(value.__code__), cells, defaults, _items_of(self, value.__dict__))

    def _partial(self, value: functools.partial[Any]) -> Any:
        number = self._number(value)
        if number is not None:
            return number
        given = self.freeze(value.args), _items_of(self, value.keywords), _items_of(self, value.__dict__)
        return ("partial", self.freeze(value.func), *given)

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
        return ("builtin", value.__module__, value.__name__, bound)

    def _mutable(self, value: Any) -> Any:
        if self.cell is not None and id(value) not in self.homes:
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


def _bits_of(value: float | complex) -> Any:
    """What tells two numbers apart that are not the same: -0.0 and 0.0, and the bits of a nan."""
    if value == value:
        return repr(value)
    parts = (value.real, value.imag) if isinstance(value, complex) else (value,)
    return ("nan", struct.pack(f"{len(parts)}d", *parts))


def _reduced(value: Any) -> tuple[Any, ...]:
    """What an iterator of itertools consists of. Python 3.14 no longer says it of most of them."""
    if type(value) is itertools.pairwise:
        return (itertools.pairwise, tuple(gc.get_referents(value)))  # it has nothing else
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        reduced: tuple[Any, ...] = value.__reduce__()
    return reduced


def _module(_freezer: Freezer, value: types.ModuleType) -> Any:
    """A module that can be imported by its name; what one that a driver made has in it is not seen."""
    if sys.modules.get(value.__name__) is not value:
        raise Unfreezable("a module that was made by hand cannot be part of a state")
    return ("module", value.__name__)


def _content(freezer: Freezer, value: Any) -> Any:
    name = type(value).__name__.removeprefix("Tracked").lower()
    if isinstance(value, dict):
        items = ((freezer.freeze(key), freezer.freeze(item)) for key, item in dict.items(value))
        if isinstance(value, collections.defaultdict):
            return (name, freezer.freeze(value.default_factory), *items)
        return (name, *items)
    if isinstance(value, (set, frozenset)):
        return (name, *freezer.in_order(value))
    if isinstance(value, list):
        return (name, *map(freezer.freeze, list.__iter__(value)))
    if isinstance(value, collections.deque):
        return (name, value.maxlen, *map(freezer.freeze, collections.deque.__iter__(value)))
    return (name, *map(freezer.freeze, value._items))


def _items_of(freezer: Freezer, value: dict[str, Any] | None) -> Any:
    return None if value is None else tuple((name, freezer.freeze(item)) for name, item in value.items())


def _is_constant(value: Any) -> bool:
    """Whether nothing inside can ever change or depend on the world."""
    if value is None or type(value) in ATOMS or type(value) in (int, str) or isinstance(value, (enum.Enum, type)):
        return True
    if isinstance(value, (tuple, frozenset)):
        return all(map(_is_constant, value))
    return id(value) in _CONSTANTS


def _method(freezer: Freezer, value: types.MethodType) -> Any:
    return ("method", freezer.freeze(value.__func__), freezer.freeze(value.__self__))


#: What every class has, or a decorator of the standard library adds.
_OF_EVERY_CLASS = frozenset({
    "__module__", "__qualname__", "__doc__", "__annotations__", "__slots__", "__match_args__", "__dataclass_params__",
    "__dataclass_fields__",
    "__firstlineno__", "__static_attributes__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__hash__",
})  # fmt: skip
#: Elements whose place in a set follows from their values and from what was there before.
_ORDERED = frozenset({int, bool, float, str, bytes, type(None)})
#: The iterator that ``await`` makes of a coroutine or of a step of an asynchronous generator.
_AWAITING = frozenset({"coroutine_wrapper", "async_generator_asend", "async_generator_athrow", "anext_awaitable"})
_CONSTANT_KINDS = frozenset({type(NotImplemented), type(dataclasses.MISSING)})
#: Classes that are found under their name, by id, with what they freeze to.
_CLASSES: dict[int, tuple[type, Any]] = {}
_OF_ONE_ACTOR = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType, types.CellType)
_SOME_ITERATORS = (
    *map(iter, ([], (), range(1), {}, {}.values(), {}.items(), set(), "", b"")),
    reversed([]), reversed({}), iter(range(1 << 70)), enumerate([]), zip(), map(len, []), filter(None, []),
)  # fmt: skip
_ITERATORS = frozenset({type(iterator).__name__ for iterator in _SOME_ITERATORS} | {"reversed"})
#: The iterators of itertools, as far as their state can be asked for.
_OF_ITERTOOLS = frozenset(
    kind
    for kind in vars(itertools).values()
    if isinstance(kind, type)
    and (kind is itertools.pairwise or "__reduce__" in vars(kind))
    and kind.__name__ not in ("groupby", "tee")
)
#: Values that never change, by id, with what they freeze to; each is kept alive so that its id is not reused.
_CONSTANTS: dict[int, tuple[Any, Any]] = {}
_MOST_CONSTANTS = 5_000
_BY_KIND: dict[type, Callable[[Freezer, Any], Any]] = {
    list: Freezer._mutable,
    dict: Freezer._mutable,
    set: Freezer._mutable,
    collections.deque: Freezer._mutable,
    frozenset: lambda freezer, value: ("frozenset", *freezer.in_order(value)),
    functools.partial: Freezer._partial,
    re.Pattern: lambda _freezer, value: ("pattern", value.pattern, value.flags),
    Op: Freezer._operation,
    types.FunctionType: Freezer._function,
    types.CellType: Freezer._closure_cell,
    types.MethodType: _method,
    types.BuiltinFunctionType: Freezer._builtin,
    types.MethodWrapperType: lambda freezer, value: ("wrapper", value.__name__, freezer.freeze(value.__self__)),
    types.CoroutineType: Freezer._frame,
    types.GeneratorType: Freezer._frame,
    types.AsyncGeneratorType: Freezer._frame,
    types.TracebackType: lambda _freezer, _value: ("traceback",),  # line numbers have no effect
    types.ModuleType: _module,
    TrackedIterator: Freezer._tracked_iterator,
    **dict.fromkeys(
        (types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType),
        lambda _freezer, value: ("descriptor", value.__objclass__.__qualname__, value.__name__),
    ),
}
