"""The world: actors, one atomic step at a time, and the log of what they did.

A world is built by a function and advanced by *choices*. A choice is the name of an actor (it does its pending step) or
``!name`` (a person presses the button of that action). The same build and the same choices give the same log.
"""

from __future__ import annotations

import gc
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from p2plab.core.actors import Actor, JobFunction
from p2plab.core.errors import NotEnabled, P2PError, comes_from_outside, text_of
from p2plab.core.events import Entry, Event
from p2plab.core.lockdep import Deadlock, LockHistory, LockOrder, any_waiting_cycle
from p2plab.core.running import running, watched
from p2plab.core.tracked import Footprint, Tracked, cells_of, freeze, name_of

T = TypeVar("T")

#: Where this room's own code is: a crash is reported at the driver's line, not at ours.
_CORE = str(Path(__file__).parent)

#: The name under which a person's actions appear in the log.
PERSON = "you"


@dataclass(frozen=True, slots=True)
class Stepped(Event):
    """The actor of the entry took a step: what it did, and how long that takes (ticks)."""

    label: str
    duration: int

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class Pressed(Event):
    """A person chose an action."""

    action: str

    def __str__(self) -> str:
        return f"presses {self.action}"


@dataclass(frozen=True, slots=True)
class Crashed(Event):
    """The actor's code raised and the actor is gone; the locks that it held stay held. ``where`` is ``function:line``."""

    error: str
    where: str
    driver: str = ""  #: the driver in whose callback or method it was raised, if not the actor itself

    def __str__(self) -> str:
        return f"crashed: {self.error} (in {self.where})"


@dataclass(frozen=True)
class Action:
    """A button: ``press`` changes the world within one step; ``why_not`` says why it makes no sense now, or nothing."""

    name: str
    label: str
    help: str
    press: Callable[[], None]
    why_not: Callable[[], str] = lambda: ""


class World:
    """Everything that exists in one run, at one moment. ``build`` sets it up; then take choices.

    Raises whatever ``build`` raises. A world belongs to one run: look at it, but change it only with :meth:`take`.
    """

    make_lock_order: Callable[[], LockOrder] = LockHistory

    def __init__(self, build: Callable[[World], None], cast: Mapping[str, type] | None = None) -> None:
        self.cast: Mapping[str, type] = cast or {}
        self.log: list[Entry] = []
        self.actors: dict[str, Actor] = {}
        self.actions: dict[str, Action] = {}
        self.things: object = None  #: what the build function offers to views and tests; a room above knows its type
        self.objects: list[Tracked] = []
        self.footprint = Footprint()  #: of the last step
        self.lock_order = self.make_lock_order()
        self.steps = 0
        self.now = 0
        self.stuck: Deadlock | None = None
        self.plain = False  #: whether an attribute ever held an object whose own attributes are no cells
        self._names: Counter[tuple[str, str]] = Counter()
        self._looks: list[Callable[[], None]] = []
        with self._as_running(""):
            self._build(build)
            for name, actor in self.actors.items():
                running.actor = name
                actor.advance()
                self._report_crash(actor)
            self.look()

    def _build(self, build: Callable[[World], None]) -> None:
        """Set up. An exception from a cast class there is a crash of that class; the run then has no actors."""
        try:
            build(self)
        except BaseException as error:
            whose = None if isinstance(error, P2PError) or comes_from_outside(error) else self._whose(error)
            if whose is None:
                raise
            for actor in self.actors.values():
                actor.coroutine.close()
            self.actors.clear()
            self.actions.clear()
            self._looks.clear()
            self.note(_crashed(error, whose.__name__))

    def _whose(self, error: BaseException) -> type | None:
        """The class among the cast in whose file an exception was raised, or passed through; None for any other."""
        files = {frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)}
        for given in self.cast.values():
            functions = (getattr(value, "__func__", value) for value in vars(given).values())
            if any(getattr(getattr(own, "__code__", None), "co_filename", None) in files for own in functions):
                return given
        return None

    def __repr__(self) -> str:
        actors = "; ".join(f"{name} {self._doing(name)}" for name in self.actors)
        stuck = "; DEADLOCK" if self.stuck is not None else ""
        return f"<World at step {self.steps}, time {self.now}: {actors}{stuck}>"

    def _doing(self, name: str) -> str:
        actor = self.actors[name]
        if actor.op is None:
            return "crashed" if actor.crash is not None else "finished"
        if actor.enabled:
            return f"next: {actor.op.label}"
        return "idle" if actor.op.idle else f"waits: {actor.op.label}"

    # -- building ---------------------------------------------------------------------------------------------------

    def role(self, role: str, default: type[T]) -> type[T]:
        """The class that plays a role (``importer``, ``exporter``): the one that was cast, or ``default``."""
        return self.cast.get(role, default)

    def actor(self, name: str, job: JobFunction, ready: int = 0) -> None:
        """Add an actor. Its code up to the first ``await`` runs at the end of set-up, in the order of the actors.

        ``ready`` is the time (ticks) of its first step where the clock decides; other schedules may take it earlier.
        """
        if not name.replace("_", "").replace(".", "").isalnum() or name in self.actors or name == PERSON:
            raise ValueError(f"an actor cannot be called {name!r}: letters, digits, '_' and '.', each name once")
        self.actors[name] = Actor(name, job(), ready)

    def action(
        self,
        name: str,
        help: str,
        press: Callable[[], None],
        why_not: Callable[[], str] = lambda: "",
        label: str = "",
    ) -> None:
        """Add a button that a person may press at any time when ``why_not()`` is empty. ``label`` is what it says."""
        self.actions[name] = Action(name, label or name, help, press, why_not)

    def after_each_step(self, look: Callable[[], None]) -> None:
        """Call ``look`` once the world is built and at the end of every step: it may read anything, and only ``emit``."""
        self._looks.append(look)

    def look(self) -> None:
        """Call those that asked to look, as part of the running step."""
        for look in self._looks:
            look()

    def register(self, thing: Tracked) -> str:
        """Name a new tracked object after its class and its maker, so that the name does not depend on other actors."""
        kind = type(thing).__name__
        self.objects.append(thing)
        number = self._names[running.actor, kind]
        self._names[running.actor, kind] += 1
        return f"{running.actor}/{kind}{number}" if running.actor else f"{kind}{number}"

    # -- stepping ---------------------------------------------------------------------------------------------------

    def enabled(self) -> list[str]:
        """The actors that can take a step now, in the order in which they were added."""
        return [name for name, actor in self.actors.items() if actor.enabled]

    def take(self, choice: str) -> None:
        """Take one choice. :exc:`NotEnabled`, with the reason and with nothing changed, if that cannot be done."""
        actor = self.actors.get(choice)
        if (actor is None or not actor.enabled) and (reason := self.why_not(choice)):
            raise NotEnabled(reason)
        footprint = Footprint()
        self.steps += 1
        if actor is not None:
            self._step(actor, footprint)
        else:
            with self._as_running(PERSON, footprint):
                self.note(Pressed(choice[1:]))
                self.actions[choice[1:]].press()
                self.look()
        self.footprint = footprint
        self._look_for_deadlock(choice)

    def _step(self, actor: Actor, footprint: Footprint) -> None:
        op = actor.op
        assert op is not None
        self.now = max(self.now, actor.ready)
        actor.ready = self.now + op.duration
        with self._as_running(actor.name, footprint):
            refused = actor.look()  # what the step depends on includes what its condition read
            self.note(Stepped(op.label, op.duration))
            actor.advance(refused)
            self._report_crash(actor)
            self.look()

    def why_not(self, choice: str) -> str:
        """Why a choice cannot be taken now, as a sentence; empty if it can."""
        if choice.startswith("!"):
            action = self.actions.get(choice[1:])
            if action is None:
                return f"there is no action {choice[1:41]!r}; there are {', '.join(self.actions) or 'none'}"
            return action.why_not()
        actor = self.actors.get(choice)
        if actor is None:
            return f"there is no actor {choice[:40]!r}; there are {', '.join(self.actors)}"
        if actor.enabled:
            return ""
        if actor.op is None:
            return f"{choice} crashed" if actor.crash else f"{choice} has finished"
        if actor.op.idle:
            return f"{choice} has nothing to do"
        others = self.waits_for(choice)
        return f"{choice} waits: {actor.op.label}" + (f" (for {', '.join(others)})" if others else "")

    def waits_for(self, name: str) -> tuple[str, ...]:
        """The actors that a blocked actor waits for, as far as its operation knows; empty if it is not blocked."""
        actor = self.actors.get(name)
        if actor is None or actor.op is None or actor.op.waits_for is None or actor.enabled:
            return ()
        with watched():
            return actor.op.waits_for()

    @property
    def blocked(self) -> list[str]:
        """The actors that wait for something, other than for work."""
        return [n for n, a in self.actors.items() if a.op is not None and not a.op.idle and not a.enabled]

    # -- looking ----------------------------------------------------------------------------------------------------

    def state(self) -> dict[tuple[str, str], Any]:
        """Every cell's frozen value by (object, attribute), with what each actor is about to do."""
        state = {(name_of(o), cell): freeze(value) for o in self.objects for cell, value in cells_of(o).items()}
        state |= {(name, "op"): a.op.label if a.op else None for name, a in self.actors.items()}
        return state

    def note(self, event: Event) -> None:
        """Append an event to the log; drivers use :func:`~p2plab.core.events.emit`."""
        self.log.append(Entry(len(self.log), self.steps, self.now, running.actor, event))

    # -- inside -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _as_running(self, actor: str, footprint: Footprint | None = None) -> Iterator[None]:
        before = running.world, running.actor, running.footprint
        # The collector frees worlds that nothing refers to, and their coroutines' `finally` blocks run right then:
        # in the middle of a step of this world they would count as part of it.
        collects = gc.isenabled()
        gc.disable()
        running.world, running.actor, running.footprint = self, actor, footprint
        running.raised = None
        try:
            with watched():
                yield
        finally:
            running.world, running.actor, running.footprint = before
            if collects:
                gc.enable()

    def _report_crash(self, actor: Actor) -> None:
        if actor.crash is None:
            return
        raised = running.raised
        driver = raised[1] if raised is not None and raised[0] is actor.crash else ""
        self.note(_crashed(actor.crash, driver))

    def _look_for_deadlock(self, choice: str) -> None:
        blocked = self.blocked
        if self.stuck is not None or not blocked:
            return
        # Mostly it closes through the actor that moved; handing a lock over may also close it among others.
        cycle = any_waiting_cycle((choice, *blocked), self.waits_for)
        waiting = blocked if not cycle and not self.enabled() else []
        if cycle or waiting:
            waits = tuple(f"{name}: {op.label}" for name in cycle or waiting if (op := self.actors[name].op))
            self.stuck = Deadlock(cycle, waits)
            with self._as_running(choice.removeprefix("!") if choice in self.actors else PERSON):
                self.note(self.stuck)


def _crashed(error: BaseException, driver: str) -> Crashed:
    """How the log describes an exception: its kind and text, and where in the driver's code it was raised."""
    where = "its first step"
    for frame, line in traceback.walk_tb(error.__traceback__):
        if not frame.f_code.co_filename.startswith(_CORE):
            where = f"{frame.f_code.co_qualname}:{line}"
    kind, text = type(error).__name__, text_of(error)
    return Crashed(f"{kind}: {text}" if text else kind, where, driver)
