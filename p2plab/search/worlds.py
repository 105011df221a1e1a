"""The worlds that a search keeps, so that a miss need not replay a scene from its start.

A step depends on its actor's local configuration and on the cells. So any world with that actor in the right place will
do, once its cells have the values of the state in question; the positions of the others do not matter. Values that cannot
be set (a closure, an object that this world never made) are reached by a replay.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from p2plab.core.tracked import (
    Tracked,
    TrackedCounter,
    TrackedDefaultDict,
    TrackedDeque,
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
    cells_of,
    name_of,
)
from p2plab.search.objects import CellName, is_importable
from p2plab.search.steps import ABSENT, Columns, NotDeterministic, Row
from p2plab.search.watchdog import Watchdog
from p2plab.search.world import SearchWorld

#: How many worlds are kept.
KEPT = 200

_PLAIN = (int, str, bytes, bool, float, type(None), range)


class _Named(NamedTuple):
    """An object, by its name, which is the same in every world."""

    name: str


class _Content(NamedTuple):
    """A container's content."""

    kind: type
    items: tuple[Any, ...]
    made_with: Any = None  #: a deque's maximum length, a defaultdict's factory


class _CannotBePutBack(Exception):
    """A value that only a replay can reach."""


class Worlds:
    """Worlds by the row of the state that they are in."""

    def __init__(self, make: Callable[[], SearchWorld], dog: Watchdog, columns: Columns) -> None:
        self.make, self.dog, self.columns = make, dog, columns
        self.replayed = 0
        self._kept: dict[int, tuple[SearchWorld, Row]] = {}
        self._by_row: dict[Row, int] = {}
        self._by_local: dict[tuple[int, int], list[int]] = {}
        self._next = 0
        self._registered: dict[int, tuple[int, ...]] = {}  #: by world: the local configurations known of it
        self._setup: dict[CellName, Any] = {}
        self._values: dict[tuple[int, int], Any] = {}  #: (column, value) -> the value to set

    def take(self, row: Row, actor: int, path: Callable[[], Sequence[str]]) -> tuple[SearchWorld, Row]:
        """A world in which ``actor`` and all cells are as in ``row``, and the row it is in. It is no longer kept."""
        number = self._by_row.get(self._key(row))
        if number is not None:
            return self._drop(number)  # with another state of the rules, which a world does not have
        candidates = self._by_local.get((actor, row[actor]), [])
        while candidates:
            number = candidates[-1]
            if number in self._kept and self._kept[number][1][actor] == row[actor]:
                here = self._set_cells(*self._kept[number], row)
                if here is None:
                    break
                world, _ = self._drop(number)
                return world, here
            candidates.pop()  # it has gone on since
        return self.replay(row, path(), self.columns.actors[actor]), row

    def keep(self, world: SearchWorld, row: Row) -> None:
        """Keep a world for later."""
        while len(self._kept) >= KEPT:
            oldest = next(iter(self._kept))
            self._drop(oldest)
            del self._registered[oldest]
        if not world.number:
            world.number = self._next = self._next + 1
        number = world.number
        before, locals_ = self._registered.get(number), row[: self.columns.memory]
        self._kept[number] = world, row
        self._by_row[self._key(row)] = number
        self._registered[number] = locals_
        if before != locals_:
            for actor, local in enumerate(locals_):
                if before is None or before[actor] != local:
                    self._by_local.setdefault((actor, local), []).append(number)

    def note_setup(self, cells: Mapping[CellName, Any]) -> None:
        """The values that cells have after set-up, which is value 0 of every column."""
        self._setup = {cell: _portable_or_not(value) for cell, value in cells.items()}

    def note_column(self, cell: CellName, column: int) -> None:
        """A cell became a column."""
        self._values[column, 0] = self._setup.get(cell, _CannotBePutBack)

    def note_value(self, column: int, value: int, live: Any) -> None:
        """Record a cell's value by its number, so that it can be set in another world."""
        if (column, value) not in self._values:
            self._values[column, value] = _portable_or_not(live)

    def note_image(self, column: int, value: int, there: int, image: int, rename: Callable[[str], str]) -> None:
        """As :meth:`note_value`, for the image of a value in another column when names are replaced."""
        known = self._values.get((column, value), _CannotBePutBack)
        if known is not _CannotBePutBack:
            self._values.setdefault((there, image), _renamed(known, rename))

    def replay(self, row: Row, path: Sequence[str], only: str = "", rows: Sequence[Row] = ()) -> SearchWorld:
        """A new world run along a path, and compared: at its end (one actor ``only``, or all) and with ``rows`` on the way.

        :exc:`NotDeterministic` names the first thing that differs.
        """
        self.replayed += len(path)
        with self.dog.step():
            world = self.make()
        for number, choice in enumerate(path, 1):
            if choice not in world.actors or not world.actors[choice].enabled:
                raise NotDeterministic(f"step {number} could be taken by {choice} once, and cannot in a replay")
            with self.dog.step():
                world.go(choice)
            if rows:
                self._compare_actor(world, rows[number], choice, number)
        self._compare(world, row, len(path), only)
        return world

    # -- inside -----------------------------------------------------------------------------------------------------

    def _key(self, row: Row) -> Row:
        """A row as far as a world is concerned: without the rules' state and trailing zeros."""
        cells = row[self.columns.memory + 1 :]
        end = len(cells)
        while end and not cells[end - 1]:
            end -= 1
        return row[: self.columns.memory] + cells[:end]

    def _drop(self, number: int) -> tuple[SearchWorld, Row]:
        world, row = self._kept.pop(number)
        key = self._key(row)
        if self._by_row.get(key) == number:
            del self._by_row[key]
        return world, (*row, *(0,) * (len(self.columns) - len(row)))

    def _set_cells(self, world: SearchWorld, here: Row, row: Row) -> Row | None:
        """Give the cells of a world the values of ``row``; the row it then is in. None, and nothing changed, if it cannot."""
        here = (*here, *(0,) * (len(row) - len(here)))
        changes: list[tuple[Tracked, str, Any]] = []
        objects: dict[str, Tracked] | None = None
        for cell, column in self.columns.of.items():
            if here[column] == row[column]:
                continue
            portable = self._values.get((column, row[column]), _CannotBePutBack)
            if objects is None:
                objects = {name_of(thing): thing for thing in world.objects}
            owner = objects.get(cell[0])
            if portable is _CannotBePutBack or owner is None or cell[1] not in cells_of(owner):
                return None
            try:
                changes.append((owner, cell[1], _live(portable, objects, cells_of(owner)[cell[1]])))
            except _CannotBePutBack:
                return None
        for owner, attribute, value in changes:
            if isinstance(value, _Content):
                _fill(cells_of(owner)[attribute], value.items)
            else:
                cells_of(owner)[attribute] = value
        world.cells_were_set()
        rules = self.columns.memory
        return (*here[:rules], *row[rules:])

    def _compare_actor(self, world: SearchWorld, row: Row, name: str, steps: int) -> None:
        actor = self.columns.actors.index(name)
        if self.columns.values[actor].get(world.frozen_actor(name).value) != row[actor]:
            raise _differs(steps, f"what {name} is about to do, or a local variable of it,")

    def _compare(self, world: SearchWorld, row: Row, steps: int, only: str) -> None:
        for name in (only,) if only else self.columns.actors:
            self._compare_actor(world, row, name, steps)
        cells = world.frozen_cells()
        for cell in {*cells, *self.columns.at_setup, *self.columns.of}:
            if self.columns.known(cell, cells.get(cell, ABSENT)) != self.columns.of_row(row, cell):
                raise _differs(steps, ".".join(cell))


def _portable_or_not(value: Any) -> Any:
    try:
        return _portable(value)
    except _CannotBePutBack:
        return _CannotBePutBack


def _portable(value: Any) -> Any:
    """A cell's value in terms that hold in every world."""
    kind = type(value)
    if kind in _PLAIN or isinstance(value, Enum) or (isinstance(value, type) and is_importable(value)):
        return value
    if isinstance(value, Tracked):
        return _Named(name_of(value))
    if kind is TrackedList:
        return _Content(kind, tuple(map(_portable, list.__iter__(value))))
    if kind in (TrackedDict, TrackedOrderedDict):
        return _Content(kind, tuple((_portable(key), _portable(item)) for key, item in dict.items(value)))
    if kind is TrackedDeque:
        return _Content(kind, tuple(map(_portable, collections.deque.__iter__(value))), value.maxlen)
    if kind in (TrackedDefaultDict, TrackedCounter):
        items = tuple((_portable(key), _portable(item)) for key, item in dict.items(value))
        return _Content(kind, items, getattr(value, "default_factory", None))
    if kind is TrackedSet:
        return _Content(kind, tuple(map(_portable, value._items)))
    if kind is tuple:
        return tuple(map(_portable, value))
    if kind is frozenset:
        return frozenset(map(_portable, value))
    if kind is types.FunctionType and not any(
        (value.__closure__, value.__defaults__, value.__kwdefaults__, value.__dict__)
    ):
        return value
    raise _CannotBePutBack


def _renamed(portable: Any, rename: Callable[[str], str]) -> Any:
    kind = type(portable)
    if kind is str:
        return rename(portable)
    if kind is _Named:
        return _Named(rename(portable.name))
    if kind is _Content:
        return portable._replace(items=_renamed(portable.items, rename))
    if kind is tuple:
        return tuple(_renamed(item, rename) for item in portable)
    if kind is frozenset:
        return frozenset(_renamed(item, rename) for item in portable)
    return portable


def _live(portable: Any, objects: dict[str, Tracked], present: Any = None) -> Any:
    """The value in one world; a container's content only if a container of its kind is there to be filled."""
    kind = type(portable)
    if kind is _Named:
        if portable.name not in objects:
            raise _CannotBePutBack
        return objects[portable.name]
    if kind is _Content:
        if type(present) is not portable.kind or _made_with(present) is not portable.made_with:
            raise _CannotBePutBack
        return portable._replace(items=tuple(_live(item, objects) for item in portable.items))
    if kind is tuple:
        return tuple(_live(item, objects) for item in portable)
    if kind is frozenset:
        return frozenset(_live(item, objects) for item in portable)
    return portable


def _fill(container: Any, items: tuple[Any, ...]) -> None:
    """Replace the content of a container in place: other objects may hold it."""
    if type(container) is TrackedList:
        list.clear(container)
        list.extend(container, items)
    elif type(container) is TrackedDeque:
        collections.deque.clear(container)
        collections.deque.extend(container, items)
    elif isinstance(container, dict):
        dict.clear(container)
        dict.update(container, items)
    else:
        container._items.clear()
        container._items.update(dict.fromkeys(items))


def _made_with(container: Any) -> Any:
    return container.maxlen if type(container) is TrackedDeque else getattr(container, "default_factory", None)


def _differs(steps: int, what: str) -> NotDeterministic:
    return NotDeterministic(f"the same {steps} steps, taken twice, did not end in the same state: {what} differs")
