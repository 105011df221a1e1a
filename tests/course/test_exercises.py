"""The search is the marker: reference answers pass, well-known wrong ones are caught with a word that helps."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from p2plab.core.errors import BadInput
from p2plab.course import EXERCISES, exercise, find_scene, hand_in, kit, progress
from p2plab.course.exercises.lines import changed_lines
from p2plab.course.keep import source_of
from p2plab.course.kit import Importer
from p2plab.course.solutions import RIGHT, UNUSUAL, WRONG
from p2plab.course.solutions.wrong import Obeys
from p2plab.rules import RULES
from p2plab.search import breaks


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_answer_passes_in_every_order(name):
    """Not only up to a bound: all orders."""
    outcome = exercise(name).check(RIGHT[name])
    assert outcome.passed, outcome.text()
    assert "in every order" in " ".join(outcome.text().split()) or exercise(name).role == "rule"


@pytest.mark.parametrize("name", EXERCISES)
def test_an_answer_that_nobody_expects_passes_too(name):
    """What counts is what a driver does, and not how it is written."""
    outcome = exercise(name).check(UNUSUAL[name])
    assert outcome.passed, outcome.text()


def written(name):
    """The class of a skeleton."""
    exec(f"from p2plab.course.kit import *\n{exercise(name).skeleton}", space := {})  # noqa: S102  our own text
    return space[exercise(name).answer]


@pytest.mark.parametrize("name", [name for name in EXERCISES if EXERCISES[name].role == "importer"])
def test_no_skeleton_is_the_answer_to_another_exercise(name):
    """Also not with the class that it is derived from."""
    for other in EXERCISES:
        if EXERCISES[other].role == "importer":
            assert not exercise(name).check(written(other)).passed, other


def test_what_another_exercise_gives_is_no_answer():
    """The class that maps is not given where the map is asked for; and the sentence says what to derive from."""

    class Given(kit.CallbackToWrite):
        pass

    outcome = exercise("no-stale-map").check(Given)
    assert "derive the class from MapToWrite, or from Importer" in outcome.trouble


@pytest.mark.parametrize(
    ("order", "passed", "word"),
    [
        ("app*2 gpu fate", True, "breaks no-deadlock"),
        ("app*2 fate gpu", False, "nothing breaks in this order"),
        ("gpu*3", False, "does not say when fate goes"),
        ("app gpu fate!", False, "cannot be read"),
        ("gpu fate", False, "can do nothing yet"),
    ],
)
def test_a_bug_is_found_by_the_order_that_shows_it(order, passed, word):
    """In words, played with the driver that is there; a wrong order says what came of it."""
    outcome = exercise("find-the-bug").check(order)
    assert outcome.passed is passed
    assert word in " ".join(outcome.text().split())
    assert outcome.hint()


def test_fewest_lines_says_how_many_beside_the_smallest_known():
    """Comments, docstrings and the name of the class are no lines."""
    task = exercise("fewest-lines")
    assert "4 lines changed; 4 are known to be enough" in task.check(RIGHT["fewest-lines"]).text()
    assert "13 lines changed; 4 are known" in task.check(UNUSUAL["fewest-lines"]).text()
    assert changed_lines(task.skeleton, f"# mine\n{task.skeleton.replace('MyNic', 'Ours')}") == 0


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (RULES["no-stale-dma"], "one of p2plab's own rules"),
        (type("Again", (RULES["no-stale-dma"],), {}), "one of p2plab's own rules"),
        (3, "a class derived from Rule"),
    ],
)
def test_a_rule_that_is_there_already_is_no_answer(answer, word):
    """Under whatever name."""
    outcome = exercise("own-rule").check(answer)
    assert not outcome.passed
    assert word in " ".join(outcome.text().split())


class SpeaksAlways(kit.Rule):
    promise = "nothing ever happens"

    def see(self, entry):
        yield self.broken(entry, entry.actor, "it does")


class BesideIt(RIGHT["obey"]):
    pass


def test_a_rule_of_the_same_notebook_does_not_judge_its_drivers():
    """Wrong as it may be: a driver's exercise is judged by p2plab's promises."""
    assert exercise("obey").check(BesideIt).passed


def test_a_wrong_rule_shows_the_run_and_the_step_at_which_it_errs():
    """As far as there, so that the last step on the stage is the one that counts; and its own line."""
    wrong = next(wrong.answer for wrong in WRONG if wrong.exercise == "own-rule")
    outcome = exercise("own-rule").check(wrong)
    step = int(re.search(r"at step (\d+) your rule says", str(outcome.named.cause))[1])
    assert len(outcome.lab().session.run) == step
    assert f"BeatLanded of step {step}" in " ".join(outcome.where().split())


@pytest.mark.parametrize(("answer", "word"), [(3, "function without arguments"), (lambda: 3, "returned a int")])
def test_what_is_no_scene_is_said(answer, word):
    """And nothing is raised."""
    assert word in " ".join(exercise("own-scene").check(answer).text().split())


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
    if wrong.rule:
        assert f"def test_{wrong.rule}".replace("-", "_") in outcome.test()
    else:
        assert outcome.trouble == ""
        assert outcome.test() == ""


@pytest.mark.parametrize("name", EXERCISES)
def test_each_skeleton_runs_as_it_is_and_does_not_pass(name):
    """A learner begins with code that works and is wrong."""
    space = {}
    exec(f"from p2plab.course.kit import *\n{exercise(name).skeleton}", space)  # noqa: S102  our own text
    outcome = exercise(name).check(space[exercise(name).answer])
    assert outcome.trouble == ""
    assert not outcome.passed
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
    last = list(EXERCISES)[-1]
    assert "next:" not in exercise(last).check(RIGHT[last]).text()


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
    assert lab.title.value.startswith("<b>exercise obey in flight, with Obeys as importer</b>")


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
    assert progress().endswith(f"0 of {len(EXERCISES)} passed")
    with pytest.raises(BadInput, match="nothing to hand in"):
        hand_in("Ada")
    exercise("obey").check(RIGHT["obey"])
    exercise("obey-in-flight").check(Obeys)
    assert "obey                         PASSED" in progress()
    assert progress().endswith(f"1 of {len(EXERCISES)} passed")
    text = (own_folder / "obey.py").read_text()
    assert text.index("class Maps") < text.index("class Obeys")
    compile(text, "obey.py", "exec")
    written = json.loads(hand_in("Ada", tmp_path / "ada.json").read_text())
    assert written["name"] == "Ada"
    assert set(written["sources"]) == {"obey", "obey-in-flight"}


MOST = 3


class Imports(Importer):
    async def map(self, start, end):
        return list(itertools.islice([start], MOST)), Path

    async def invalidate_range_start(self, range: Any):
        return 0


def test_what_an_answer_imports_and_its_constants_are_saved_with_it():
    """So that a hand-in runs by itself, wherever in the notebook they were written."""
    text = source_of(Imports)
    assert "import itertools\n" in text
    assert "from typing import Any\n" in text
    assert "MOST = 3\n" in text
    assert text.index("MOST = 3") < text.index("class Imports")


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


def test_a_saved_scene_runs_by_itself():
    """With p2plab's own names that it uses, and the bench that stands in a default."""
    source = source_of(RIGHT["own-scene"])
    inside: dict[str, object] = {"__name__": "saved"}
    exec(source, inside)  # noqa: S102  a file that was saved
    assert inside[RIGHT["own-scene"].__name__]().name == "mine-elsewhere"
