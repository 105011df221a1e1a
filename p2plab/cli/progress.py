"""How far a command is, on a terminal: one line on standard error, gone when the work is done."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

_T = TypeVar("_T")

#: A line is shown after this many seconds, and then at most once in this interval: a quick answer does not flicker.
AFTER, EVERY = 1.0, 0.2


class ProgressLine:
    """A line that is written over. It says nothing where standard error is no terminal."""

    def __init__(self) -> None:
        self.shows = sys.stderr is not None and sys.stderr.isatty()
        self._next = time.monotonic() + AFTER
        self._shown = False

    def say(self, text: str) -> None:
        """Show this now, unless the last line is too recent."""
        now = time.monotonic()
        if self.shows and now >= self._next:
            self._next, self._shown = now + EVERY, True
            self._write(f"\r\033[K{text[:78]}")

    def count(self, done: int, total: int, what: str = "") -> None:
        """``12 of 48 F3``."""
        self.say(f"{done} of {total} {what}".rstrip())

    def end(self) -> None:
        """Clear the line."""
        if self._shown:
            self._write("\r\033[K")
            self._shown = False

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            print(text, end="", file=sys.stderr, flush=True)


def counted(things: Sequence[_T]) -> Iterator[_T]:
    """The same items, with a line that counts how many were taken."""
    progress = ProgressLine()
    try:
        for number, thing in enumerate(things):
            progress.count(number, len(things), str(getattr(thing, "name", "")))
            yield thing
    finally:
        progress.end()
