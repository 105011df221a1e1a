"""One exercise: what to write, how it is checked in every order of events, and what to say of what came out."""

from __future__ import annotations

import itertools
import sys
import textwrap
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from p2plab.core.errors import BadInput, P2PError
from p2plab.core.scenario import Scenario
from p2plab.course.keep import Kept, keep
from p2plab.search import Incomplete, Pass, Verdict, Violation, check
from p2plab.search.watchdog import silence
from p2plab.views.report import headline, pytest_of, text
from p2plab.views.text import WIDTH

#: Seconds that a search may take. All reference answers are decided in two.
BUDGET = 20.0
#: With these words the search's report goes over to the pytest.
TEST_FOLLOWS = "A token cannot carry"


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
        """The report in 72 columns: verdict, hint, the smallest counterexample, where the code was saved, what is next."""
        lines = [f"{self.exercise}: {'PASSED' if self.passed else 'not yet'}"]
        if self.hint:
            lines += _wrap(f"hint: {self.hint}")
        if self.trouble:
            lines += ["", *_wrap(self.trouble)]
        elif isinstance(self.verdict, Violation):
            with silence():
                report, _, _ = text(self.verdict).partition(TEST_FOLLOWS)  # the test is there when asked for
            lines += ["", report.rstrip()]
        else:
            lines += ["", *_wrap(self.said)]
        return "\n".join([*lines, "", self.kept.said, *_wrap(self._next())])

    def _next(self) -> str:
        if isinstance(self.verdict, Violation):
            return "next: .lab() steps through it, .test() is it as a pytest; change the class, and check again"
        after = next_after(self.exercise) if self.passed else ""
        return f'next: exercise("{after}").begin()' if after else ""

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
        return "from p2plab import find\n", "from p2plab.course import find_scene as find\n"


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
            with silence():
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

    def begin(self) -> None:
        """Put the skeleton, with the line that checks it, into a new cell below; outside of a notebook it is printed."""
        name = "MyNic" if self.role == "importer" else "MyGpu"
        goal = "\n".join(f"# {line}" for line in textwrap.wrap(self.goal, 100))
        text = (
            "from p2plab.course import exercise\nfrom p2plab.course.kit import *\n\n"
            f'{goal}\n{self.skeleton}\n\nexercise("{self.name}").check({name})'
        )
        shell = _shell()
        if shell is None:
            print(text)
        else:
            shell.set_next_input(text)

    def __repr__(self) -> str:
        goal = textwrap.fill(self.goal, WIDTH)
        return f"{self.name} ({self.role})\n{goal}\n\n{self.skeleton}"


def next_after(name: str) -> str:
    """The exercise to go on with, or empty after the last."""
    from p2plab.course.exercises import EXERCISES

    names = list(EXERCISES)
    return dict(itertools.pairwise(names)).get(name, "")


def _wrap(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _shell() -> Any:
    """The notebook's shell, or None: nothing is imported for it, it is there or it is not."""
    known = sys.modules.get("IPython")
    return known.get_ipython() if known is not None else None


def _raised(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"it raised {type(error).__name__}: {str(error)[:200]} (line {last.lineno} of {Path(last.filename).name})"
