"""Keeps what a learner wrote: each check saves the source and notes the outcome; all of it can be exported to one file.

The folder is ``P2PLAB_COURSE`` if set, else ``p2plab/course`` in the user's data folder.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import json
import linecache
import os
import re
import sys
import tempfile
import textwrap
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2plab.core.errors import BadInput
from p2plab.course import kit

FORMAT = "p2plab hand-in 1"
HEAD = "from p2plab.course.kit import *  # noqa: F403\n\n\n"
#: The layers of help, from the least to the most.
LAYERS = ("", "hint", "where", "recipe")
#: Maximum number of characters of an exercise's driver.
LONGEST_SOURCE = 200_000


@dataclass(frozen=True)
class Kept:
    """Where the source was saved (empty: nowhere), and a sentence that says so."""

    path: str
    said: str

    @property
    def module(self) -> str:
        """The module name of the saved file."""
        return Path(self.path).stem if self.path else "__main__"


def folder() -> Path:
    """The folder with this user's answers."""
    named = os.environ.get("P2PLAB_COURSE", "")
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return Path(named) if named else data / "p2plab" / "course"


def source_of(driver: object) -> str:
    """The source of a class or function, with what it uses from the same notebook or file; BadInput if it cannot be found.

    A text is an order of events, and kept as one.
    """
    if isinstance(driver, str):
        return f"ORDER = {driver!r}\n"
    if not isinstance(driver, type) and not inspect.isfunction(driver):
        raise BadInput(f"{repr(driver)[:40]} is not a class")
    try:
        parts = [_text(thing) for thing in _needed(driver)]
        more = _imports_and_constants(driver, parts)
    except (OSError, TypeError, SyntaxError):
        raise BadInput(
            f"cannot find the source of {driver.__name__}; define it in a notebook cell or a .py file"
        ) from None
    return HEAD + "\n\n".join([*more, *parts])


def keep(exercise: str, driver: object, passed: bool, said: str, into: Path | None = None) -> Kept:
    """Save source and outcome. A failure is reported in the result and stops nothing."""
    try:
        source = source_of(driver)
        place = into or folder()
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{exercise.replace('-', '_')}.py"
        _set_aside(path, source)
        _write(path, source)
        record = _progress(place)
        helped = record.get(exercise, {}).get("helped", "")
        record[exercise] = {
            "class": getattr(driver, "__name__", ""),
            "passed": passed,
            "said": said,
            "helped": helped,
        }
        _write(place / "progress.json", json.dumps(record, indent=1))
    except (OSError, BadInput) as error:
        return Kept("", f"not saved: {error}")
    return Kept(str(path), f"saved: {path}")


def note_help(exercise: str, layer: str, into: Path | None = None) -> None:
    """Remember the furthest layer of help that was asked for, if the folder can be written."""
    with contextlib.suppress(OSError):
        record = _progress(place := into or folder())
        entry = record.get(exercise, {})
        before = entry.get("helped", "")
        if exercise in record and (before not in LAYERS or LAYERS.index(layer) > LAYERS.index(before)):
            entry["helped"] = layer
            _write(place / "progress.json", json.dumps(record, indent=1))


def progress(into: Path | None = None) -> str:
    """One line per exercise: passed, tried, or open."""
    from p2plab.course.exercises import EXERCISES

    record = _progress(into or folder())
    marks = dict.fromkeys(EXERCISES, "open") | {
        name: "PASSED" if entry.get("passed") else "tried" for name, entry in record.items() if name in EXERCISES
    }
    done = sum(mark == "PASSED" for mark in marks.values())
    return "\n".join([*(f"{name:<28} {mark}" for name, mark in marks.items()), f"{done} of {len(marks)} passed"])


def hand_in(name: str, path: str | Path = "", into: Path | None = None) -> Path:
    """Write everything that was saved to one JSON file to hand in. Returns its path."""
    place = into or folder()
    record = _progress(place)
    sources = {}
    for exercise, entry in record.items():
        with contextlib.suppress(OSError):
            text = (place / f"{exercise.replace('-', '_')}.py").read_text(encoding="utf-8")
            helped = entry.get("helped", "")
            sources[exercise] = {"class": entry.get("class", ""), "source": text, "helped": helped}
    if not sources:
        raise BadInput(f"nothing to hand in: no exercise was checked yet (looked in {place})")
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)[:60] or "hand-in"
    target = Path(path) if path else Path(f"{safe}.json")
    _write(target, json.dumps({"format": FORMAT, "name": name[:200], "sources": sources}, indent=1))
    return target


def _set_aside(path: Path, source: str) -> None:
    """Copy an answer that is about to be replaced to the folder ``earlier``."""
    if not path.is_file() or (old := path.read_text(encoding="utf-8")) == source:
        return
    earlier = path.parent / "earlier"
    earlier.mkdir(exist_ok=True)
    number = len(list(earlier.glob(f"{path.stem}-*.py"))) + 1
    _write(earlier / f"{path.stem}-{number}.py", old)


def _text(thing: Any) -> str:
    """The source of a function or class. For a notebook's class (inspect finds none before Python 3.13), by its methods."""
    files = (
        [f.__code__.co_filename for f in vars(thing).values() if inspect.isfunction(f)]
        if isinstance(thing, type)
        else []
    )
    for lines in (linecache.getlines(file) for file in files):
        for node in reversed(ast.parse("".join(lines)).body):
            if isinstance(node, ast.ClassDef) and node.name == thing.__name__:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                return "".join(lines[first - 1 : node.end_lineno])
    return inspect.getsource(thing)


def _imports_and_constants(driver: Any, parts: list[str]) -> list[str]:
    """What else the parts refer to: Python's and p2plab's modules, imports from them, and plain constants."""
    home = vars(sys.modules[driver.__module__]) if driver.__module__ in sys.modules else {}
    tree = ast.parse("\n\n".join(textwrap.dedent(part) for part in parts))
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    lines = []
    for name in sorted(named & home.keys()):
        value = home[name]
        origin = getattr(value, "__module__", None)
        if isinstance(value, types.ModuleType) and value.__name__.partition(".")[0] in sys.stdlib_module_names:
            lines.append(f"import {value.__name__} as {name}" if value.__name__ != name else f"import {name}")
        elif isinstance(value, (bool, int, str, bytes, tuple, type(None))) and _is_plain(value):
            lines.append(f"{name} = {value!r}")
        elif str(origin).partition(".")[0] in sys.stdlib_module_names and origin not in ("builtins", "__main__"):
            real = getattr(value, "__name__", name)
            lines.append(f"from {origin} import {real}" + (f" as {name}" if real != name else ""))
        elif name not in kit.__all__ and origin != driver.__module__ and (found := _of_p2plab(value)):
            lines.append(f"from {found[0]} import {found[1]}" + (f" as {name}" if found[1] != name else ""))
    return ["\n".join(lines)] if lines else []


def _of_p2plab(value: Any) -> tuple[str, str] | None:
    """The module and the name under which p2plab has something; None for what it has not."""
    home = getattr(value, "__module__", None) or ""
    if not home.startswith("p2plab."):
        return None
    name = getattr(value, "__name__", "")
    if getattr(sys.modules.get(home), name or " ", None) is value:
        return home, name
    places = (
        (module, known)
        for module, inside in sorted(sys.modules.items())
        if module.startswith("p2plab.")
        for known, one in list(vars(inside).items())
        if one is value and not known.startswith("_")
    )
    return min(places, key=lambda place: len(place[0]), default=None)


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return type(value) in (bool, int, str, bytes, type(None))


def _needed(driver: Any) -> list[Any]:
    """The class, preceded by its bases and by the functions and classes of the same module that its code names."""
    home = vars(sys.modules.get(driver.__module__, object)) if driver.__module__ in sys.modules else {}
    found: dict[str, Any] = {}

    def visit(thing: Any) -> None:
        if getattr(thing, "__module__", "") != driver.__module__ or thing.__name__ in found:
            return
        found[thing.__name__] = None  # begun: ends a cycle
        own = [f for f in (vars(thing).values() if isinstance(thing, type) else [thing]) if inspect.isfunction(f)]
        for other in (
            *(thing.__bases__ if isinstance(thing, type) else ()),
            *(home.get(n) for f in own for n in f.__code__.co_names),
            *(value for f in own for value in f.__defaults__ or ()),
        ):
            if isinstance(other, type) or inspect.isfunction(other):
                visit(other)
        del found[thing.__name__]
        found[thing.__name__] = thing

    visit(driver)
    return [thing for thing in found.values() if thing is not None]


def _progress(place: Path) -> dict[str, Any]:
    try:
        record = json.loads((place / "progress.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(record, dict):
        return {}
    # The name becomes a file name: it must not lead out of the folder.
    return {
        name: entry for name, entry in record.items() if isinstance(entry, dict) and re.fullmatch(r"[\w-]{1,60}", name)
    }


def _write(path: Path, text: str) -> None:
    """Write all of it or nothing: a full disk must not destroy the old file."""
    if len(text) > 10 * LONGEST_SOURCE:
        raise BadInput(f"{path.name} would have {len(text):,} characters, too many for a driver")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
