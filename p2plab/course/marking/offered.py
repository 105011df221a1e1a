"""What a hand-in may derive from, import and call; a child is told before it loads the answer."""

from __future__ import annotations

import dataclasses
import functools
import inspect

from p2plab.core import calls
from p2plab.core import errno as errnos
from p2plab.core.events import Entry, Event
from p2plab.course import kit
from p2plab.course.given import GIVEN
from p2plab.mm import log as mm_events
from p2plab.p2p import events as p2p_events
from p2plab.p2p.importer import Importer, IntervalImporter

#: What a hand-in may derive from, and the modules in which it would look for it.
BASES: dict[str, type] = {"Importer": Importer, "IntervalImporter": IntervalImporter, "Gpu": kit.Gpu, **GIVEN}
FUNCTIONS = ("refuse_maps", "power_off")
MODULES = {
    "p2plab.p2p.importer": ["Importer", "IntervalImporter"],
    "p2plab.drivers.gpu": ["Gpu"],
    "p2plab.p2p.aperture": ["PAGE_SIZE"],
    "p2plab.core.errors": ["KernelError"],
    "p2plab.core": ["errno"],
    "p2plab.rules": ["Rule"],
    "p2plab.rules.base": ["Rule"],
}


def hello(source: str, wanted: str, file: str, rule: bool = False) -> dict[str, object]:
    """What a child has to know before it loads an answer; ``rule``: one that reads logs, and may name kinds of event."""
    events = _events() if rule else {}
    return {
        "source": source,
        "class": wanted,
        "file": file,
        "page": kit.PAGE_SIZE,
        "errno": dict(errnos.NUMBERS),
        "functions": list(FUNCTIONS),
        "names": [*kit.__all__, *(name for names in events.values() for name in names)],
        "modules": MODULES | events,
        "classes": {name: methods_of(base) for name, base in BASES.items()},
        "recording": "",
    }


@functools.cache
def _events() -> dict[str, list[str]]:
    """The kinds of event, by the module in which a rule would look for them."""
    return {
        module.__name__: sorted(
            name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, Event)
        )
        for module in (p2p_events, mm_events, calls)
    }


def entry_as_json(entry: Entry) -> list[object]:
    """One entry of a log for a child: actor, step, index, the event's kind, its text, and its fields."""
    event = entry.event
    fields = [[field.name, _plain(getattr(event, field.name))] for field in dataclasses.fields(event)]  # type: ignore[arg-type]
    return [entry.actor, entry.step, entry.index, event.kind, str(event), fields]


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return {"tuple": [_plain(one) for one in value]}
    return {"bytes": value.hex()} if isinstance(value, bytes) else value


@functools.cache
def methods_of(base: type) -> dict[str, bool]:
    """The public methods of a class that may be derived from, and whether each is a coroutine."""
    found = inspect.getmembers(base, inspect.isfunction)
    methods = {name: inspect.iscoroutinefunction(function) for name, function in found if not name.startswith("_")}
    return methods | {"__init__": False}
