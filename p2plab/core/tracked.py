"""Shared state that notices by itself who reads and who writes it.

Every attribute of a :class:`Tracked` object is a *cell*. While a step runs, each cell read and each cell written goes
into the step's :class:`Footprint`, in program order; footprints are not declared by hand, because a forgotten cell would
make a search over all orders miss bugs silently. Lists, dicts and sets become tracked containers when they are assigned
(a whole container is one cell: coarse, and never wrong); other mutable objects are refused, since their changes could not be
seen. A tracked set keeps the order of insertion: Python's own order of strings differs from process to process.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import struct
import sys
import types
import weakref
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, MutableMapping, MutableSet, ValuesView
from itertools import islice
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

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Slots that a class declares become attributes like any other: each a cell."""
        super().__init_subclass__(**keywords)
        for name, member in list(vars(cls).items()):
            if type(member) is types.MemberDescriptorType:
                delattr(cls, name)

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        self = object.__new__(cls)
        world = running.world
        _set(self, "_tracked_name", cls.__name__ if world is None else world.register(self))
        return self

    def __getattribute__(self, name: str) -> Any:
        footprint = running.footprint
        if footprint is None or (name[:2] == "__" and name not in _get(self, "__dict__")):
            return _get(self, name) if footprint is None or name != "__dict__" else Attributes(self)
        # A method is not a cell; a class's default value is one, because an assignment would hide it.
        if name in _get(self, "__dict__") or not isinstance(getattr(type(self), name, None), _CODE):
            footprint.read((self, name))
        return _get(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if type(value) not in _ATOMS:
            value = tracked_value(value, (self, name))
        if running.footprint is not None:
            if name not in _get(self, "__dict__"):
                _check_new(self, name)
            running.footprint.write((self, name))
        elif name == "__class__":
            _check_new(self, name)
        _set(self, name, value)

    def __delattr__(self, name: str) -> None:
        if running.footprint is not None:
            if isinstance(getattr(type(self), name, None), _METHODS):
                raise Untrackable(_no_method_of(self, name))
            running.footprint.write((self, name))
        object.__delattr__(self, name)

    def __repr__(self) -> str:
        return f"<{name_of(self)}>"


def name_of(thing: Tracked) -> str:
    """The name given by the world: the same in every replay and every order of the other actors' steps."""
    name: str = _get(thing, "_tracked_name")
    return name


def cells_of(thing: Tracked) -> dict[str, Any]:
    """The cells of an object, looked at from outside: nothing is recorded."""
    cells: dict[str, Any] = _get(thing, "__dict__")
    return cells


class Attributes(MutableMapping[str, Any]):
    """What ``vars(thing)`` gives within a step: the attributes of a tracked object, with every use recorded."""

    __slots__ = ("_owner",)

    def __init__(self, owner: Tracked) -> None:
        self._owner = owner

    def __getitem__(self, name: str) -> Any:
        self._read(name)
        return cells_of(self._owner)[name]

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self._owner, name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        delattr(self._owner, name)

    def __iter__(self) -> Iterator[str]:
        # Which attributes there are depends on those that might be there as well.
        for name in {**cells_of(self._owner), **dict.fromkeys(_names_looked_through(type(self._owner)))}:
            self._read(name)
        return iter(list(cells_of(self._owner)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))

    def _read(self, name: str) -> None:
        if running.footprint is not None:
            running.footprint.read((self._owner, name))


def _check_new(thing: Tracked, name: str) -> None:
    """:exc:`Untrackable` for a new attribute that would change what is no cell: a class, a method, the set of attributes."""
    if name == "__class__":
        raise Untrackable(f"{name_of(thing)} cannot become another class: keep what changes in an attribute")
    kind = type(thing)
    if isinstance(getattr(kind, name, None), _METHODS):
        raise Untrackable(_no_method_of(thing, name))
    looked_through = _LOOKED_THROUGH.get(kind)
    if looked_through is not None and name not in looked_through:
        raise Untrackable(f"{_cell_name((thing, name))} is new, and vars() was looked through: assign it in __init__")


def _no_method_of(thing: Tracked, name: str) -> str:
    return f"{_cell_name((thing, name))} is a method, which no step can replace: keep the function under another name"


def _names_looked_through(kind: type) -> frozenset[str]:
    """The attributes that instances may have, as far as their methods name them; cached, because no others can be added."""
    known = _LOOKED_THROUGH.get(kind)
    if known is None:
        codes = [getattr(member, "__code__", None) for base in kind.__mro__ for member in vars(base).values()]
        known = _LOOKED_THROUGH[kind] = frozenset(name for code in codes if code for name in code.co_names)
    return known


#: By class, the attributes that were looked for when all of them were listed.
_LOOKED_THROUGH: weakref.WeakKeyDictionary[type, frozenset[str]] = weakref.WeakKeyDictionary()
#: What an attribute of an instance would hide.
_METHODS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, classmethod, staticmethod)
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
_HEAP_TYPE, _DICT_KEPT_ELSEWHERE = 1 << 9, 1 << 4  #: bits of a type's flags, the same from Python 3.11 to 3.14
#: What a driver's own class may derive from.
_MADE_OF = frozenset({
    object, int, float, str, bytes, tuple, frozenset, list, dict, set, collections.deque, collections.defaultdict,
})  # fmt: skip
#: Containers that become tracked ones when they are assigned.
_CONTAINERS = frozenset(
    {list, dict, set, collections.deque, collections.defaultdict, collections.Counter, collections.OrderedDict}
)
#: By the name of a kind that cannot be kept: what to write instead. An object's own classes come first.
_INSTEAD = {
    "bytearray": "a list of numbers",
    "memoryview": "bytes",
    "array": "a list of numbers",
    "ndarray": "a list of numbers (array.tolist())",
    "count": "the next number, and add 1 yourself",
    "generator": "a list and the place in it",
    "async_generator": "a list and the place in it",
    "coroutine": "the function and its arguments",
    "ChainMap": "a list of dicts",
    "UserDict": "a dict, or a class of yours derived from UserDict",
    "UserList": "a list, or a class of yours derived from UserList",
    "Pattern": "a constant of the module",
    "slice": "a tuple (start, stop)",
    "attrgetter": "the attribute's name, or a function",
    "itemgetter": "the key, or a function",
    "mappingproxy": "a dict",
    "module": "the name of what you need of it, imported",
}
_CALLABLE = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def tracked_value(value: Any, cell: Cell) -> Any:
    """``value`` as it may be stored in ``cell``: containers wrapped; :exc:`Untrackable` where changes would be lost."""
    kind: Any = type(value)
    if kind in _ATOMS or isinstance(value, (Tracked, enum.Enum, type)):
        return value
    if isinstance(value, _CALLABLE):
        if running.world is not None and _encloses_something(value):
            running.world.plain = True
        return value
    if kind in _CONTAINERS:
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
        if running.world is not None and not kind.__module__.startswith("p2plab."):
            running.world.plain = True
        return value
    if is_plain(kind):
        if running.world is not None:
            running.world.plain = True
        return value
    instead = _INSTEAD.get(kind.__name__)
    if isinstance(value, BaseException):
        instead = "its errno, or its text: str(error)"
    elif instead is None and hasattr(value, "__next__"):
        instead = "a list and the place in it"
    raise Untrackable(
        f"{_cell_name(cell)} cannot hold {'an' if kind.__name__[0] in 'aeiouAEIOU' else 'a'} {kind.__name__}: changes inside "
        f"it could not be seen. {f'Keep {instead}. ' if instead else ''}Allowed are numbers, text, bytes, tuples, lists, "
        "dicts, sets, deques, enums, functions, objects of classes of yours and Tracked objects"
    )


def _encloses_something(value: Any) -> bool:
    """Whether a function has variables, or a method has an object, that can change."""
    owner = getattr(value, "__self__", None)
    if owner is not None:
        return not isinstance(owner, (Tracked, type, types.ModuleType))
    for cell in getattr(value, "__closure__", None) or ():
        try:
            content = cell.cell_contents
        except ValueError:
            continue
        kind = type(content)
        if kind in _CONTAINERS or not (
            kind in _ATOMS or isinstance(content, (Tracked, enum.Enum, type, tuple, *_CALLABLE))
        ):
            return True
    return False


def is_exact_number(kind: type) -> bool:
    """Whether it is the standard library's Decimal or Fraction."""
    return (kind.__module__, kind.__qualname__) in (("decimal", "Decimal"), ("fractions", "Fraction"))


@functools.lru_cache(maxsize=1_000)
def is_made_in_python(kind: type) -> bool:
    """Whether a ``class`` statement made it: then there is nothing in an object but slots, a ``__dict__`` and what bases have.

    What C keeps as well takes room that no slot explains.
    """
    base = kind.__base__
    if base is None or not kind.__flags__ & _HEAP_TYPE:
        return False
    word = struct.calcsize("P")
    slots = sum(type(member) is types.MemberDescriptorType for member in vars(kind).values())
    with_dict = kind.__dictoffset__ and not base.__dictoffset__ and not kind.__flags__ & _DICT_KEPT_ELSEWHERE
    pointers = bool(with_dict) + (kind.__weakrefoffset__ > 0 >= base.__weakrefoffset__)
    return kind.__basicsize__ - base.__basicsize__ == word * (slots + pointers)


@functools.lru_cache(maxsize=1_000)
def is_plain(kind: type) -> bool:
    """Whether an object consists only of what its class's code gives it, so that all of it can be inspected.

    True of a driver's own classes, subclasses of numbers and lists included; in the standard library, of
    partials, namespaces and exact numbers; and of numpy's numbers.
    """
    if kind in (functools.partial, types.SimpleNamespace, complex) or is_exact_number(kind):
        return True
    root = kind.__module__.partition(".")[0]
    if root == "numpy":
        return any(base.__name__ == "generic" for base in kind.__mro__)
    if root in sys.stdlib_module_names and root != "__main__":
        return False
    return all(base in _MADE_OF or is_made_in_python(base) for base in kind.__mro__)


def _check_items(items: tuple[Any, ...] | frozenset[Any], cell: Cell) -> None:
    for item in items:
        if type(item) in _CONTAINERS:
            kind = type(item).__name__
            raise Untrackable(f"{_cell_name(cell)} cannot hold a {kind} inside a {type(items).__name__}: use a tuple")
        tracked_value(item, cell)


def _cell_name(cell: Cell) -> str:
    return f"{name_of(cell[0])}.{cell[1]}"


def freeze(value: Any) -> Any:
    """A hashable value, equal in every replay, for the whole content of a cell."""
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
    if isinstance(value, collections.deque):
        return ("deque", value.maxlen, *(freeze(item) for item in collections.deque.__iter__(value)))
    if type(value).__module__ == "numpy" or isinstance(value, complex) or is_exact_number(type(value)):
        return (type(value).__name__, str(value))
    if isinstance(value, functools.partial):
        return ("partial", freeze(value.func), freeze(value.args), freeze(value.keywords))
    kind: Any = type(value)
    if is_plain(kind):
        return _freeze_plain(value)
    if hasattr(value, "__iter__"):  # a TrackedSet, whose order of insertion is part of what a step may see
        return ("set", *(freeze(item) for item in value))
    raise Untrackable(f"a {type(value).__name__} cannot be part of a state")


def _freeze_plain(value: Any) -> Any:
    if id(value) in _FREEZING:  # it has itself inside
        return ("again", type(value).__qualname__)
    _FREEZING.add(id(value))
    try:
        slots = [slot for base in type(value).__mro__ for slot in getattr(base, "__slots__", ()) if slot[:2] != "__"]
        attributes = {slot: getattr(value, slot) for slot in slots if hasattr(value, slot)} | getattr(
            value, "__dict__", {}
        )
        return (type(value).__qualname__, *((name, freeze(item)) for name, item in attributes.items()))
    finally:
        _FREEZING.discard(id(value))


#: Objects being frozen right now.
_FREEZING: set[int] = set()


# -- containers --------------------------------------------------------------------------------------------------------


class TrackedIterator(Iterator[Any]):
    """Iterates over a tracked ``container`` from ``position`` on; ``native`` gives Python's own iterator over it.

    Python's own would go on reading in later steps unnoticed. Where this one goes on depends only on what a replay knows: the
    container's content, its ``position`` and, for dicts and sets, the ``size`` at the start.
    """

    __slots__ = ("_footprint", "_here", "_native", "container", "position", "size")

    def __init__(self, container: Any, native: Callable[[Any], Iterator[Any]], size: int | None = None) -> None:
        self.container = container
        self.position: int | None = 0  #: None once exhausted
        self.size = size
        self._native = native
        self._here = native(container)
        self._footprint = running.footprint

    def __next__(self) -> Any:
        if self.position is None:
            raise StopIteration
        if running.footprint is not self._footprint:
            self._go_on_in_this_step()
        try:
            value = next(self._here)
        except StopIteration:
            self.position = None
            raise
        self.position += 1
        return value

    def _go_on_in_this_step(self) -> None:
        self._footprint = running.footprint
        if running.footprint is not None:
            running.footprint.read(self.container.cell)
        here = self._native(self.container)
        if self.size is not None and sum(1 for _ in self._native(self.container)) != self.size:
            raise RuntimeError("the dict or set changed its size during iteration")
        self._here = islice(here, self.position, None)


def _reader(method: Callable[..., Any]) -> Callable[..., Any]:
    def read(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if running.footprint is not None:
            running.footprint.read(self.cell)
        return method(self, *arguments, **keywords)

    read.__name__, read.__doc__ = method.__name__, method.__doc__
    return read


def _writer(method: Callable[..., Any]) -> Callable[..., Any]:
    def write(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if running.footprint is not None:  # a change in place depends on what was there: a read as well
            running.footprint.read(self.cell)
            running.footprint.write(self.cell)
        return method(self, *arguments, **keywords)

    write.__name__, write.__doc__ = method.__name__, method.__doc__
    return write


def _record(reads: str, writes: str) -> Callable[[type], type]:
    """Class decorator: the named methods of the built-in base record a read, or a read and a write."""

    def decorate(cls: type) -> type:
        for name in reads.split():
            setattr(cls, name, _reader(getattr(cls, name)))
        for name in writes.split():
            setattr(cls, name, _writer(getattr(cls, name)))
        cls.__hash__ = None  # type: ignore[assignment]
        return cls

    return decorate


@_record(
    "__getitem__ __len__ __iter__ __contains__ __reversed__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __add__ __mul__ "
    "__rmul__ __repr__ index count copy",
    "__setitem__ __delitem__ __iadd__ __imul__ append extend insert pop remove clear sort reverse",
)
class TrackedList(list):  # type: ignore[type-arg]
    """A list in a cell."""

    __slots__ = ("cell",)

    def __init__(self, items: Iterable[Any], cell: Cell) -> None:
        self.cell = cell
        list.__init__(self, (tracked_value(item, cell) for item in items))

    def __iter__(self) -> Iterator[Any]:
        return TrackedIterator(self, list.__iter__)

    def __reversed__(self) -> Iterator[Any]:
        return iter(list.__getitem__(self, slice(None, None, -1)))

    def append(self, item: Any) -> None:
        list.append(self, tracked_value(item, self.cell))

    def insert(self, index: Any, item: Any) -> None:
        list.insert(self, index, tracked_value(item, self.cell))

    def extend(self, items: Iterable[Any]) -> None:
        list.extend(self, [tracked_value(item, self.cell) for item in items])

    def __iadd__(self, items: Iterable[Any]) -> TrackedList:  # type: ignore[misc]
        list.extend(self, [tracked_value(item, self.cell) for item in items])
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        many = isinstance(index, slice)
        list.__setitem__(
            self, index, [tracked_value(v, self.cell) for v in value] if many else tracked_value(value, self.cell)
        )


@_record(
    "__getitem__ __len__ __iter__ __contains__ __reversed__ __eq__ __ne__ __or__ __ror__ __repr__ get keys values "
    "items copy",
    "__setitem__ __delitem__ __ior__ setdefault update pop popitem clear",
)
class TrackedDict(dict):  # type: ignore[type-arg]
    """A dict in a cell."""

    __slots__ = ("cell",)

    def __init__(self, items: Any, cell: Cell) -> None:
        self.cell = cell
        dict.__init__(self, {key: tracked_value(value, cell) for key, value in dict(items).items()})

    def __iter__(self) -> Iterator[Any]:
        return TrackedIterator(self, dict.__iter__, dict.__len__(self))

    def __reversed__(self) -> Iterator[Any]:
        return iter(list(dict.__reversed__(self)))

    # The built-in views iterate by themselves, unseen; these ask the dict.
    def keys(self) -> Any:
        return KeysView(self)

    def values(self) -> Any:
        return ValuesView(self)

    def items(self) -> Any:
        return ItemsView(self)

    def __setitem__(self, key: Any, value: Any) -> None:
        dict.__setitem__(self, key, tracked_value(value, self.cell))

    def setdefault(self, key: Any, default: Any = None) -> Any:
        return dict.setdefault(self, key, tracked_value(default, self.cell))

    def update(self, *others: Any, **more: Any) -> None:
        for key, value in dict(*others, **more).items():
            dict.__setitem__(self, key, tracked_value(value, self.cell))

    def __ior__(self, other: Any) -> TrackedDict:  # type: ignore[misc]
        for key, value in dict(other).items():
            dict.__setitem__(self, key, tracked_value(value, self.cell))
        return self


class TrackedOrderedDict(TrackedDict):
    """An OrderedDict in a cell; every dict keeps its order, this one can change it."""

    __slots__ = ()

    def move_to_end(self, key: Any, last: bool = True) -> None:
        """Move a key to one end; KeyError if it is not there."""
        value = self.pop(key)
        rest = [] if last else list(dict.items(self))
        if not last:
            self.clear()
        dict.__setitem__(self, key, value)
        dict.update(self, rest)

    def popitem(self, last: bool = True) -> tuple[Any, Any]:
        """Remove and return the pair at one end; KeyError if there is none."""
        if not last and len(self):
            key = next(dict.__iter__(self))
            return key, self.pop(key)
        return super().popitem()

    def copy(self) -> Any:
        """A plain OrderedDict with the same pairs."""
        return collections.OrderedDict(self.items())

    def __eq__(self, other: object) -> bool:
        same = super().__eq__(other)
        if same is True and isinstance(other, (collections.OrderedDict, TrackedOrderedDict)):
            return list(self) == list(other)
        return same

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


@_record(
    "__getitem__ __len__ __contains__ __reversed__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __add__ __mul__ __rmul__ "
    "__repr__ index count copy",
    "__setitem__ __delitem__ __iadd__ __imul__ append appendleft extend extendleft insert pop popleft remove rotate "
    "reverse clear",
)
class TrackedDeque(collections.deque):  # type: ignore[type-arg]
    """A deque in a cell."""

    __slots__ = ("cell",)

    def __init__(self, items: Iterable[Any], cell: Cell, maxlen: int | None = None) -> None:
        self.cell = cell
        collections.deque.__init__(self, (tracked_value(item, cell) for item in items), maxlen)

    def __iter__(self) -> Iterator[Any]:
        return TrackedIterator(self, collections.deque.__iter__, collections.deque.__len__(self))

    def __reversed__(self) -> Iterator[Any]:
        return iter(list(collections.deque.__reversed__(self)))

    def copy(self) -> Any:
        return collections.deque(collections.deque.__iter__(self), self.maxlen)

    def append(self, item: Any) -> None:
        collections.deque.append(self, tracked_value(item, self.cell))

    def appendleft(self, item: Any) -> None:
        collections.deque.appendleft(self, tracked_value(item, self.cell))

    def insert(self, index: Any, item: Any) -> None:
        collections.deque.insert(self, index, tracked_value(item, self.cell))

    def extend(self, items: Iterable[Any]) -> None:
        collections.deque.extend(self, [tracked_value(item, self.cell) for item in items])

    def extendleft(self, items: Iterable[Any]) -> None:
        collections.deque.extendleft(self, [tracked_value(item, self.cell) for item in items])

    def __iadd__(self, items: Iterable[Any]) -> TrackedDeque:
        collections.deque.extend(self, [tracked_value(item, self.cell) for item in items])
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        collections.deque.__setitem__(self, index, tracked_value(value, self.cell))


def _like_a_dict(cls: Any) -> Any:
    """Class decorator: what :class:`TrackedDict` does, for another kind of dict."""
    for name in (
        "__iter__",
        "__reversed__",
        "keys",
        "values",
        "items",
        "__setitem__",
        "setdefault",
        "update",
        "__ior__",
    ):
        if name not in vars(cls):
            setattr(cls, name, vars(TrackedDict)[name])
    for name in ("__len__", "__contains__", "__eq__", "__ne__", "get"):
        setattr(cls, name, _reader(getattr(cls, name)))
    for name in ("__delitem__", "pop", "popitem", "clear"):
        setattr(cls, name, _writer(getattr(cls, name)))
    cls.__hash__ = None
    return cls


@_like_a_dict
class TrackedDefaultDict(collections.defaultdict):  # type: ignore[type-arg]
    """A defaultdict in a cell."""

    __slots__ = ("cell",)

    def __init__(self, items: Any, cell: Cell, factory: Callable[[], Any] | None) -> None:
        self.cell = cell
        collections.defaultdict.__init__(self, factory)
        for key, value in dict.items(items):
            dict.__setitem__(self, key, tracked_value(value, cell))

    def __getitem__(self, key: Any) -> Any:
        if running.footprint is not None:
            running.footprint.read(self.cell)
        return dict.__getitem__(self, key)

    def __missing__(self, key: Any) -> Any:
        if self.default_factory is None:
            raise KeyError(key)
        self[key] = self.default_factory()
        return dict.__getitem__(self, key)

    def copy(self) -> Any:
        if running.footprint is not None:
            running.footprint.read(self.cell)
        return collections.defaultdict(self.default_factory, dict.items(self))


@_like_a_dict
class TrackedCounter(collections.Counter):  # type: ignore[type-arg]
    """A Counter in a cell."""

    __slots__ = ("cell",)

    def __init__(self, items: Any, cell: Cell) -> None:
        self.cell = cell
        dict.__init__(self, dict.items(items))

    def __getitem__(self, key: Any) -> Any:
        if running.footprint is not None:
            running.footprint.read(self.cell)
        return dict.__getitem__(self, key)

    update = collections.Counter.update  # it adds
    __ior__ = collections.Counter.__ior__
    __eq__ = collections.Counter.__eq__
    __ne__ = collections.Counter.__ne__

    def copy(self) -> Any:
        if running.footprint is not None:
            running.footprint.read(self.cell)
        return collections.Counter(dict(dict.items(self)))


class TrackedSet(MutableSet):  # type: ignore[type-arg]
    """A set in a cell, in order of insertion."""

    __slots__ = ("_items", "cell")

    def __init__(self, items: Iterable[Any], cell: Cell | None = None) -> None:
        # Set algebra (a | b, a - b) builds a new set through this constructor: that one lives in no cell yet.
        self.cell: Any = cell
        self._items: dict[Any, None] = dict.fromkeys(items)
        if cell is not None:
            for item in self._items:
                tracked_value(item, cell)

    def _reads(self) -> None:
        if running.footprint is not None and self.cell is not None:
            running.footprint.read(self.cell)

    def _writes(self) -> None:
        self._reads()
        if running.footprint is not None and self.cell is not None:
            running.footprint.write(self.cell)

    def __contains__(self, item: object) -> bool:
        self._reads()
        return item in self._items

    def __iter__(self) -> Iterator[Any]:
        self._reads()
        return TrackedIterator(self, _items_of, len(self._items))

    def __len__(self) -> int:
        self._reads()
        return len(self._items)

    def add(self, value: Any) -> None:
        """Add an element."""
        self._writes()
        self._items[value if self.cell is None else tracked_value(value, self.cell)] = None

    def discard(self, value: Any) -> None:
        """Remove an element if it is there."""
        self._writes()
        self._items.pop(value, None)

    def update(self, *others: Iterable[Any]) -> None:
        """Add all elements of the others, in their order."""
        for other in others:
            for value in other:
                self.add(value)

    def __repr__(self) -> str:
        return "{" + ", ".join(map(repr, self)) + "}" if self else "set()"


def _items_of(tracked: TrackedSet) -> Iterator[Any]:
    return iter(tracked._items)


TRACKED_CONTAINERS = (
    TrackedList,
    TrackedDict,
    TrackedOrderedDict,
    TrackedSet,
    TrackedDeque,
    TrackedDefaultDict,
    TrackedCounter,
)


def wrap(value: Any, cell: Cell) -> Any:
    """A list, dict, set, deque, defaultdict or Counter as the tracked container of ``cell``."""
    if type(value) is collections.deque:
        return TrackedDeque(value, cell, value.maxlen)
    if type(value) is collections.defaultdict:
        return TrackedDefaultDict(value, cell, value.default_factory)
    if type(value) is collections.Counter:
        return TrackedCounter(value, cell)
    if type(value) is collections.OrderedDict:
        return TrackedOrderedDict(value, cell)
    if type(value) is list:
        return TrackedList(value, cell)
    if type(value) is dict:
        return TrackedDict(value, cell)
    # A plain set comes in an order that differs between processes; sort it where it can be sorted.
    try:
        return TrackedSet(sorted(value), cell)
    except TypeError:
        return TrackedSet(sorted(value, key=repr), cell)
