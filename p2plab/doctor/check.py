"""The result of one check, and how a report of them is shown: one screen of 80 columns, JSON, or a notebook's cell."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

#: All is well; worth knowing, nothing is wrong; something is wrong.
OK, NOTE, BAD = "ok", "note", "BAD"
COLUMNS = 80
_NAME = 16


@dataclass(frozen=True)
class Check:
    """``found`` is short; ``cure`` is one line that says what to do, for what is BAD (or a NOTE)."""

    name: str
    state: str
    found: str
    cure: str = ""


@dataclass(frozen=True)
class InstallationReport:
    """All checks of one installation, in the order of the screen; ``terminal``: it has no explorers, on purpose."""

    checks: Sequence[Check]
    terminal: bool = False

    @property
    def bad(self) -> list[Check]:
        """What is wrong."""
        return [check for check in self.checks if check.state == BAD]

    def __str__(self) -> str:
        return "\n".join([*(line for check in self.checks for line in _lines(check)), *self._verdict()])

    __repr__ = __str__

    def as_json(self) -> dict[str, object]:
        """The same for a program: ``ready``, and the checks."""
        return {"ready": not self.bad, "checks": [asdict(check) for check in self.checks]}

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:
        """In a notebook: the verdict, with the screen folded away under it while all is well; what is wrong is in bold."""
        shown = []
        for check in self.checks:
            text = escape("\n".join(_lines(check)))
            shown.append(f"<b>{text}</b>" if check.state == BAD else text)
        verdict = escape(" ".join(self._verdict()))
        pre = "\n".join(shown)
        html = f"<details{' open' if self.bad else ''}><summary><b>{verdict}</b></summary><pre>{pre}</pre></details>"
        return {"text/plain": str(self), "text/html": html}

    def _verdict(self) -> list[str]:
        if not self.bad:
            return [f"verdict: ready, {'for the terminal' if self.terminal else 'the lab will draw here'}"]
        names = ", ".join(check.name for check in self.bad)
        return textwrap.wrap(f"verdict: not ready, see {names}", COLUMNS, subsequent_indent="  ")


def _lines(check: Check) -> list[str]:
    head = f"{check.state:<5}{check.name:<{_NAME}} "
    lines = textwrap.wrap(check.found, COLUMNS, initial_indent=head, subsequent_indent=" " * len(head)) or [
        head.rstrip()
    ]
    if check.cure and check.state != OK:
        lines += textwrap.wrap(check.cure, COLUMNS, initial_indent="     -> ", subsequent_indent=" " * 8)
    return lines


def short(path: object, home: str = "") -> str:
    """A path that fits on the screen: the home folder is ``~``, and a path that is too long loses its middle."""
    text = str(path)
    if home and text.startswith(home.rstrip("/") + "/"):
        text = "~" + text[len(home.rstrip("/")) :]
    return text if len(text) <= 52 else f"{text[:20]}…{text[-31:]}"
