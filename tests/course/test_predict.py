"""Questions: the same for a seed on every machine, the answer computed by a run, hidden until it was tried."""

import subprocess
import sys

import pytest

from p2plab import find
from p2plab.core.errors import BadInput
from p2plab.core.token import open_token
from p2plab.course.predict import question, seed_sheet
from p2plab.course.questions import KINDS
from p2plab.course.widgets import Predict
from p2plab.views.follow import follow_page
from p2plab.views.text import board_of


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_a_question_whose_answer_is_among_its_choices(kind):
    """And different seeds ask different things."""
    asked = [question(kind, seed) for seed in range(12)]
    for one in asked:
        assert one.answer <= set(one.choices)
        assert len(set(one.choices)) == len(one.choices) >= 2
        assert one.multiple or len(one.answer) == 1
        assert one.feedback(one.answer).startswith("Right")
        assert one.why in one.feedback(one.answer)
        assert "Right:" not in one.text()
    assert len({one.prompt for one in asked}) > 6
    assert len({one.answer for one in asked}) > 2


def test_the_same_seed_asks_the_same_in_another_process():
    """Whatever that process's string hashes are."""
    code = "from p2plab.course.predict import seed_sheet; print(seed_sheet(range(3)), end='')"
    env = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(path for path in sys.path if path)}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    assert said == seed_sheet(range(3))


@pytest.mark.parametrize("seed", range(6))
def test_what_is_stale_is_what_the_run_of_the_token_shows(seed):
    """Asked again of the run itself."""
    asked = question("stale", seed)
    run = open_token(asked.token, find)
    ways = [follow_page(run, len(run), page) for page in range(len(asked.choices))]
    assert asked.answer == {f"page {way.page}" for way in ways if any(not use.fresh for use in way.uses)}


@pytest.mark.parametrize("seed", range(6))
def test_the_rule_that_breaks_first_is_the_boards(seed):
    """In the step of the actor that the log names."""
    asked = question("rule", seed)
    first = board_of(open_token(asked.token, find)).findings[0]
    assert asked.answer == {f"{first.rule}, in a step of {first.actor}"}


def test_wrong_kind_seed_and_choice_are_answered_in_a_sentence():
    """What there is, is said."""
    with pytest.raises(BadInput, match="there are stale, events, reach, rule"):
        question("what", 1)
    with pytest.raises(BadInput, match="allowed"):
        question("stale", -1)
    with pytest.raises(BadInput, match="is not a choice"):
        question("reach", 1).feedback(["perhaps"])


def test_the_widget_hides_the_answer_until_it_was_tried():
    """Nothing chosen is refused; then the feedback; then another question, and nothing left of the last."""
    shown = Predict("reach", 1)
    why = shown.question.why
    assert why not in shown.as_text()
    shown.reveal.click()
    assert "choose an answer first" in shown.guard.strip.value
    assert shown.tried == 0
    shown.choose(next(iter(shown.question.answer)))
    shown.reveal.click()
    assert shown.guard.last is None
    assert shown.as_text().count("Right") == 1
    assert why in shown.as_text()
    assert shown.score.value == "1 of 1"
    assert shown.reveal.disabled
    shown.another.click()
    assert shown.question.seed == 2
    assert shown.answer.value == ""
    assert not shown.reveal.disabled


def test_a_question_with_many_right_answers_takes_none():
    """Boxes, and an empty set is an answer."""
    shown = Predict("stale", 1)
    shown.choose(*shown.question.answer)
    shown.reveal.click()
    assert shown.said.startswith("Right")
    assert shown.question.token in shown.answer.value


def test_an_unexpected_error_shows_in_the_page(monkeypatch):
    """Every handler goes through the guard."""
    shown = Predict("reach", 1)
    monkeypatch.setattr(shown, "question", None)
    shown.guard(shown.try_it)()
    assert "That did not work" in shown.guard.strip.value
