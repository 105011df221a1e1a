"""The content of a folder of hand-ins: files of ``hand_in()``, notebooks, folders of students; and other things.

Everything found gets a row: a file that is not read is listed as skipped, with the reason.
"""

from __future__ import annotations

import ast
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from p2plab.core.errors import BadInput
from p2plab.core.plain import storable
from p2plab.course.exercises import EXERCISES
from p2plab.course.keep import FORMAT, HEAD, LAYERS, LONGEST_SOURCE

LARGEST_FILE = 4 * len(EXERCISES) * LONGEST_SOURCE
#: Maximum depth of folders, and number of entries, of a folder of hand-ins.
DEEPEST, MOST = 12, 20_000


@dataclass(frozen=True)
class HandIn:
    """``file`` as it is shown; ``answers`` by exercise, or ``skipped`` says why there are none."""

    file: str
    name: str = ""
    answers: dict[str, dict[str, str]] = field(default_factory=dict)
    skipped: str = ""
    helped: dict[str, str] = field(
        default_factory=dict
    )  #: by exercise, the furthest help that was asked for, by its own account


def hand_ins(folder: Path) -> list[HandIn]:
    """Everything in a folder and those in it, by name. BadInput where it cannot be listed, or has nothing."""
    try:
        found = list(_below(folder))
    except OSError as error:
        raise BadInput(f"{storable(str(folder))}: {error.strerror}") from None
    if not found:
        raise BadInput(f"{storable(str(folder))} has no hand-in (*.json, *.ipynb)")
    return found


def _below(folder: Path) -> Iterator[HandIn]:
    to_see: list[tuple[str, int]] = [(os.fspath(folder), 0)]
    count = 0
    while to_see:
        place, depth = to_see.pop()
        try:
            with os.scandir(place) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not depth:
                raise
            yield HandIn(_relative(place, folder), skipped=f"skipped: cannot be listed ({error.strerror})")
            continue
        below = []
        for entry in inside:
            count += 1
            name = _relative(entry.path, folder)
            if count > MOST:
                yield HandIn(name, skipped=f"skipped, with all that follows: more than {MOST:,} files")
                return
            why = _skipped(entry, depth)
            if why:
                yield HandIn(name, skipped=f"skipped: {why}")
            elif entry.is_dir(follow_symlinks=False):
                below.append((entry.path, depth + 1))
            else:
                yield read_hand_in(Path(entry.path), name)
        to_see += reversed(below)


def _relative(path: str, folder: Path) -> str:
    return storable(os.path.relpath(path, folder))


def _skipped(entry: os.DirEntry[str], depth: int) -> str:
    """Why something is not read; empty for a folder to go into, and a file to read."""
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    if stat.S_ISLNK(mode):
        return "a link"
    if stat.S_ISDIR(mode):
        return (
            "a hidden folder"
            if entry.name.startswith(".")
            else f"more than {DEEPEST} folders deep"
            if depth >= DEEPEST
            else ""
        )
    if not stat.S_ISREG(mode):
        return "not a file"
    return "" if entry.name.lower().endswith((".json", ".ipynb")) else "not a hand-in (*.json, *.ipynb)"


def read_hand_in(path: Path, name: str) -> HandIn:
    """One file as a hand-in of that name; what cannot be read says why in ``skipped``."""
    try:
        data = _json(path)
        if path.name.lower().endswith(".ipynb"):
            return HandIn(name, path.stem, _of_notebook(data))
        if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("sources"), dict):
            raise BadInput(f"not a hand-in: its format is not {FORMAT!r}")
        answers = {exercise: _answer(answer) for exercise, answer in data["sources"].items() if exercise in EXERCISES}
        helped = {exercise: _helped(data["sources"][exercise]) for exercise in answers}
        return HandIn(name, storable(str(data.get("name", "")))[:200], answers, helped=helped)
    except BadInput as error:
        return HandIn(name, skipped=str(error))


def _json(path: Path) -> Any:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)  # it may have been replaced
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BadInput("skipped: not a file")
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise BadInput(f"more than {LARGEST_FILE:,} bytes")
        return json.loads(data.decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"cannot be read: {type(error).__name__}") from None


def _answer(answer: Any) -> dict[str, str]:
    if not isinstance(answer, dict):
        return {}
    return {key: storable(str(answer[key])) for key in ("class", "source") if key in answer}


def _helped(answer: Any) -> str:
    layer = answer.get("helped", "") if isinstance(answer, dict) else ""
    return layer if layer in LAYERS else ""


# -- notebooks ---------------------------------------------------------------------------------------------------------


def _of_notebook(data: Any) -> dict[str, dict[str, str]]:
    """The classes that a notebook checks, with the definitions that come before; BadInput where it checks none."""
    cells = data.get("cells") if isinstance(data, dict) else None
    if not isinstance(cells, list):
        raise BadInput("not a notebook: it has no cells")
    defined: list[str] = []
    answers: dict[str, dict[str, str]] = {}
    for cell in cells:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        text = storable("".join(map(str, source)) if isinstance(source, list) else str(source))
        try:
            tree = ast.parse(
                "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in text.splitlines())
            )
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # a cell that does not run defines nothing
        for node in tree.body:
            for name, wanted in _checks(node):
                answers[name] = {"class": wanted, "source": storable(HEAD + "\n\n".join(defined))}
            for name, order in _orders(node):
                answers[name] = {"class": "", "source": storable(f"ORDER = {order!r}\n")}
            if isinstance(
                node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom, ast.Assign)
            ):
                defined.append(ast.unparse(node))
    if not answers:
        raise BadInput('skipped: it checks no class; a notebook is read for exercise("…").check(…)')
    return answers


def _checks(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    """Of ``exercise("obey").check(MyNic)`` the exercise and the class."""
    for node in ast.walk(statement):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Call(func=ast.Name(id="exercise"), args=[ast.Constant(value=str(name))]), attr="check"
                ),
                args=[ast.Name(id=wanted), *_],
            ) if name in EXERCISES:
                yield name, wanted


def _orders(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    """Of ``exercise("find-the-bug").check("app*2 gpu")`` the exercise and the order."""
    for node in ast.walk(statement):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Call(func=ast.Name(id="exercise"), args=[ast.Constant(value=str(name))]), attr="check"
                ),
                args=[ast.Constant(value=str(order)), *_],
            ) if name in EXERCISES:
                yield name, order
