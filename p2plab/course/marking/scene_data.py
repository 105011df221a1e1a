"""A scene of a hand-in as plain data, and the scene that is made of it: none of the hand-in's code runs in its world.

What a job calls is on the lists below, system calls and the exporter's own methods; its arguments are numbers, text and the
rig's objects. So a hand-in's scene cannot know which driver plays in it, nor reach log, rules or search.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from p2plab.catalog import rig
from p2plab.catalog.bench import Bench, Plan, job, scene
from p2plab.core import actors
from p2plab.core.errors import BadInput
from p2plab.core.places import recorded_machines
from p2plab.core.scenario import Scenario
from p2plab.course.marking.offered import hello
from p2plab.drivers.gpu import Gpu
from p2plab.mm import AddressSpace, flags
from p2plab.mm import kernel as kernels
from p2plab.mm.kernel import Kernel
from p2plab.pci import read_lspci, read_machine

_RECORDING = Path(__file__).with_name("recording.py")
#: What a scene may name and not look at.
_KERNELS: dict[str, Kernel] = {name: value for name, value in vars(kernels).items() if isinstance(value, Kernel)}
_NAMED = (*_KERNELS, "ObedientNic", "OnlyTheRange", "Gpu", "Aperture", "Scenario", "Machine")
_CONSTANTS = {
    name: value
    for module in (flags, rig)
    for name, value in vars(module).items()
    if name.isupper() and type(value) in (int, str)
}
#: System calls, and what an exporter does by itself. ``p2p_map`` and its like are the importers' to call.
_OF_MM = ("mmap", "munmap", "mprotect", "mremap", "madvise", "mlock", "munlock", "fork", "exit", "touch")
_OF_GPU = (
    *("invalidate", "defrag", "evict", "migrate", "begin_move", "finish_move", "mark_moving", "pull_down", "place"),
    *("revoke", "permit", "destroy", "refuse_maps", "power_off", "open_file", "move_to_ram", "take_out"),
)
#: Fields of a plan that name a class or a machine: the check gives its own.
_NOT_SET = ("importer", "exporter", "more", "aperture", "machine", "exporter_at", "importers_at", "bar", "rules")
#: No figure of a plan is larger, and no scene has more jobs.
_LARGEST, _MOST = 4096, 40

Statement = tuple[Any, ...]


class NeedsAHand(Exception):
    """The scene is more than data; its text says in what. Its check has to be run by hand."""


def scene_hello(source: str, wanted: str, file: str) -> dict[str, object]:
    """What a child has to know before it turns an answer's scene into data."""
    about = hello(source, wanted, file)
    given = {"Plan", "Bench", "BenchStation", "job", "scene", "elsewhere", "read_machine", "read_lspci", "step"}
    known = {*given, *_NAMED, *_CONSTANTS}
    modules = {
        name: sorted(known & vars(module).keys())
        for name, module in sys.modules.items()
        if name.startswith("p2plab.") and not name.startswith("p2plab.course.kit") and known & vars(module).keys()
    }
    fields = {field.name: _as_json(field.default) for field in dataclasses.fields(Plan)}
    jobs = {method: [declared.actor, declared.name] for method, declared in rig.jobs_of(Bench).items()}
    hooks = {
        name for kind in (rig.Rig, Bench) for name in vars(kind) if not name.startswith("__") or name == "__init__"
    }
    return about | {
        "recording": _RECORDING.read_text(encoding="utf-8"),
        "plan": fields,
        "jobs": jobs,
        "hooks": sorted(hooks - jobs.keys()),
        "named": list(_NAMED),
        "constants": _CONSTANTS,
        "modules": {**modules, **about["modules"]},  # type: ignore[dict-item]
    }


def _as_json(value: object) -> object:
    if isinstance(value, Kernel):
        return {"named": next(name for name, kernel in _KERNELS.items() if kernel is value)}
    if isinstance(value, tuple):
        return {"tuple": [_as_json(one) for one in value]}
    return value if value is None or type(value) in (bool, int, str) else {"named": getattr(value, "__name__", "")}


def scene_from(data: Mapping[str, Any]) -> Scenario:
    """The scene that a child described. :exc:`NeedsAHand`; BadInput for what no scene is made of; TypeError and its like
    for what no child of ours sends."""
    if why := data.get("by_hand"):
        raise NeedsAHand(str(why)[:300])
    if data["where"] is None:
        return scene("mine", "a scene", Plan())
    kind, text, exporter, importers, bar = data["where"]
    plan = Plan(**{str(name): _field(str(name), value) for name, value in data["plan"].items()})
    jobs = [_job(*words) for words in data["jobs"][: _MOST + 1]]
    if len(jobs) > _MOST:
        raise BadInput(f"its bench has more than {_MOST} jobs")
    made = scene("mine", "a scene", plan, bench=_bench(jobs))
    machine = _recorded(str(text)) if kind == "recorded" else read_lspci(str(text))
    if bar is not None and type(bar) is not int:
        raise BadInput(f"bar is a number, not {bar!r:.40}")
    return rig.elsewhere(made, machine, str(exporter), tuple(map(str, importers)), bar)


def _recorded(name: str) -> Any:
    if name not in recorded_machines():
        raise NeedsAHand(f"it reads the machine {name[:60]!r} from a file (read_lspci takes the text itself)")
    return read_machine(name)


def _field(name: str, value: Any) -> Any:
    """A field of the plan, of the type that its default has."""
    usual = {field.name: field for field in dataclasses.fields(Plan)}
    if name not in usual or name in _NOT_SET:
        raise NeedsAHand(f"its plan sets {name[:40]}")
    default, given = usual[name].default, _value(None, value)
    if isinstance(default, Kernel):
        if not (isinstance(value, dict) and value.get("named") in _KERNELS):
            raise NeedsAHand("its kernel is none of p2plab's")
        return _KERNELS[value["named"]]
    if isinstance(default, tuple):
        if isinstance(given, tuple) and len(given) <= _MOST and all(isinstance(word, str) for word in given):
            return given
    elif default is None or type(given) is type(default):
        if type(given) is int and not -1 <= given <= _LARGEST:
            raise BadInput(f"{name} = {given}: from -1 to {_LARGEST} is allowed here")
        if given is None or type(given) in (bool, int, str):
            return given
    raise BadInput(f"{name} = {given!r:.60} is not what a Plan takes there")


# -- jobs --------------------------------------------------------------------------------------------------------------


def _job(method: Any, actor: Any, name: Any, program: Any) -> tuple[str, str, str, tuple[Statement, ...]]:
    if actor not in ("app", "gpu", "nic", "fate") or not all(
        isinstance(word, str) and 0 < len(word) <= 60 and word.isprintable() for word in (method, name)
    ):
        raise BadInput("a job has an actor and a name of up to 60 letters")
    calls = _frozen(program)
    _look_at(calls)
    return method, actor, name, calls


def _frozen(value: Any) -> Any:
    """Lists as tuples: a job's calls are the same in every world."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        ((kind, inside),) = value.items()
        return _Word(str(kind), _frozen(inside))
    return value


@dataclasses.dataclass(frozen=True)
class _Word:
    """A value that is not plain: ``path``, ``call``, ``named`` or ``tuple``."""

    kind: str
    inside: Any


def _bench(jobs: Sequence[tuple[str, str, str, tuple[Statement, ...]]]) -> type[Bench]:
    """A bench whose jobs carry out what is written."""
    inherited = rig.jobs_of(Bench)
    inside: dict[str, Any] = {"__module__": __name__, "__slots__": (), "programs": {j[2]: j[3] for j in jobs}}
    for number, (method, actor, name, _) in enumerate(jobs):
        inside[method if method in inherited else f"job_{number}"] = job(actor, name)(_carrier(name))
    return type("HandedIn", (Bench,), inside)


def _carrier(name: str) -> Callable[[Any], Awaitable[None]]:
    async def carries(self: Any, _name: str = name) -> None:
        await _carry_out(self, self.programs[_name])

    carries.__doc__ = name
    return carries


async def _carry_out(bench: Any, program: tuple[Statement, ...]) -> None:
    at = 0
    while at < len(program):
        kind, *words = program[at]
        at += 1
        if kind == "with":
            async with _place(bench, words[0]):
                await _carry_out(bench, words[1])
        elif kind == "step":
            await actors.step(words[0], functools.partial(_at_once, bench, words[1]), duration=words[2])
        else:
            await _called(bench, *words)


def _at_once(bench: Any, program: tuple[Statement, ...]) -> None:
    for _, path, args, kwargs, _ in program:
        _call(bench, path, args, kwargs)


async def _called(bench: Any, path: Any, args: Any, kwargs: Any, awaited: bool) -> None:
    made = _call(bench, path, args, kwargs)
    if awaited:  # else nothing of it happens, and Python warns, as anywhere
        await made


def _call(bench: Any, path: Any, args: Any, kwargs: Any) -> Any:
    given = {str(name): _value(bench, value) for name, value in kwargs}
    return _callee(bench, path)(*(_value(bench, value) for value in args), **given)


def _value(bench: Any, value: Any) -> Any:
    if isinstance(value, dict):
        value = _frozen(value)
    if not isinstance(value, _Word):
        return value
    if value.kind == "tuple":
        return tuple(_value(bench, one) for one in value.inside)
    if value.kind == "path":
        return _place(bench, value.inside)
    if value.kind == "call":
        return _call(bench, *value.inside)
    return value


def _callee(bench: Any, path: Any) -> Any:
    (_, name), owner = path[-1], path[:-1]
    return getattr(_place(bench, owner) if owner else bench, name)


def _place(bench: Any, path: Any) -> Any:
    """What a job names."""
    found = bench
    for kind, name in path:
        found = getattr(found, name) if kind == "get" else found[name]
    return found


# -- what a job may call and name --------------------------------------------------------------------------------------


def _look_at(program: tuple[Statement, ...]) -> None:
    """Everything that a job will do, before any world is there. :exc:`NeedsAHand`."""
    for kind, *words in program:
        if kind == "with":
            if _names(words[0]) != ["gpu", "lock"]:
                raise NeedsAHand(f"a job enters {_said(words[0])}")
            _look_at(words[1])
        elif kind == "step":
            label, effect, duration = words
            if type(label) is not str or type(duration) is not int or not 0 <= duration <= _LARGEST:
                raise BadInput("a step has a label and a number of ticks")
            if any(kind != "call" or inspect.iscoroutinefunction(_method(path)) for kind, path, *_ in effect):
                raise BadInput("the effect of a step awaits nothing")
            _look_at(effect)
        else:
            path, args, kwargs, awaited = words
            _method(path)
            for value in (*args, *(value for _, value in kwargs)):
                _look_at_value(value)
            if type(awaited) is not bool:
                raise TypeError("awaited or not")


def _look_at_value(value: Any) -> None:
    if not isinstance(value, _Word):
        if value is not None and type(value) not in (bool, int, float, str):
            raise TypeError("an argument is plain")
    elif value.kind == "tuple":
        for one in value.inside:
            _look_at_value(one)
    elif value.kind == "call":
        _look_at((("call", *value.inside, False),))
    elif value.kind == "path":
        match _names(value.inside):
            case ["memory", "objects", _] | ["gpu", "memory", "objects", _]:
                pass
            case _:
                raise NeedsAHand(f"a job hands on {_said(value.inside)}")
    else:
        raise NeedsAHand(f"a job hands on {value.inside!r:.40}")


def _method(path: Any) -> Any:
    """The method at the end of a path, if a job may call it."""
    *owner, name = _names(path)
    kind, allowed = _CALLED.get(tuple(owner), (None, ()))
    if kind is None or name not in allowed:
        raise NeedsAHand(f"a job calls {_said(path)}")
    return getattr(kind, name)


_CALLED: dict[tuple[str, ...], tuple[type, Sequence[str]]] = {
    (): (Bench, tuple(rig.jobs_of(Bench))),
    ("mm",): (AddressSpace, _OF_MM),
    ("mm2",): (AddressSpace, _OF_MM),
    ("gpu",): (Gpu, _OF_GPU),
}


def _names(path: Any) -> list[str]:
    if not all(kind in ("get", "item") and type(name) is str for kind, name in path):
        raise NeedsAHand("a job names something by a number")
    return [name for _, name in path]


def _said(path: Any) -> str:
    return ("self" + "".join(f".{name}" if kind == "get" else f"[{name!r}]" for kind, name in path))[:80]
