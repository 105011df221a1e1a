"""Your own driver classes: loading them from a file, checking them before anything runs, casting them."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from p2plab.core import known
from p2plab.core.errors import BadInput, comes_from_outside, text_of
from p2plab.core.events import Event
from p2plab.core.scenario import Scenario, Value
from p2plab.search.watchdog import StepTooLong, Watchdog, silence, where

LARGEST_FILE = 1_000_000


def cast(scene: Scenario, **classes: type | None) -> Scenario:
    """The scene with your classes in its roles (``importer=MyNic``; None: as it is). :exc:`BadInput` says what is wrong."""
    roles = {role: given for role, given in classes.items() if given is not None}
    for name in classes.keys() - roles.keys() - scene.roles.keys():
        if not any(name in other.roles for other in known.scenes().values()):
            raise TypeError(f"{name} is no option of a search, and no role")
    if all(scene.cast.get(role) is given for role, given in roles.items()):
        return scene
    try:
        played = scene.with_cast(roles)
    except BadInput as error:
        taking = takers(roles)
        more = f"; scenes that take it: {', '.join(taking[:6])}" + (", …" if len(taking) > 6 else "") if taking else ""
        raise BadInput(f"{error}{more}") from None
    for role, given in roles.items():
        for base in scene.roles[role].bases.values():
            if issubclass(given, base):
                look_at(given, base)
    return known.judged(played, roles)


def takers(roles: Mapping[str, type]) -> list[str]:
    """The scenes in which these classes can play these roles, by name."""
    return [
        scene.name
        for scene in known.scenes().values()
        if all(role in scene.roles and not scene.roles[role].why_not(given) for role, given in roles.items())
    ]


def played(scene: Scenario, knobs: Mapping[str, Value], role: str, told: Iterable[Event]) -> bool:
    """Whether an object of the class in ``role`` took part in the steps of a search: some event names it."""
    things = scene.world(**knobs).things
    parts = (
        [getattr(things, field.name) for field in dataclasses.fields(things)]
        if dataclasses.is_dataclass(things)
        else []
    )
    objects: list[Any] = [thing for part in parts if isinstance(part, tuple) for thing in part]
    kind: Any = scene.cast[role]
    names = {thing.name for thing in objects if isinstance(thing, kind)}
    if not names:
        return True  # the scene shows no such object: the goals alone decide
    return any(
        getattr(event, field.name) in names
        for event in told
        for field in dataclasses.fields(event)  # type: ignore[arg-type]
        if field.name not in ("label", "job")
    )


def look_at(given: type, base: type) -> None:
    """:exc:`BadInput` where a class cannot be called like its base: a callback that is not ``async``, another signature."""
    for name, own in inspect.getmembers(given, inspect.isfunction):
        expected = getattr(base, name, None)
        if getattr(own, "__isabstractmethod__", False):
            if own is expected:
                raise BadInput(
                    f"{given.__name__} has no {name}: write `async def {name}({', '.join(_parameters(own))})`"
                )
            raise BadInput(f"{given.__name__}.{name} is abstract: derive a class that has it")
        if own is expected or not inspect.iscoroutinefunction(expected):
            continue
        if inspect.isasyncgenfunction(own):
            raise BadInput(f"{given.__name__}.{name} has a `yield`: a callback awaits its steps and returns")
        if not inspect.iscoroutinefunction(own):
            raise BadInput(
                f"{given.__name__}.{name} is not async: write `async def {name}(…)`, its awaits are its steps"
            )
        takes, wants = _parameters(own), _parameters(expected)
        if not _can_take(own, len(wants)):
            raise BadInput(
                f"{given.__name__}.{name} takes ({', '.join(takes)}); it is called with ({', '.join(wants)})"
            )


def load(text: str, dog: Watchdog) -> type:
    """The class that ``file.py:Class`` names, as :func:`load_any`."""
    found = load_any(text, dog)
    if not isinstance(found, type):
        raise BadInput(f"{text[-60:]} is a {type(found).__name__}, not a class")
    return found


def load_any(text: str, dog: Watchdog) -> type | Scenario:
    """The class or scene that ``file.py:Class`` names. The file is run, within a step budget."""
    path_text, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier() or not path_text:
        raise BadInput(f"{text[:60]!r} does not name a class; write FILE.py:Class")
    path = Path(path_text)
    try:
        too_long = path.stat().st_size > LARGEST_FILE
        if not path.is_file():
            raise ValueError("it is no file")
        if not too_long:
            path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BadInput(f"{path_text[-80:]} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if too_long:
        raise BadInput(f"{path_text[-80:]} has more than {LARGEST_FILE} bytes")
    module = _known(path) or _run(path, dog)
    found = getattr(module, name, None)
    if not isinstance(found, (type, Scenario)):
        classes = [own for own, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise BadInput(f"{path.name} has no class or scene {name}; it has {', '.join(classes) or 'none'}")
    return found


def _known(path: Path) -> types.ModuleType | None:
    """The p2plab module at a path: run again, it would make another class than the one that scenes know."""
    home, file = Path(__file__).resolve().parents[1], path.resolve()
    if home not in file.parents:
        return None
    return sys.modules.get(".".join((home.name, *file.relative_to(home).with_suffix("").parts)))


def _run(path: Path, dog: Watchdog) -> types.ModuleType:
    import importlib.util  # where it is needed: a search without a file begins sooner

    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path} is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # dataclasses and inspect look their module up
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # a driver may import its neighbours, as when it is run
    try:
        with silence(), dog.step():
            spec.loader.exec_module(module)
    except SyntaxError as error:
        raise BadInput(f"{path.name}, line {error.lineno}: {error.msg}") from None
    except StepTooLong:
        raise BadInput(f"{path.name} does not finish: its top level may only define things") from None
    except BaseException as error:
        if comes_from_outside(error):
            raise
        raise BadInput(f"{path.name} raised {type(error).__name__}: {text_of(error)} (in {where(error)})") from None
    finally:
        sys.path.remove(folder)
    return module


def _parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)[1:]


def _can_take(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count + 1))
    except TypeError:
        return False
    return True
