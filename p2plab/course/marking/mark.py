"""A folder of hand-ins to a table of marks: a row for everything in it, written as it comes, no matter what a hand-in does."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from p2plab.core.errors import BadInput
from p2plab.course.marking.jail import HOW_TO, Protection, protection
from p2plab.course.marking.orders import orders_of
from p2plab.course.marking.reading import HandIn, hand_ins

_HOME = Path(__file__).resolve().parents[3]
#: Nothing that a judge says of one hand-in is longer.
_LONGEST = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Of one hand-in: seconds on the clock, megabytes of memory, and in how many random orders a pass is confirmed."""

    seconds: int = 180
    megabytes: int = 1024
    random: int = 25


@dataclass(frozen=True)
class Marked:
    """One row: ``marks`` by exercise (``pass``, the rule that broke, ``fail``, ``not marked``), and what to know.

    ``confirmed``: by passed exercise, the number of orders without the hand-in's account of its state. ``helped``: by
    exercise, the furthest help (``hint``, ``where``, ``recipe``) that was asked for, by the hand-in's own account.
    """

    file: str
    name: str
    marks: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    means: str = ""
    confirmed: Mapping[str, int] = field(default_factory=dict)
    helped: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> int:
        """How many exercises."""
        return sum(mark == "pass" for mark in self.marks.values())


def mark_folder(
    folder: Path,
    limits: Limits | None = None,
    on_row: Callable[[Marked], None] = lambda _row: None,
    jobs: int = 1,
    unprotected: bool = False,
) -> list[Marked]:
    """Mark everything in a folder, ``jobs`` at a time; ``on_row`` is called with each row as it comes.

    BadInput for an empty folder, and where hand-ins cannot be sandboxed, unless ``unprotected``. KeyboardInterrupt is
    raised once nothing runs any more and every hand-in has a row.
    """
    means = shut_in(unprotected)
    found = hand_ins(folder)
    marking = _Marking(found, limits or Limits(), means, folder)
    rows = []
    for row in marking.rows(jobs):
        rows.append(row)
        on_row(row)
    if marking.interrupted:
        raise KeyboardInterrupt
    return rows


def shut_in(unprotected: bool) -> Protection:
    """How hand-ins are sandboxed. BadInput if they are not, unless the caller accepts that."""
    if importlib.util.find_spec("resource") is None:
        raise BadInput("hand-ins cannot be marked here: this system cannot limit a process's resources; Linux can")
    means = protection()
    if means.missing and not unprotected:
        raise BadInput(
            f"hand-ins are programs, and cannot be sandboxed here: {means.missing}. Either {HOW_TO}, or mark on a disposable "
            "machine with --unprotected"
        )
    return means


class _Marking:
    def __init__(self, found: list[HandIn], limits: Limits, means: Protection, folder: Path) -> None:
        self.found, self.limits, self.means, self.folder = found, limits, means, folder
        self.interrupted = False
        self._todo: queue.SimpleQueue[HandIn] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Marked | BaseException] = queue.SimpleQueue()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._orders: dict[str, tuple[tuple[str, ...], ...]] = {}

    def rows(self, jobs: int) -> Iterator[Marked]:
        """As they come. After Ctrl-C those that are left say so."""
        todo = [one for one in self.found if one.answers]
        for one in self.found:
            if not one.answers:
                why = one.skipped or "it answers no exercise"
                yield Marked(one.file, one.name, note=why, means=self.means.means)
        left = {id(one): one for one in todo}
        try:
            for name in dict.fromkeys(name for one in todo for name in one.answers):
                self._orders[name] = orders_of(name)
            for one in todo:
                self._todo.put(one)
            for _ in range(min(jobs, len(todo))):
                threading.Thread(target=self._work, daemon=True).start()
            while left:
                one, row = self._next()
                del left[id(one)]
                yield row
        except KeyboardInterrupt:
            self.interrupted = True
            self._end_all()
            for one in left.values():
                marks = dict.fromkeys(one.answers, "not marked")
                yield Marked(one.file, one.name, marks, "interrupted before it was marked", self.means.means)
        finally:
            self._end_all()

    def _next(self) -> tuple[HandIn, Marked]:
        while True:
            with contextlib.suppress(queue.Empty):  # an endless wait would not notice Ctrl-C on every system
                one, row = self._done.get(timeout=0.5)  # type: ignore[misc]
                if isinstance(row, BaseException):
                    raise row
                return one, row

    def _work(self) -> None:
        while not self.interrupted:
            try:
                one = self._todo.get_nowait()
            except queue.Empty:
                return
            try:
                row: Marked | BaseException = self._mark(one)
            except Exception as error:  # noqa: BLE001  one hand-in must not cost the others their rows
                marks = dict.fromkeys(one.answers, "not marked")
                row = Marked(
                    one.file, one.name, marks, f"it could not be marked: {type(error).__name__}", self.means.means
                )
            self._done.put((one, row))  # type: ignore[arg-type]

    def _mark(self, one: HandIn) -> Marked:
        limits = self.limits
        given = {
            "answers": one.answers,
            "orders": {name: self._orders[name] for name in one.answers},
            "random": limits.random,
            "command": self.means.command(limits.seconds, limits.megabytes, [self.folder]),
            "megabytes": limits.megabytes,
            "budget": max(1.0, limits.seconds / 2),
        }
        # Nothing of the instructor's environment, which may hold tokens and passwords.
        own = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(_HOME),
            "P2PLAB_JOURNAL": "",
            "HOME": "/nonexistent",
        }
        own |= {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "p2plab.course.marking.judge"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=own, start_new_session=True,
        )  # fmt: skip
        with self._lock:
            self._running[process.pid] = process
        late = False
        try:
            said, _ = process.communicate(json.dumps(given).encode(), timeout=limits.seconds)
        except subprocess.TimeoutExpired:
            late = True
            _kill(process)
            said, _ = process.communicate()
        finally:
            _kill(process)
            with self._lock:
                del self._running[process.pid]
        return _row(one, said[:_LONGEST], process.returncode, late, limits, self.means.means)

    def _end_all(self) -> None:
        with self._lock:
            for process in self._running.values():
                _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The judge and what it started: its session, and bubblewrap's processes go with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _row(one: HandIn, said: bytes, status: int, late: bool, limits: Limits, means: str) -> Marked:
    found: dict[str, Any] = {}
    ended, notes = False, []
    for line in said.decode(errors="replace").splitlines():
        with contextlib.suppress(ValueError):  # cut off where it was killed
            mark = json.loads(line)
            ended |= "end" in mark
            if mark.get("exercise") in one.answers:
                found[mark["exercise"]] = mark
    if not ended:
        how = f"stopped after {limits.seconds} s" if late else f"what marks it was killed (signal {-status})"
        notes.append(how if late or status < 0 else f"what marks it ended too early (exit {status})")
    marks: dict[str, str] = {}
    confirmed: dict[str, int] = {}
    for name in one.answers:
        mark = found.get(name)
        if mark is None:
            marks[name] = "not marked"
            continue
        if mark["passed"] is True:
            marks[name], confirmed[name] = "pass", int(mark["confirmed"])
            if mark.get("remark"):
                notes.append(f"{name}: {mark['remark']}")
            continue
        marks[name] = "not marked" if mark.get("ended") else str(mark["rule"] or "fail")
        notes.append(f"{name}: {mark['said']}")
    helped = {name: layer for name, layer in one.helped.items() if layer}
    return Marked(one.file, one.name, marks, " | ".join(notes)[:2000], means, confirmed, helped)
