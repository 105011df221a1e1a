"""Tracked containers: lists, dicts and sets whose every use is a read or a write of the cell that holds them.

They are made by assignment (``self.held = []``), never by hand. A whole container is one cell: coarse, but it can never
miss a change. A set keeps the order of insertion, because Python's own order of strings differs from process to process
and a replay must not.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, MutableSet, ValuesView
from typing import Any

from p2plab.core.iterators import TrackedIterator
from p2plab.core.running import running
from p2plab.core.tracked import Cell, tracked_value


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


TRACKED_CONTAINERS = (TrackedList, TrackedDict, TrackedSet, TrackedDeque, TrackedDefaultDict, TrackedCounter)


def wrap(value: Any, cell: Cell) -> Any:
    """A list, dict, set, deque, defaultdict or Counter as the tracked container of ``cell``."""
    if type(value) is collections.deque:
        return TrackedDeque(value, cell, value.maxlen)
    if type(value) is collections.defaultdict:
        return TrackedDefaultDict(value, cell, value.default_factory)
    if type(value) is collections.Counter:
        return TrackedCounter(value, cell)
    if type(value) is list:
        return TrackedList(value, cell)
    if type(value) is dict:
        return TrackedDict(value, cell)
    # A plain set comes in an order that differs between processes; sort it where it can be sorted.
    try:
        return TrackedSet(sorted(value), cell)
    except TypeError:
        return TrackedSet(sorted(value, key=repr), cell)
