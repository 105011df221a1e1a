"""A run a day: a story cut off before its break, and three questions with one right answer each."""

import json

import pytest

from p2plab.cli import main
from p2plab.core.errors import BadInput
from p2plab.core.token import open_token
from p2plab.course.quiz import quiz
from p2plab.everything import find
from p2plab.rules import judge, watched_by

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_story_is_cut_before_anything_breaks(seed):
    """What is shown holds so far, and each question has its answer among its choices once."""
    asked = quiz(seed)
    shown = open_token(asked.token, find)
    assert judge(shown.log, watched_by(shown.scenario)).findings == ()
    for part in asked.parts:
        assert part.choices.count(part.right) == 1
    assert asked.points(tuple(part.right for part in asked.parts)) == 3
    assert f"Step {len(shown) + 1} is {asked.parts[0].right}'s: {asked.parts[1].right} breaks" in asked.why[0]


def test_answers_are_taken_as_letters_or_as_words(capsys):
    """And it says what happened, with the run to go on from."""
    asked = quiz(3)
    right = [part.right for part in asked.parts]
    letters = [chr(ord("a") + part.choices.index(part.right)) for part in asked.parts]
    for answer in (right, letters):
        assert main(["quiz", "--seed", "3", "--answer", ",".join(answer)]) == 0
        out = capsys.readouterr().out
        assert "3 of 3" in out
        assert asked.token in out


def test_nothing_is_given_away_unasked(capsys):
    """Where nobody can type, the questions are printed, and how to answer; the answers only with --reveal."""
    assert main(["quiz", "--seed", "5"]) == 0
    out = capsys.readouterr().out
    assert "--answer a,a,a" in out
    assert quiz(5).why[0][:20] not in out
    assert main(["quiz", "--seed", "5", "--json"]) == 0
    assert "right" not in capsys.readouterr().out
    assert main(["quiz", "--seed", "5", "--json", "--reveal"]) == 0
    assert json.loads(capsys.readouterr().out)["questions"][1]["right"] == quiz(5).parts[1].right


@pytest.mark.parametrize(("answer", "word"), [("a,b", "3 answers"), ("z,a,a", "a letter from a"), ("a,a,", "''")])
def test_an_answer_that_is_no_choice_is_bad_input(answer, word, capsys):
    """Exit 2, and what would be one; nothing is printed before it."""
    assert main(["quiz", "--seed", "3", "--answer", answer]) == 2
    said = capsys.readouterr()
    assert word in said.err
    assert said.out == ""


def test_a_seed_has_its_bounds():
    """As those of the other questions."""
    with pytest.raises(BadInput, match="0 to 999999999"):
        quiz(10**9)
