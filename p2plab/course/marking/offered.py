"""What a hand-in may derive from, import and call; a child is told before it loads the answer."""

from __future__ import annotations

import functools
import inspect

from p2plab.core import errno as errnos
from p2plab.course import kit
from p2plab.course.given import GIVEN
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
}


def hello(source: str, wanted: str, file: str) -> dict[str, object]:
    """What a child has to know before it loads an answer."""
    return {
        "source": source,
        "class": wanted,
        "file": file,
        "page": kit.PAGE_SIZE,
        "errno": dict(errnos.NUMBERS),
        "functions": list(FUNCTIONS),
        "names": list(kit.__all__),
        "modules": MODULES,
        "classes": {name: methods_of(base) for name, base in BASES.items()},
    }


@functools.cache
def methods_of(base: type) -> dict[str, bool]:
    """The public methods of a class that may be derived from, and whether each is a coroutine."""
    found = inspect.getmembers(base, inspect.isfunction)
    methods = {name: inspect.iscoroutinefunction(function) for name, function in found if not name.startswith("_")}
    return methods | {"__init__": False}
