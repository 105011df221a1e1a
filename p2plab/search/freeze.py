"""Frozen values: a hashable value that decides the whole future of a cell's content or of an actor's coroutines.

An actor's *local configuration* is its coroutine with everything that hangs on it: code, position, locals, closure
cells and the half-evaluated expressions on the value stack (the iterator of a ``for`` loop lives there, and nowhere
else). Mutable objects are numbered at the first visit, so that two names for one list differ from two equal lists.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import functools
import gc
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from p2plab.core.actors import Op
from p2plab.core.errors import P2PError
from p2plab.core.tracked import (
    TRACKED_CONTAINERS,
    Tracked,
    TrackedIterator,
    TrackedSet,
    cells_of,
    is_exact_number,
    is_made_in_python,
    name_of,
)
from p2plab.search.frames import number_of, parts_of

#: A cell by name: an object's name, and an attribute of it.
CellName = tuple[str, str]


#: By id, the objects that can change and lie inside of a cell: the cell, which of those in it, and the object itself.
Homes = dict[int, tuple[CellName, int, Any]]
_NO_HOMES: Homes = {}


class Unfreezable(P2PError):
    """A value that cannot be part of a state; the text says what it is and where it was found."""


class Freezer:
    """Freezes one cell or one actor. ``held`` collects the cells whose container an actor refers to by itself."""

    def __init__(self, cell: CellName | None = None, homes: Homes | None = None) -> None:
        self.cell = cell
        self.homes = _NO_HOMES if homes is None else homes
        self.held: set[CellName] = set()
        self.inside: set[CellName] = set()  #: cells in which an object lies that is referred to
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
        return not self.inside and all(
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
        known = _CONSTANTS.get(id(value)) or _PINNED.get(id(value))
        if known is not None:
            return known[1]
        by_kind = _BY_KIND.get(kind)
        if by_kind is not None:
            return by_kind(self, value)
        if isinstance(value, TRACKED_CONTAINERS):
            return self._container(value)
        return self._other(kind, value)

    def in_order(self, items: Iterable[Any]) -> tuple[Any, ...]:
        """The elements of a built-in set. Their order is part of it where it follows from what they are.

        Where it follows from addresses it is another in each world, and whoever lets it decide is found out by that.
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
        base = _base_of(kind)
        if base in _VALUES:  # a named tuple, a kind of number or of text of somebody's own
            content = (
                tuple(map(self.freeze, tuple.__iter__(value))) if base is tuple else self.freeze(_VALUES[base](value))
            )
            return ("value", self._class(kind), content, self._attributes(kind, value))
        if is_numpy_scalar(kind):
            return ("numpy", value.dtype.str, value.tobytes())
        if is_exact_number(kind):
            return ("number", kind.__qualname__, str(value))
        number = self._number(value)
        if number is not None:
            return number
        if base in _BY_KIND:  # a defaultdict, a Counter, a list of somebody's own
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
        if kind.__module__ == "builtins" and kind.__name__ in _ITERATORS:
            return self._iterator(kind, value)
        return self._plain_object(kind, value)

    def _class(self, kind: type) -> Any:
        """A class by a number of its own; one that is made in a step, another one in each world, by what is in it."""
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
            if name not in _OF_EVERY_CLASS and not isinstance(member, _LAYOUT)
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
            if _is_bound(slot, value)
        )
        attributes = dict_of(value)
        if not attributes:
            return slots
        return (*slots, *((name, self.freeze(item)) for name, item in attributes.items()))

    def _state_of_exception(self, kind: type, value: BaseException) -> Iterator[Any]:
        """What C keeps of an exception: its arguments, where it came from, an errno; not the lines that it passed."""
        for name in _fields_of_exception(kind):
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
        # Nobody goes round `frozen` here, and fields that are not compared follow from the others.
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


def homes_of(cells: Iterable[tuple[CellName, Any]]) -> Homes:
    """Where each object lies that is no cell of its own and can change: the first cell that reaches it, and which in there.

    That is a function of what is in the cells, so it is the same after every path to a state. ``cells``: in a fixed order.
    """
    homes: Homes = {}
    for cell, value in cells:
        count = 0
        todo = [value]
        seen: set[int] = set()
        while todo:
            here = todo.pop()
            if type(here) in _ATOMS or type(here) in (int, str) or here is None or id(here) in seen:
                continue
            if isinstance(here, (Tracked, enum.Enum, type, types.ModuleType)) or id(here) in _PINNED:
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
    """The cells in which objects lie that a frozen value refers to, each once."""
    if not isinstance(frozen, tuple):
        return tuple(sorted({cell for part in frozen for cell in refers_to(part)})) if type(frozen) is frozenset else ()
    if len(frozen) == 3 and frozen[0] == "in" and type(frozen[1]) is tuple:
        return (frozen[1],)
    return tuple(dict.fromkeys(cell for part in frozen for cell in refers_to(part)))


def _can_change(value: Any) -> bool:
    kind = type(value)
    if kind in (tuple, frozenset, types.FunctionType, types.MethodType) or isinstance(value, TRACKED_CONTAINERS):
        return False
    return not is_frozen_dataclass(kind) and (_base_of(kind) not in _VALUES)


def _parts_of(value: Any) -> list[Any]:
    """What a value consists of, as far as something in it may change."""
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
        parts += (slot.__get__(value) for slot in slots_of(kind) if slot.__name__ != "cell" and _is_bound(slot, value))
        parts += (dict_of(value) or {}).values()
    return parts


def _items_of(freezer: Freezer, value: dict[str, Any] | None) -> Any:
    return None if value is None else tuple((name, freezer.freeze(item)) for name, item in value.items())


def dict_of(value: Any) -> dict[str, Any] | None:
    """An object's own ``__dict__``, whatever its class makes of that name."""
    try:
        attributes: dict[str, Any] = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return attributes


def pin(value: Any, name: str) -> None:
    """Know an object that nobody changes and that is the same in every world by its name: a constant of a module."""
    _PINNED.setdefault(id(value), (value, ("outside", name, len(_PINNED))))


def is_frozen_dataclass(kind: type) -> bool:
    """Whether instances of a class are values: dataclasses that nobody can assign to."""
    parameters = getattr(kind, "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


def is_numpy_scalar(kind: type) -> bool:
    """Whether it is one of numpy's kinds of number."""
    return kind.__module__ == "numpy" and any(base.__name__ == "generic" for base in kind.__mro__)


def is_importable(kind: type) -> bool:
    """Whether it is the class that is found under its name: such a one is made once, and not in each world anew."""
    found: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        found = getattr(found, "__dict__", {}).get(name)
    return found is kind


def _base_of(kind: type) -> type:
    """The built-in class that a class derives from."""
    return next((base for base in kind.__mro__ if base in _VALUES or base in _STORES), object)


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
def _fields_of_exception(kind: type) -> tuple[str, ...]:
    return tuple(
        name
        for base in kind.__mro__
        if not is_made_in_python(base)
        for name, member in vars(base).items()
        if isinstance(member, _LAYOUT) and name not in ("__traceback__", "__dict__")
    )


def _is_bound(slot: types.MemberDescriptorType, value: Any) -> bool:
    try:
        slot.__get__(value)
    except AttributeError:
        return False
    return True


def _is_constant(value: Any) -> bool:
    """Whether nothing inside of it can ever change or depend on the world."""
    if value is None or type(value) in _ATOMS or type(value) in (int, str) or isinstance(value, (enum.Enum, type)):
        return True
    if isinstance(value, (tuple, frozenset)):
        return all(map(_is_constant, value))
    return id(value) in _CONSTANTS


def _method(freezer: Freezer, value: types.MethodType) -> Any:
    return ("method", freezer.freeze(value.__func__), freezer.freeze(value.__self__))


_LAYOUT = (types.MemberDescriptorType, types.GetSetDescriptorType)
#: What a class has because it is one, or because a decorator of the standard library made it from the rest.
_OF_EVERY_CLASS = frozenset({
    "__module__", "__qualname__", "__doc__", "__annotations__", "__slots__", "__match_args__", "__dataclass_params__",
    "__dataclass_fields__",
    "__firstlineno__", "__static_attributes__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__hash__",
})  # fmt: skip
#: Built-in values that somebody may derive a class from, and what gives the plain value.
_VALUES: dict[type, Callable[[Any], Any]] = {
    int: int.__int__, float: float.__float__, str: str.__str__, bytes: lambda value: bytes(memoryview(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)), frozenset: frozenset,
}  # fmt: skip
_STORES = frozenset({list, dict, set, collections.deque})
#: Elements whose place in a set follows from their values and from what was there before.
_ORDERED = frozenset({int, bool, float, str, bytes, type(None)})
#: What an ``await`` makes of a coroutine or of a step of an asynchronous generator.
_AWAITING = frozenset({"coroutine_wrapper", "async_generator_asend", "async_generator_athrow", "anext_awaitable"})
_CONSTANT_KINDS = frozenset({type(NotImplemented), type(dataclasses.MISSING)})
#: Classes that are found under their name, by id, with what they freeze to.
_CLASSES: dict[int, tuple[type, Any]] = {}
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
#: Constants of modules, by id. That nothing in them changes is watched elsewhere.
_PINNED: dict[int, tuple[Any, Any]] = {}

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
    types.TracebackType: lambda _freezer, _value: ("traceback",),  # line numbers decide nothing
    types.ModuleType: lambda _freezer, value: ("module", value.__name__),
    TrackedIterator: Freezer._tracked_iterator,
    **dict.fromkeys(
        (types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType),
        lambda _freezer, value: ("descriptor", value.__objclass__.__qualname__, value.__name__),
    ),
}
