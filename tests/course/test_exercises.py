"""The search is the marker: reference answers pass, well-known wrong ones are caught with a word that helps."""

import json

import pytest

from p2plab.core.errors import BadInput
from p2plab.course import EXERCISES, exercise, find_scene, hand_in, progress
from p2plab.course.kit import Importer
from p2plab.course.solutions import RIGHT, WRONG
from p2plab.course.solutions.wrong import Obeys
from p2plab.search import breaks


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_answer_passes_in_every_order(name):
    """Not only up to a bound: all orders."""
    outcome = exercise(name).check(RIGHT[name])
    assert outcome.passed, outcome.text()
    assert "HOLDS in every order" in outcome.text()


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.exercise}-{wrong.answer.__name__}")
def test_a_well_known_wrong_answer_is_caught_and_helped(wrong):
    """By the rule meant for it, with a recipe that names the way out, which nobody reads without asking."""
    outcome = exercise(wrong.exercise).check(wrong.answer)
    assert outcome.rule == wrong.rule
    assert wrong.recipe in outcome.recipe()
    assert outcome.recipe() not in " ".join(outcome.text().split())
    lines = [line for line in outcome.text().splitlines() if not line.startswith("saved: ")]  # a path is not cut
    assert max(map(len, lines)) <= 72
    assert "def test_" not in outcome.text()
    assert f"def test_{wrong.rule}".replace("-", "_") in outcome.test()


@pytest.mark.parametrize("name", EXERCISES)
def test_each_skeleton_runs_as_it_is_and_does_not_pass(name):
    """A learner begins with code that works and is wrong."""
    space = {}
    exec(f"from p2plab.course.kit import *\n{exercise(name).skeleton}", space)  # noqa: S102  our own text
    outcome = exercise(name).check(space["MyNic" if exercise(name).role == "importer" else "MyGpu"])
    assert outcome.trouble == ""
    assert outcome.rule
    assert outcome.hint()


def test_the_counterexample_is_a_test_that_fails_until_the_answer_is_right(tmp_path):
    """Pasted as it is, beside the saved file; with the right class in the same place it passes."""
    outcome = exercise("obey-in-flight").check(Obeys)
    assert "find_scene" in outcome.test()
    run = outcome.verdict.run
    order = " ".join(f"{actor}*1" for actor in run.schedule)
    assert breaks("obedience", find_scene(run.scenario.name), order, importer=Obeys)
    assert not breaks("obedience", find_scene(run.scenario.name), order, importer=RIGHT["obey-in-flight"])


def test_an_exercise_begins_in_a_cell_of_its_own(monkeypatch, capsys):
    """The skeleton with its check, as the next cell of a notebook; elsewhere it is printed. It runs as it is."""
    cells = []
    monkeypatch.setattr("p2plab.course.exercises.task._shell", lambda: None)
    exercise("survive-unplug").begin()
    monkeypatch.setattr(
        "p2plab.course.exercises.task._shell",
        lambda: type("", (), {"set_next_input": lambda _, text: cells.append(text)})(),
    )
    exercise("survive-unplug").begin()
    assert capsys.readouterr().out == f"{cells[0]}\n"
    *code, last = cells[0].splitlines()
    assert last == 'exercise("survive-unplug").check(MyGpu)'
    exec("\n".join(code), space := {})  # noqa: S102  our own text
    assert exercise("survive-unplug").check(space["MyGpu"]).rule == "gone-means-nobody"


def test_after_a_pass_the_answer_says_what_is_next():
    """In the order of the list; after the last there is nothing."""
    assert 'next: exercise("obey-in-flight").begin()' in exercise("obey").check(RIGHT["obey"]).text()
    assert "next:" not in exercise("survive-unplug").check(RIGHT["survive-unplug"]).text()


def test_the_counterexample_opens_in_the_lab():
    """At its end, with the learner's own class; going on from an earlier step works, and nothing is left for a resume."""
    lab = exercise("obey-in-flight").check(Obeys).lab()
    steps = len(lab.session.run)
    lab.back()
    lab.take()
    assert lab.guard.last is None
    assert len(lab.session.run) == steps
    assert lab.share.journal.path is None


def test_the_lab_of_a_counterexample_speaks_of_nothing_else():
    """Neither of an empty bench that was left, nor of a run of somebody else's."""
    lab = exercise("obey-in-flight").check(Obeys).lab()
    assert "kept" not in lab.title.value
    assert lab.title.value.startswith("<b>exercise obey in flight</b>")


class Loops(Importer):
    async def map(self, start, end):
        while True:
            pass


class Raises(Importer):
    def __init__(self, *arguments, **more):
        raise ValueError("no")

    async def map(self, start, end):
        pass


class Talks(Importer):
    async def map(self, start, end):
        print("x" * 1_000_000)
        raise ZeroDivisionError


class NotAsync(Importer):
    def map(self, start, end):
        return None


@pytest.mark.parametrize(
    ("driver", "word"),
    [
        (Loops, "never comes to its next await"),
        (Raises, "ValueError: no"),
        (Talks, "ZeroDivisionError"),
        (NotAsync, "is not async"),
        (3, "cannot be the importer"),
        (dict, "cannot be the importer"),
    ],
)
def test_code_that_misbehaves_is_stopped_with_a_clear_word(driver, word, capsys):
    """Nothing of what it prints comes through, nothing is raised, and what was written is saved if it can be."""
    outcome = exercise("obey").check(driver)
    said = outcome.text()
    assert word in said
    assert not outcome.passed
    assert len(said) < 20_000
    assert "xxxx" not in capsys.readouterr().out
    assert ("\nsaved:" in said) == (driver not in (3, dict))


def test_every_check_saves_and_progress_exports_to_one_file(own_folder, tmp_path):
    """The file can be run again by itself: it holds the class and what it needs from the same place."""
    assert progress().endswith("0 of 8 passed")
    with pytest.raises(BadInput, match="nothing to hand in"):
        hand_in("Ada")
    exercise("obey").check(RIGHT["obey"])
    exercise("obey-in-flight").check(Obeys)
    assert "obey                         PASSED" in progress()
    assert progress().endswith("1 of 8 passed")
    text = (own_folder / "obey.py").read_text()
    assert text.index("class Maps") < text.index("class Obeys")
    compile(text, "obey.py", "exec")
    written = json.loads(hand_in("Ada", tmp_path / "ada.json").read_text())
    assert written["name"] == "Ada"
    assert set(written["sources"]) == {"obey", "obey-in-flight"}


def test_an_answer_is_saved_before_it_runs_and_the_one_before_it_is_kept(own_folder, monkeypatch):
    """Whatever a check does to the kernel, neither is lost."""
    exercise("obey").check(Obeys)
    monkeypatch.setattr("p2plab.course.exercises.task.check", lambda *_arguments, **_more: 1 / 0)
    outcome = exercise("obey").check(Loops)
    assert "ZeroDivisionError" in outcome.trouble
    assert "class Loops" in (own_folder / "obey.py").read_text()
    assert "class Obeys" in (own_folder / "earlier" / "obey-1.py").read_text()
    assert len(list((own_folder / "earlier").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    """The check goes on; the outcome says that nothing was saved."""
    (tmp_path / "file").write_text("")
    outcome = exercise("obey").check(RIGHT["obey"], tmp_path / "file" / "below")
    assert outcome.passed
    assert "not saved:" in outcome.text()


def test_an_unknown_exercise_is_answered_with_the_nearest():
    """As everywhere."""
    with pytest.raises(BadInput, match="did you mean obey"):
        exercise("obeyy")


def test_an_answer_that_clears_all_that_an_address_can_say_is_judged_as_any_other():
    """More than the range is legal; nobody counts 2^36 pages for it."""

    class ClearsAll(RIGHT["partial-ranges"]):
        async def invalidate_range_start(self, range):
            async with self.lock:
                self.invalidation_begins(range)
                await self.let_go(0, 1 << 48)
            return 0

    assert exercise("partial-ranges").check(ClearsAll).passed
