"""One exercise: what to write, how it is checked in every order of events, and how the outcome is reported."""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
import textwrap
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from p2plab.core.errors import BadInput, P2PError
from p2plab.core.plain import plain
from p2plab.core.scenario import Scenario
from p2plab.course.exercises.lines import remark
from p2plab.course.exercises.orders import Named, ToFind, try_order
from p2plab.course.given import look_at_base
from p2plab.course.hints import Explanation, explain
from p2plab.course.keep import Kept, keep, note_help, source_of
from p2plab.rules import DESIGN_PROMISES, PROMISES, watched_by
from p2plab.search import Incomplete, Pass, Verdict, Violation, check
from p2plab.search.drivers import look_at
from p2plab.search.watchdog import silence
from p2plab.views.report import headline, pytest_of, text
from p2plab.views.text import WIDTH

#: Seconds that a search may take. On an idle machine all reference answers are decided in four.
BUDGET = 40.0
#: What to write against a cause that is the same in every exercise.
RECIPES = {
    "/await": "write `await` before each call of something async: it runs only then",
    "/itself": "leave the lock before you call what takes it, or call what does not take it",
}
#: The words with which the search's report introduces the pytest.
TEST_FOLLOWS = "A token cannot carry"


class Text(str):
    """A text that a notebook shows as it is, in lines of 72 columns."""

    __slots__ = ()

    def __repr__(self) -> str:
        return textwrap.fill(str(self), WIDTH, break_on_hyphens=False)


@dataclass(frozen=True)
class Outcome:
    """The search's answer about a class. A notebook shows the counterexample as a picture, text as its story.

    Help comes in layers, on request: ``hint()``, ``where()``, ``recipe()``; then there are ``test()`` and ``lab()``.
    """

    exercise: str
    verdict: Verdict | None
    trouble: str
    kept: Kept
    driver: object = field(default=None, repr=False)
    written: str = ""  #: the recipe for the rule that broke
    folder: Path | None = None
    remark: str = ""  #: an additional remark, also on right answers
    named: Named | None = None  #: the result, if the answer was an order
    recipes: Mapping[str, str] = field(default_factory=dict, repr=False)  #: by rule, or by rule and kind of cause

    @property
    def passed(self) -> bool:
        """Whether every order holds, or the order in the answer is right."""
        if self.named is not None:
            return self.named.right
        return isinstance(self.verdict, Pass) and self.verdict.complete

    @property
    def rule(self) -> str:
        """The rule that broke, or empty."""
        return self.verdict.rule if isinstance(self.verdict, Violation) else ""

    @property
    def said(self) -> str:
        """The outcome in one sentence."""
        if self.named is not None:
            return self.named.said
        return self.trouble or (headline(self.verdict) if self.verdict is not None else "")

    def text(self) -> str:
        """The report in 72 columns: verdict, the smallest counterexample, where the code was saved, what is next."""
        return self._report(story=True)

    def summary(self) -> str:
        """The same without the story, to go with a picture of it."""
        return self._report(story=False)

    def _report(self, story: bool) -> str:
        lines = [f"{self.exercise}: {'PASSED' if self.passed else 'not yet'}"]
        if self.trouble:
            lines += ["", *_wrap(self.trouble)]
        elif isinstance(self.verdict, Violation) and story:
            with silence():
                report, _, _ = text(self.verdict).partition(TEST_FOLLOWS)  # the test is there when asked for
            lines += ["", report.rstrip()]
        else:
            lines += ["", *_wrap(self.said)]
        if self.remark:
            lines += ["", *_wrap(self.remark)]
        if printed := self._explanation.printed:
            lines += ["", "your driver printed:", *(plain(line)[:WIDTH] for line in printed.splitlines())]
        return "\n".join([*lines, "", self.kept.said, *_wrap(self._next())])

    def _next(self) -> str:
        wrong = self.named is not None and not self.named.right
        if isinstance(self.verdict, Violation) or wrong:
            asked = f'exercise("{self.exercise}")'
            return (
                f"next: {asked}.hint() says what led to it, .where() which line and with what values, .recipe() what to "
                f"write; .lab() of this answer steps through it{'' if wrong else ', .test() is it as a pytest'}"
            )
        after = next_after(self.exercise) if self.passed else ""
        return f'next: exercise("{after}").begin()' if after else ""

    @cached_property
    def _explanation(self) -> Explanation:
        if isinstance(self.verdict, Violation) and isinstance(self.driver, type):
            return explain(self.verdict, self.driver)
        return Explanation("", "", "")

    def hint(self) -> Text:
        """What led to the break, as the counterexample shows it."""
        if isinstance(self.verdict, Incomplete):
            return Text("nothing broke as far as the search came; fewer states (counters, lists that grow) let it end")
        if self.named is not None:
            return self._helped("hint", self.named.cause or self.named.said)
        return self._helped("hint", self._explanation.cause or self.trouble)

    def where(self) -> Text:
        """The line of the driver nearest to the break, and the values that it met there."""
        return self._helped("where", self.named.where if self.named is not None else self._explanation.where)

    def recipe(self) -> Text:
        """What to write: the last layer of help."""
        return self._helped("recipe", self.written or self._recipe())

    def _recipe(self) -> str:
        if not self.rule:
            return ""
        kind = self._explanation.kind
        known = self.recipes.get(f"{self.rule}/{kind}") or RECIPES.get(f"/{kind}") or self.recipes.get(self.rule)
        return (
            known
            or f"there is no recipe for {self.rule} here; `p2plab rules {self.rule}` says what has to hold, and why"
        )

    def _helped(self, layer: str, said: str) -> Text:
        note_help(self.exercise, layer, self.folder)
        return Text(said or f"{self.exercise}: there is nothing more to say here")

    def test(self) -> str:
        """The counterexample as a pytest, to put next to the saved file; empty if there is none."""
        if not isinstance(self.verdict, Violation):
            return ""
        return pytest_of(self.verdict).replace(*self._home()).replace("from __main__", f"from {self.kept.module}")

    def lab(self) -> Any:
        """The counterexample, or the order of the answer, opened in the lab. BadInput if there is none."""
        run = self.named.run if self.named is not None else getattr(self.verdict, "run", None)
        if run is None:
            raise BadInput("there is no counterexample to open")
        from p2plab.course.widgets import open_run

        return open_run(run)

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The counterexample as a picture with a button per layer; as text if the lab's packages are missing."""
        if isinstance(self.verdict, Violation) or (self.named is not None and not self.named.right):
            with contextlib.suppress(BadInput, ImportError):
                from p2plab.course.widgets import Attempt

                return Attempt(self)._repr_mimebundle_(**options)
        return {"text/plain": self.text()}

    @staticmethod
    def _home() -> tuple[str, str]:
        return "from p2plab import find\n", "from p2plab.course import find_scene as find\n"


class Asked:
    """What every exercise has: a skeleton to start from, and help after a check, one layer at a time."""

    name: str
    goal: str
    role: str
    skeleton: str
    minutes: int

    def hint(self) -> Text:
        """What led to the break of the last check. BadInput before the first."""
        return self._last.hint()

    def where(self) -> Text:
        """The line nearest to that break, with its values. BadInput before the first check."""
        return self._last.where()

    def recipe(self) -> Text:
        """What to write. BadInput before the first check."""
        return self._last.recipe()

    @property
    def _last(self) -> Outcome:
        if self.name not in _LAST:
            raise BadInput(f'nothing of yours was checked yet: exercise("{self.name}").check(…) comes first')
        return _LAST[self.name]

    @property
    def answer(self) -> str:
        """The name of the class in the skeleton."""
        return str(re.findall(r"^class (\w+)", self.skeleton, re.M)[-1])

    def begin(self) -> None:
        """Put the skeleton and the line that checks it into a new cell below; outside a notebook, print it."""
        goal = "\n".join(f"# {line}" for line in textwrap.wrap(self.goal, 100))
        text = (
            "from p2plab.course import exercise\nfrom p2plab.course.kit import *\n\n"
            f'{goal}\n{self.skeleton}\n\nexercise("{self.name}").check({self.answer})'
        )
        shell = _shell()
        if shell is None:
            print(text)
        else:
            shell.set_next_input(text)

    def __repr__(self) -> str:
        goal = textwrap.fill(self.goal, WIDTH)
        return f"{self.name} ({self.role}, about {self.minutes} minutes)\n{goal}\n\n{self.skeleton}"

    def answered(self, answer: object, named: Named | None, trouble: str, folder: Path | None) -> Outcome:
        """Save an answer that is not a driver, and its result."""
        right = named is not None and named.right
        kept = keep(self.name, answer, right, trouble or (named.said if named else ""), folder)
        written = "" if named is None or right else named.recipe
        _LAST[self.name] = outcome = Outcome(self.name, None, trouble, kept, answer, written, folder, named=named)
        return outcome


@dataclass(frozen=True, repr=False)
class Exercise(Asked):
    """``role`` is importer or exporter; ``recipes`` go by rule, or by rule and kind of cause
    (``no-deadlock/count``); ``must_reach`` are kinds of event.

    ``minutes`` is what it takes about; ``given`` a class to derive from, of which the part that is asked for is missing.
    ``smallest``: so many changed lines of the skeleton are known to be enough, where that is counted. ``broken``: the driver
    whose bug is to be found; then an order of events is an answer as well.
    """

    name: str
    goal: str
    role: str
    scene: Scenario
    skeleton: str
    recipes: Mapping[str, str] = field(default_factory=dict)
    must_reach: tuple[str, ...] = ("P2PMapped",)
    minutes: int = 15
    given: type | None = None
    smallest: int = 0
    broken: ToFind | None = None

    def check(self, driver: object, folder: Path | None = None) -> Outcome:
        """Save the answer, then try it in every order of events. Never raises because of the answer.

        If the exercise is to find a bug, ``driver`` may be a text that names the order in which it shows.
        """
        if isinstance(driver, str) and self.broken is not None:
            return self._check_order(driver, self.broken, folder)
        verdict: Verdict | None = None
        trouble = ""
        keep(self.name, driver, False, "the check did not come to its end", folder)
        try:
            if isinstance(driver, type):
                look_at_base(driver, self.name, self.given)
            with silence():
                verdict = check(self.played_by(driver), must_reach=self.must_reach, budget=BUDGET)
        except P2PError as error:
            trouble = str(error)
        except Exception as error:  # noqa: BLE001  whatever somebody's class raises is said in a sentence
            trouble = _raised(error)
        outcome = Outcome(self.name, verdict, trouble, Kept("", ""))
        kept = keep(self.name, driver, outcome.passed, outcome.said, folder)
        said = self.remark_on(driver) if outcome.passed else ""
        _LAST[self.name] = outcome = Outcome(
            self.name, verdict, trouble, kept, driver, "", folder, said, recipes=self.recipes
        )
        return outcome

    def played_by(self, driver: object) -> Scenario:
        """The scene with a class in its role, under every promise and none but p2plab's: a rule of the same notebook waits."""
        played = self.scene.with_cast({self.role: driver})  # type: ignore[dict-item]  # it refuses what is no class
        for base in self.scene.roles[self.role].bases.values():
            if isinstance(driver, type) and issubclass(driver, base):
                look_at(driver, base)
        design = any(rule.kind == "design" for rule in watched_by(played))
        names = (*played.rules, *PROMISES, *(DESIGN_PROMISES if design else ()))
        return replace(played, rules=tuple(dict.fromkeys(names)))

    def remark_on(self, driver: object) -> str:
        """A remark on a right answer: how many lines it changes, if the exercise counts them."""
        if not self.smallest:
            return ""
        try:
            return remark(self.skeleton, source_of(driver), self.smallest)
        except (BadInput, SyntaxError) as error:
            return f"the lines that it changes cannot be counted: {error}"

    def _check_order(self, order: str, broken: ToFind, folder: Path | None) -> Outcome:
        named, trouble = None, ""
        try:
            with silence():
                named = try_order(self.scene, self.role, broken, order)
        except P2PError as error:
            trouble = str(error)
        if named is not None:
            named = replace(named, recipe=self.recipes[broken.rule])
        return self.answered(order, named, trouble, folder)


#: The last answer to each exercise in this process.
_LAST: dict[str, Outcome] = {}


def next_after(name: str) -> str:
    """The next exercise; empty after the last."""
    from p2plab.course.exercises import EXERCISES

    names = list(EXERCISES)
    return dict(itertools.pairwise(names)).get(name, "")


def _wrap(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _shell() -> Any:
    """The notebook's shell, or None. Imports nothing."""
    known = sys.modules.get("IPython")
    return known.get_ipython() if known is not None else None


def _raised(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"it raised {type(error).__name__}: {str(error)[:200]} (line {last.lineno} of {Path(last.filename).name})"
