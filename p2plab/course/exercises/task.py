"""One exercise: what to write, how it is checked in every order of events, and what to say of what came out."""

from __future__ import annotations

import contextlib
import io
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from p2plab.check import Incomplete, Pass, Verdict, Violation, check
from p2plab.check.report import headline, pytest_of, text
from p2plab.core.errors import BadInput, P2PError
from p2plab.core.scenario import Scenario
from p2plab.course.keep import Kept, keep

#: Seconds that a search may take. All reference answers are decided in two.
BUDGET = 20.0


@dataclass(frozen=True)
class Outcome:
    """What the search said of a class: shown as text; ``passed``, ``hint``, ``test()`` and ``lab()`` for more."""

    exercise: str
    verdict: Verdict | None
    trouble: str
    hint: str
    kept: Kept

    @property
    def passed(self) -> bool:
        """Whether every order holds."""
        return isinstance(self.verdict, Pass) and self.verdict.complete

    @property
    def rule(self) -> str:
        """The rule that broke, or empty."""
        return self.verdict.rule if isinstance(self.verdict, Violation) else ""

    @property
    def said(self) -> str:
        """The outcome in one sentence."""
        return self.trouble or (headline(self.verdict) if self.verdict is not None else "")

    def text(self) -> str:
        """The report: verdict and smallest counterexample in 72 columns, the hint, and where the code was saved."""
        lines = [f"{self.exercise}: {'PASSED' if self.passed else 'not yet'}"]
        if self.trouble:
            lines.append(self.trouble)
        elif isinstance(self.verdict, Violation):
            with quiet():
                lines.append(text(self.verdict).rstrip().replace(*self._home()))
        else:
            lines.append(self.said)
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join([*lines, self.kept.said])

    def test(self) -> str:
        """The counterexample as a pytest, to be put beside the saved file; empty if there is none."""
        if not isinstance(self.verdict, Violation):
            return ""
        return pytest_of(self.verdict).replace(*self._home()).replace("from __main__", f"from {self.kept.module}")

    def lab(self) -> Any:
        """The counterexample opened in the lab, to be stepped through. BadInput if there is none."""
        if not isinstance(self.verdict, Violation):
            raise BadInput("there is no counterexample to open")
        from p2plab.course.widgets import open_run

        return open_run(self.verdict.run)

    def __repr__(self) -> str:
        return self.text()

    @staticmethod
    def _home() -> tuple[str, str]:
        return "from p2plab.catalog import find\n", "from p2plab.course import find_scene as find\n"


@dataclass(frozen=True)
class Exercise:
    """``role`` is importer or exporter; ``hints`` go by rule (``*`` for any other); ``must_reach`` are kinds of event."""

    name: str
    goal: str
    role: str
    scene: Scenario
    skeleton: str
    hints: Mapping[str, str] = field(default_factory=dict)
    must_reach: tuple[str, ...] = ("P2PMapped",)

    def check(self, driver: object, folder: Path | None = None) -> Outcome:
        """Save what was written, then try it in every order of events. Never raises for what somebody wrote."""
        verdict: Verdict | None = None
        trouble = ""
        keep(self.name, driver, False, "the check did not come to its end", folder)
        options: dict[str, Any] = {self.role: driver, "must_reach": self.must_reach, "budget": BUDGET}
        try:
            with quiet():
                verdict = check(self.scene, **options)
        except P2PError as error:
            trouble = str(error)
        except Exception as error:  # noqa: BLE001  whatever somebody's class raises is said in a sentence
            trouble = _raised(error)
        outcome = Outcome(self.name, verdict, trouble, self._hint(verdict), Kept("", ""))
        kept = keep(self.name, driver, outcome.passed, outcome.said, folder)
        return Outcome(self.name, verdict, trouble, outcome.hint, kept)

    def _hint(self, verdict: Verdict | None) -> str:
        if isinstance(verdict, Violation):
            return self.hints.get(verdict.rule, self.hints.get("*", ""))
        if isinstance(verdict, Incomplete):
            return "nothing broke as far as the search came; fewer states (counters, lists that grow) let it come to an end"
        return ""

    def __repr__(self) -> str:
        return f"{self.name} ({self.role})\n{self.goal}\n\n{self.skeleton}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What a driver prints while it is run again and again is not shown: nobody wants to read a megabyte of it."""
    with contextlib.redirect_stdout(_Nowhere()), contextlib.redirect_stderr(_Nowhere()):
        yield


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def _raised(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"it raised {type(error).__name__}: {str(error)[:200]} (line {last.lineno} of {Path(last.filename).name})"
