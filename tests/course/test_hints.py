"""A hint comes from the counterexample: what led to the break, then the line with its values, the recipe when asked for."""

import json
import re
from pathlib import Path

import pytest

from p2plab.course import exercise, hand_in
from p2plab.course.solutions import RIGHT, WRONG
from tests.course.attempts import ATTEMPTS, ForgetsAwait, Polls

#: An attempt forgets its awaits on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
GOLDEN = Path(__file__).parents[1] / "golden" / "hints.txt"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Each attempt, and each well-known wrong answer, checked once."""
    folder = tmp_path_factory.mktemp("answers")
    asked = [(attempt.exercise, attempt.answer) for attempt in (*ATTEMPTS, *WRONG)]
    return {answer: exercise(name).check(answer, folder) for name, answer in asked}


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.answer.__name__)
def test_an_attempt_gets_the_hint_that_fits(outcomes, attempt):
    """What this run shows, and not what somebody else usually does wrong; the line is the student's own."""
    outcome = outcomes[attempt.answer]
    assert not outcome.passed
    assert attempt.cause in outcome.hint()
    assert attempt.where in outcome.where() or attempt.where == attempt.answer.__name__
    assert attempt.recipe in outcome.recipe()


def test_all_hints_read_as_they_should(outcomes):
    """One file with every hint, line and recipe, to be read through."""
    said = []
    for answer, outcome in outcomes.items():
        said += [f"== {outcome.exercise} {answer.__name__}: {outcome.rule}", f"hint: {outcome.hint()}"]
        said += [f"where: {outcome.where()}", *(["printed"] if "printed" in outcome.text() else [])]
        said += [f"recipe: {outcome.recipe()}"]
    lines = re.sub(r"(?<=[a-z_]):\d+|(?<=line )\d+", ":N", "\n".join(said) + "\n")  # files grow
    assert lines == GOLDEN.read_text(encoding="utf-8")


def test_what_a_driver_printed_is_shown_with_its_counterexample(outcomes):
    """Once, as it came in that run; a search's other thousands of runs stay silent."""
    assert "your driver printed:\ngoing\n" in outcomes[Polls].text()


def test_nothing_is_said_before_it_is_asked_for(outcomes):
    """The first answer is the counterexample alone."""
    text = " ".join(outcomes[ForgetsAwait].text().split())
    assert outcomes[ForgetsAwait].hint() not in text
    assert 'exercise("obey").hint()' in text


def test_the_furthest_help_that_was_asked_for_is_handed_in(own_folder, tmp_path):
    """Asked again for less, it stays; a new answer does not make it forgotten."""
    task = exercise("obey")
    task.check(ForgetsAwait)
    for layer, noted in ((task.hint, "hint"), (task.recipe, "recipe"), (task.where, "recipe")):
        layer()
        assert json.loads((own_folder / "progress.json").read_text())["obey"]["helped"] == noted
    task.check(RIGHT["obey"])
    handed_in = json.loads(hand_in("Ada", tmp_path / "ada.json").read_text())
    assert handed_in["sources"]["obey"]["helped"] == "recipe"
