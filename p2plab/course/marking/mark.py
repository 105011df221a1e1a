"""A folder of hand-ins to a table of marks: one row a file, whatever the file does."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from p2plab.core.errors import BadInput
from p2plab.course.exercises import EXERCISES
from p2plab.course.keep import FORMAT, LONGEST_SOURCE

LARGEST_FILE = len(EXERCISES) * LONGEST_SOURCE * 2
_HOME = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Limits:
    """Of one hand-in: seconds on the clock (and of the processor), megabytes of memory."""

    seconds: int = 60
    megabytes: int = 1536


@dataclass(frozen=True)
class Marked:
    """One row: ``marks`` by exercise (``pass``, the rule that broke, ``fail``, ``not marked``), and what to know."""

    file: str
    name: str
    marks: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    means: str = ""

    @property
    def passed(self) -> int:
        """How many exercises."""
        return sum(mark == "pass" for mark in self.marks.values())


def mark_folder(
    folder: Path, limits: Limits | None = None, told: Callable[[Marked], None] = lambda _row: None, jobs: int = 1
) -> list[Marked]:
    """Mark every ``*.json`` of a folder, ``jobs`` at a time; rows by file name. BadInput if there is none."""
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".json" and path.is_file())
    except OSError as error:
        raise BadInput(f"{folder}: {error.strerror}") from None
    if not files:
        raise BadInput(f"{folder} has no hand-in (*.json)")
    rows = []
    with ThreadPoolExecutor(jobs) as several:  # each only waits for a process
        for row in several.map(lambda file: mark_file(file, limits or Limits()), files):
            rows.append(row)
            told(row)
    return rows


def mark_file(file: Path, limits: Limits) -> Marked:
    """Mark one hand-in. Never raises for what is in it."""
    try:
        name, answers = _read(file)
    except BadInput as error:
        return Marked(file.name, "", note=str(error))
    with tempfile.TemporaryDirectory(prefix="p2plab-mark-", ignore_cleanup_errors=True) as scratch:
        words = [str(file.resolve()), scratch, str(limits.seconds), str(limits.megabytes)]
        runner = [sys.executable, "-m", "p2plab.course.marking.runner", *words]
        keeper = [sys.executable, "-m", "p2plab.course.marking.keeper", str(limits.seconds), *runner]
        # nothing of the instructor's environment: tokens and passwords live there
        own = {"PATH": os.defpath, "HOME": scratch, "TMPDIR": scratch, "P2PLAB_COURSE": scratch, "P2PLAB_JOURNAL": ""}
        own |= {"PYTHONPATH": str(_HOME), "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
        word = secrets.token_hex(16)
        try:
            done = subprocess.run(
                keeper,
                env=own,
                cwd=scratch,
                input=f"{word}\n".encode(),
                capture_output=True,
                timeout=limits.seconds + 15,
                check=False,
            )
            said, status = done.stdout.decode(errors="replace"), done.returncode
        except subprocess.TimeoutExpired as late:
            said, status = (late.stdout or b"").decode(errors="replace"), 3
    return _row(file.name, name, answers, _own_lines(said, word), status, limits)


def _read(file: Path) -> tuple[str, list[str]]:
    """The name, and the exercises that are answered."""
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise BadInput(f"more than {LARGEST_FILE:,} bytes")
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"cannot be read: {type(error).__name__}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("sources"), dict):
        raise BadInput(f"not a hand-in: its format is not {FORMAT!r}")
    return str(data.get("name", ""))[:200], [name for name in data["sources"] if name in EXERCISES]


def _own_lines(said: str, word: str) -> tuple[list[dict[str, Any]], bool]:
    """The marks that begin with the word, and whether there was anything else: the hand-in's own writing."""
    lines = [line for line in said.splitlines() if line]
    mine = [line.removeprefix(f"{word} ") for line in lines if line.startswith(f"{word} ")]
    read: list[dict[str, Any]] = []
    for line in mine:
        with contextlib.suppress(ValueError):  # cut off where the keeper stopped reading
            read.append(json.loads(line))
    return read, len(mine) < len(lines)


def _row(
    file: str, name: str, answers: list[str], said: tuple[list[dict[str, Any]], bool], status: int, limits: Limits
) -> Marked:
    found: dict[str, Any] = {}
    means, ended, notes = "", False, []
    marks_read, more = said
    if more:
        notes.append("it wrote to where its marks go: look at its source")
    for mark in marks_read:
        means, ended = mark.get("means", means), ended or "end" in mark
        if mark.get("exercise") in answers:
            found[mark["exercise"]] = mark
    marks = {}
    for exercise in answers:
        if exercise not in found:
            marks[exercise] = "not marked"
            continue
        mark = found[exercise]
        marks[exercise] = "pass" if mark.get("passed") is True else str(mark.get("rule") or "fail")
        if not mark.get("passed"):
            notes.append(f"{exercise}: {mark.get('said', '')}")
    if not ended:
        notes.insert(
            0, f"stopped after {limits.seconds} s" if status == 3 else "its process ended before all was marked"
        )
    return Marked(file, name, marks, " | ".join(notes)[:2000], means)


def write_csv(rows: list[Marked], out: TextIO) -> None:
    """One row a hand-in; no cell begins in a way that a spreadsheet would take for a formula."""
    table = csv.writer(out)
    table.writerow(["file", "name", "passed", *EXERCISES, "note", "protection"])
    for row in rows:
        marks = [row.marks.get(name, "") for name in EXERCISES]
        table.writerow([_plain(cell) for cell in (row.file, row.name, str(row.passed), *marks, row.note, row.means)])


def _plain(cell: str) -> str:
    text = " ".join(cell.split())
    return f"'{text}" if text[:1] in "=+-@" and text else text
