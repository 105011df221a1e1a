"""The journal: the token of each lab's run, one line per change, so that a restart or a closed laptop loses nothing.

When it has grown it is cut back to the newest line of each lab, so no lab's presses push out another's run. Several
kernels may write at once.

The file is ``journal.jsonl`` in the person's data folder, or what ``P2PLAB_JOURNAL`` names (empty: no journal). A served app
keeps none: its visitors share one account, and must not see each other's runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from p2plab.core.places import journal_file
from p2plab.core.token import LONGEST_TOKEN

#: Maximum number of labs in the journal. With more than twice as many lines it is cut back to the newest line of each of the
#: newest labs.
LINES = 200
#: Seconds to wait for another kernel that is writing; a stopped one must not block this one.
PATIENCE = 1.0
#: Maximum number of bytes that are read, from its end: an overfull journal must not block a lab.
LARGEST = 4 * LINES * (LONGEST_TOKEN + 1000)


class Journal:
    """The runs of one lab: ``key`` identifies it (its notebook and its scene)."""

    def __init__(self, scene: str) -> None:
        self.key = f"{os.environ.get('JPY_SESSION_NAME', '')}|{scene}"
        self.path = journal_file()
        self._last = ""

    def last(self) -> str:
        """The newest token of this lab, or empty. Lines that cannot be read are skipped."""
        try:
            lines = self._lines() if self.path is not None and self.path.is_file() else []
        except OSError:
            return ""  # the next press will try to write, and report why that fails
        for line in reversed(lines):
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and entry.get("key") == self.key and isinstance(entry.get("token"), str):
                return str(entry["token"])
        return ""

    def keep(self, token: str) -> None:
        """Write a token, unless it was the last one written. Raises OSError where the folder cannot be written."""
        if self.path is None or token == self._last:
            return
        self._last = token
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self.path) as alone:
            torn = "\n" if self._torn() else ""
            with self.path.open("a", encoding="utf-8") as file:
                file.write(torn + json.dumps({"key": self.key, "token": token}) + "\n")
            lines = self._lines()
            if alone and len(lines) > 2 * LINES:
                self._cut_back(lines)

    def _cut_back(self, lines: list[str]) -> None:
        """Write all or nothing, through a file with a name of this process."""
        assert self.path is not None
        newest: dict[str, str] = {}
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError, KeyError, TypeError):
                key = str(json.loads(line)["key"])
                newest.pop(key, None)  # in the order of the last change
                newest[key] = line
        rest = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            rest.write_text("".join(f"{line}\n" for line in list(newest.values())[-LINES:]), encoding="utf-8")
            rest.replace(self.path)
        except OSError:
            rest.unlink(missing_ok=True)  # it stays long, and nothing is lost
            raise

    def _torn(self) -> bool:
        """Whether the last line was cut off: the disk was full, or the machine went down. The next one starts a new line."""
        assert self.path is not None
        if not self.path.is_file() or not self.path.stat().st_size:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"

    def _lines(self) -> list[str]:
        assert self.path is not None
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - LARGEST))
            text = file.read(LARGEST).decode(errors="replace")
        return [line for line in text.splitlines() if len(line) < LONGEST_TOKEN + 1000]


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Whether this process has the lock: not if another keeps it, or if the system has no such locks."""
    try:
        import fcntl
    except ImportError:
        yield True
        return
    if sys.platform == "emscripten":  # a browser has one kernel, and its files know no locks
        yield True
        return
    with path.with_name(f"{path.name}.lock").open("a") as file:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > until:
                    yield False
                    return
                time.sleep(0.01)
        yield True
