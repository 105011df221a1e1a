"""The world that a search runs: no clock, no log of the past, and a lock order that is only reported, never judged.

A step may depend only on its actor's coroutines and the cells that it reads. So the step's number,
the time and the log are kept out of reach here; rules and the lock order are monitors over the events (``monitors.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from p2plab.core.events import Entry, Event
from p2plab.core.lockdep import LockInversion, LockOrder
from p2plab.core.running import current_world, running
from p2plab.core.tracked import Footprint, Untrackable, cells_of, name_of
from p2plab.core.world import Stepped, World
from p2plab.search.freeze import Freezer
from p2plab.search.objects import CellName, Homes, homes_of


@dataclass(frozen=True, slots=True)
class LockWanted(Event):
    """An actor is about to take a lock. Only a search's log has this event."""

    lock: str


class _Told(LockOrder):
    """Reports the wanted locks without judging: which locks were taken before is history, not state."""

    def about_to_take(self, actor: str, lock: str, mode: str = "") -> tuple[LockInversion, ...]:  # type: ignore[override]
        current_world().note(LockWanted(lock))
        return ()

    def enters(self, actor: str, lock_map: str, mode: str = "") -> None:
        """Nothing to remember: the calls into notifiers are in the log."""

    def leaves(self, actor: str, lock_map: str) -> None:
        """Nothing to remember."""

    def taken(self, actor: str, lock: str, mode: str = "") -> None:
        """Nothing to remember."""

    def released(self, actor: str, lock: str) -> None:
        """Nothing to remember."""


class Unseen(int):
    """A step's number or a time in a search: it can be shown, but no code may depend on it."""

    def _refuse(self, *_other: object) -> NoReturn:
        raise TypeError("a step's number or a time decides something: the order of events alone may do that")

    __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __sub__ = __rsub__ = __bool__ = __index__ = _refuse
    __mul__ = __rmul__ = __mod__ = __floordiv__ = __eq__ = __ne__ = _refuse
    __hash__ = int.__hash__

    def __repr__(self) -> str:
        return "0"

    __str__ = __repr__

    def __format__(self, _how: str) -> str:
        return "0"


NEVER = Unseen(0)


class FrozenActor(NamedTuple):
    """A local configuration: None once the actor has returned, the cells whose container it keeps, and whether other
    actors cannot reach it (:attr:`~p2plab.search.freeze.Freezer.sealed`). ``inside``: the cells that hold objects to which
    it refers."""

    value: Any
    held: frozenset[CellName] = frozenset()
    sealed: bool = True
    inside: frozenset[CellName] = frozenset()


class SearchWorld(World):
    """A world without a past: ``events`` are those of the last step only."""

    make_lock_order = _Told

    def __init__(self, build: Callable[[World], None], cast: Mapping[str, type]) -> None:
        self.number = 0  #: given by :class:`~p2plab.search.worlds.Worlds`
        self.events: list[tuple[str, Event]] = []
        self._homes: Homes | None = None
        self.footprint = Footprint()  #: of the last step, even if that was cut short
        super().__init__(build, cast)
        self.now = self.steps = NEVER

    @property
    def log(self) -> list[Entry]:
        """Refused: the past is no part of a state, and is not kept."""
        raise Untrackable(
            "a driver reads world.log: what happened before is no part of a state. Keep what matters in an attribute"
        )

    @log.setter
    def log(self, _entries: list[Entry]) -> None:
        """None is kept."""

    def note(self, event: Event) -> None:
        """Keep an event of the step that is running."""
        self.events.append((running.actor, event))

    def go(self, name: str) -> Footprint:
        """One step of an actor that is enabled; its events are in ``events``. The clock stands still."""
        actor = self.actors[name]
        op = actor.op
        assert op is not None
        footprint = self.footprint = Footprint()
        self.events = []
        self._homes = None
        with self._as_running(name, footprint):
            refused = actor.look()
            self.note(Stepped(op.label, op.duration))
            actor.advance(refused)
            self._report_crash(actor)
            self.look()
        return footprint

    def probe(self, name: str) -> tuple[bool, tuple[str, ...], Footprint]:
        """Whether an actor could step, which actors it waits for if not, and the cells on which that depends."""
        op = self.actors[name].op
        footprint = self.footprint = Footprint()
        if op is None or op.guard is None:
            return op is not None, (), footprint
        with self._as_running(name, footprint):
            if self.actors[name].look() is not None or op.guard():
                return True, (), footprint
            return False, op.waits_for() if op.waits_for is not None else (), footprint

    # -- frozen -----------------------------------------------------------------------------------------------------

    def frozen_actor(self, name: str) -> FrozenActor:
        """An actor's local configuration."""
        actor = self.actors[name]
        if actor.op is None:
            return FrozenActor(None if actor.crash is None else ("crashed", type(actor.crash).__qualname__))
        freezer = Freezer(homes=self.homes)
        made = tuple(sorted((kind, count) for (maker, kind), count in self._names.items() if maker == name))
        value = (made, actor.op.label, freezer.whole(actor.coroutine))
        return FrozenActor(value, frozenset(freezer.held), freezer.sealed, frozenset(freezer.inside))

    def frozen_cells(self) -> dict[CellName, Any]:
        """The frozen value of every cell there is."""
        return {cell: self.frozen(cell, value) for cell, value in self.cells_as_they_are().items()}

    def frozen(self, cell: CellName, value: Any) -> Any:
        """The frozen value of a cell."""
        return Freezer(cell, self.homes).whole(value)

    @property
    def homes(self) -> Homes:
        """The places of objects without cells; most worlds have none."""
        if not self.plain:
            return _NOWHERE
        if self._homes is None:
            self._homes = homes_of(sorted(self.cells_as_they_are().items(), key=_by_name))
        return self._homes

    def cells_were_set(self) -> None:
        """Note that cells were given other values from outside."""
        self._homes = None

    def cells_as_they_are(self) -> dict[CellName, Any]:
        """Every cell's value, not frozen, to see which were rebound."""
        cells: dict[CellName, Any] = {}
        for thing in self.objects:
            name = name_of(thing)
            for attribute, value in cells_of(thing).items():
                cells[name, attribute] = value
        return cells


_NOWHERE: Homes = {}


def _by_name(item: tuple[CellName, Any]) -> CellName:
    return item[0]


def entry(actor: str, event: Event) -> Entry:
    """A log entry for a rule, which may not depend on its place and time."""
    return Entry(NEVER, NEVER, NEVER, actor, event)


def maker(build: Callable[[World], None], cast: Mapping[str, type]) -> Callable[[], SearchWorld]:
    """What builds a search's worlds."""
    return lambda: SearchWorld(build, cast)
