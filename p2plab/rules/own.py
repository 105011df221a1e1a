"""Your own rules: add a line to the file of your driver, and every check of that driver watches it.

>>> from p2plab.rules import always, leads_to, must_reach, never
>>> one_map = never("the NIC maps twice", lambda entry: str(entry.event) == "begins map again")
>>> few_held = always("the NIC holds at most two pages", lambda things: len(things.importers[0].held) <= 2)
>>> uses_it = must_reach("the fast path is taken", lambda event: event.kind == "FastPath")
>>> ends = leads_to("a begun invalidation ends", lambda entry: entry.event.kind == "NotifierStart",
...                 lambda entry: entry.event.kind == "NotifierEnd")

The variable's name is the rule's name (``one_map`` is ``one-map``). A rule with state is a subclass of
:class:`~p2plab.rules.base.Rule` with ``name``, ``promise`` and ``see``; its state must be plain values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from p2plab.core.errors import BadInput
from p2plab.core.events import Entry, Event, emit
from p2plab.core.monitor import Finding, Goal, LeadsTo
from p2plab.core.running import running
from p2plab.core.world import World
from p2plab.rules.base import Rule

#: The source of a rule that came with a driver.
YOURS = "your own file"


@dataclass(frozen=True, slots=True)
class StateBroken(Event):
    """The world is in a state that one of your rules forbids."""

    rule: str

    def __str__(self) -> str:
        return f"{self.rule} does not hold"


class OwnRule(Rule):
    """Base of the rules that :func:`never`, :func:`always` and :func:`leads_to` make. ``name`` is set later."""

    name = ""
    source = YOURS
    stated = False
    kind = "own"

    @classmethod
    def basis(cls) -> str:
        """Neither stated nor inferred: it is your own."""
        return "yours"


class StateRule(OwnRule):
    """A predicate over the world at the end of each step."""

    holds: ClassVar[Callable[[Any], object]]

    @classmethod
    def watch(cls, world: World) -> None:
        """Look at a world's state once it is built and after each step."""

        def look() -> None:
            footprint = running.footprint
            before = dict(footprint.writes) if footprint is not None else {}
            try:
                holds = cls.holds(world.things)
            except Exception as error:
                raise BadInput(f"the rule {cls.name} raised {said(error)}") from error
            if footprint is not None and footprint.writes != before:
                raise BadInput(
                    f"the rule {cls.name} changes {footprint.names()[1][-1]}: a rule must not change anything"
                )
            if not holds:
                emit(StateBroken(cls.name))

        world.after_each_step(look)

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.exercised = True
        if isinstance(entry.event, StateBroken) and entry.event.rule == self.name:
            yield self.broken(entry, entry.actor, f"after this step it does not hold that {self.promise}")


class OwnLeadsTo(OwnRule, LeadsTo):
    """Whether the latest ``when`` has been followed by a ``then``. A search judges it: no fair run may leave it open."""

    when: ClassVar[Callable[[Entry], object]]
    then: ClassVar[Callable[[Entry], object]]

    def see(self, entry: Entry) -> Iterator[Finding]:
        if called(self, type(self).then, entry):
            self.open = False
        elif called(self, type(self).when, entry):
            self.exercised = self.open = True
        return iter(())


def never(what: str, bad: Callable[[Entry], object]) -> type[Rule]:
    """A rule over events: it breaks at an entry of the log for which ``bad(entry)`` is true.

    ``bad`` may use ``entry.actor`` and ``entry.event``, not the step number or the time.
    """

    class Never(OwnRule):
        promise = f"never: {what}"

        def see(self, entry: Entry) -> Iterator[Finding]:
            self.exercised = True
            if called(self, bad, entry):
                yield self.broken(entry, entry.actor, what)

    Never.__doc__ = what
    return Never


def always(what: str, holds: Callable[[Any], object]) -> type[Rule]:
    """A rule over states: ``holds(things)`` is true when the world is built and at the end of every step.

    ``things`` are the scene's: ``things.spaces``, ``things.exporters``, ``things.importers``. Look at anything; change nothing.
    """
    return type("Always", (StateRule,), {"promise": what, "holds": staticmethod(holds), "__doc__": what})


def leads_to(what: str, when: Callable[[Entry], object], then: Callable[[Entry], object]) -> type[Rule]:
    """A rule over whole runs: after ``when(entry)`` ``then(entry)`` follows eventually, under every fair schedule.

    Fair: an actor that can always go on does. It is judged over the whole graph, so only by a search that ended.
    """
    body = {
        "promise": f"always eventually: {what}",
        "when": staticmethod(when),
        "then": staticmethod(then),
        "__doc__": what,
    }
    return type("Eventually", (OwnLeadsTo,), body)


def must_reach(what: str, reached: Callable[[Event], object]) -> Goal:
    """A goal: some order must have an event for which ``reached(event)`` is true."""
    return Goal("", what, lambda event: bool(reached(event)))


def called(rule: Rule, function: Callable[[Entry], object], entry: Entry) -> bool:
    """The result of your function for an entry. :exc:`BadInput` where it raises."""
    try:
        return bool(function(entry))
    except Exception as error:
        raise BadInput(f"the rule {rule.name} raised {said(error)} at {entry.event.kind}") from error


def said(error: Exception) -> str:
    """An exception in a few words; its own text may raise, too."""
    try:
        text = str(error)[:200]
    except Exception:  # noqa: BLE001  a __str__ of somebody's own
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
