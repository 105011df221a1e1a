"""Rows of marks as files: CSV, JSON, and the table of grades that nbgrader writes and learning platforms read.

Each is complete after each row: if a marking stops in the middle, the rows so far are there. Only JSON, which is written
as a whole, lets the rows of files that are merely listed wait, once there are more than :data:`AT_ONCE`.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TextIO

from p2plab.core.plain import plain, storable
from p2plab.course.exercises import EXERCISES
from p2plab.course.marking.mark import Marked

#: nbgrader's own columns, as ``nbgrader export`` writes them.
GRADES = (
    *("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email", "raw_score"),
    *("late_submission_penalty", "score", "max_score"),
)
#: So many rows of a JSON table are written at once, whatever they are; a folder may have 20,000 files.
AT_ONCE = 100
HEAD = ("file", "name", "passed", *EXERCISES, "confirmed", "helped", "note", "protection")


class Csv:
    """A table that is written row by row; no cell begins in a way that a spreadsheet would take for a formula."""

    def __init__(self, out: TextIO, head: Sequence[str] = HEAD) -> None:
        self.out = out
        self._write(head)

    def add(self, row: Marked) -> None:
        """One more row. OSError where there is no room."""
        self._write(cells(row))

    def _write(self, row: Sequence[str]) -> None:
        line = io.StringIO()
        csv.writer(line).writerow([cell(text) for text in row])
        self.out.write(line.getvalue())
        self.out.flush()


class Grades(Csv):
    """The same as points: one for each exercise that passed."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out, GRADES)

    def add(self, row: Marked) -> None:
        """One more row, for one more hand-in."""
        if row.marks:
            score = str(row.passed)
            self._write(("p2plab", "", "", student(row), "", row.name, "", score, "0", score, str(len(EXERCISES))))


class Json:
    """One object, rewritten with each row; without a path it is only kept, in :attr:`value`."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.rows = path, list[dict[str, object]]()
        self._write()

    def finish(self) -> None:
        """Write the rows that waited. OSError if there is no room; the old content stays."""
        if self._written < len(self.rows):
            self._write()

    @property
    def value(self) -> dict[str, object]:
        """The whole object."""
        return {"exercises": list(EXERCISES), "max_points": len(EXERCISES), "rows": self.rows}

    def add(self, row: Marked) -> None:
        """One more row. OSError if there is no room; the old content stays."""
        self.rows.append(
            {
                "file": storable(row.file),
                "name": storable(row.name),
                "student": storable(student(row)),
                "points": row.passed,
                "marks": dict(row.marks),
                "confirmed": dict(row.confirmed),
                "helped": dict(row.helped),
                "note": storable(row.note),
                "protection": row.means,
            }
        )
        if row.marks or len(self.rows) <= AT_ONCE or len(self.rows) >= self._written * 5 // 4:
            self._write()

    def _write(self) -> None:
        self._written = len(self.rows)
        if self.path is None:
            return
        text = json.dumps({"schema": "mark/1", **self.value}, indent=1)
        beside = self.path.with_name(f".{self.path.name[:200]}.{os.getpid()}")
        try:
            beside.write_text(text + "\n", encoding="utf-8")
            beside.replace(self.path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def student(row: Marked) -> str:
    """The student, by the folder or the file's name."""
    path = PurePosixPath(row.file)
    return path.parts[0] if len(path.parts) > 1 else path.stem


def cells(row: Marked) -> list[str]:
    """One row: each exercise's mark, and in how many orders the passes were confirmed."""
    marks = [row.marks.get(name, "") for name in EXERCISES]
    counts = " ".join(f"{name}:{count}" for name, count in row.confirmed.items())
    helped = " ".join(f"{name}:{layer}" for name, layer in row.helped.items())
    return [row.file, row.name, str(row.passed), *marks, counts, helped, row.note, row.means]


def cell(text: str) -> str:
    """Text for one cell: a line, without control characters, and no formula."""
    line = plain(" ".join(storable(text).split()))
    return f"'{line}" if line[:1] in ("=", "+", "-", "@") else line
