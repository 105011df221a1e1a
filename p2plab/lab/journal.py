"""The journal: the token of each lab's run, one line a change, so that a restart or a closed laptop loses nothing.

The file is ``journal.jsonl`` in the person's data folder, or what ``P2PLAB_JOURNAL`` names (empty: no journal). A served app
keeps none: its visitors share one account, and nobody shall see another's run.
"""

from __future__ import annotations

import json
import os

from p2plab.core.places import journal_file
from p2plab.core.token import LONGEST_TOKEN

#: The journal is cut back to this many lines when it has grown to twice as many.
LINES = 200
#: No more than this much of its end is read, in bytes: a journal that somebody filled up does not stop a lab.
LARGEST = 4 * LINES * (LONGEST_TOKEN + 1000)


class Journal:
    """The runs of one lab: ``key`` tells it from others (its notebook and its scene)."""

    def __init__(self, scene: str) -> None:
        self.key = f"{os.environ.get('JPY_SESSION_NAME', '')}|{scene}"
        self.path = journal_file()
        self._last = ""

    def last(self) -> str:
        """The newest token of this lab, or empty. What cannot be read is passed over: it is no run of ours."""
        try:
            lines = self._lines() if self.path is not None and self.path.is_file() else []
        except OSError:
            return ""  # the next press will try to write, and say why that fails
        for line in reversed(lines):
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and entry.get("key") == self.key and isinstance(entry.get("token"), str):
                return str(entry["token"])
        return ""

    def keep(self, token: str) -> None:
        """Write a token down, if it is not the one written last. Raises OSError where the folder cannot be written."""
        if self.path is None or token == self._last:
            return
        self._last = token
        self.path.parent.mkdir(parents=True, exist_ok=True)
        torn = "\n" if self._torn() else ""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(torn + json.dumps({"key": self.key, "token": token}) + "\n")
        lines = self._lines()
        if len(lines) > 2 * LINES:
            rest = self.path.with_suffix(".new")
            rest.write_text("\n".join(lines[-LINES:]) + "\n", encoding="utf-8")
            rest.replace(self.path)

    def _torn(self) -> bool:
        """Whether the last line was cut off: the disk was full, or the machine went down. The next one begins anew."""
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
