"""Questions: the same for a seed on every machine, the answer computed by a run, hidden until it was tried."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from p2plab import find
from p2plab.core.errors import BadInput
from p2plab.core.token import open_token
from p2plab.course.predict import question, seed_sheet
from p2plab.course.questions import KINDS, SHOWN
from p2plab.course.widgets import Predict
from p2plab.views.follow import follow_page
from p2plab.views.stage import moment
from p2plab.views.text import board_of

ROOT = Path(__file__).parents[2]
PICTURES = ("stale", "waits", "breaks")


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
    assert len({one.prompt for one in asked}) > 5
    assert len({one.answer for one in asked}) > 2


def test_the_same_seed_asks_the_same_in_another_process():
    """Whatever that process's string hashes are."""
    code = "from p2plab.course.predict import seed_sheet; print(seed_sheet(range(3)), end='')"
    env = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(path for path in sys.path if path)}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    assert said == seed_sheet(range(3))


@pytest.mark.parametrize("seed", range(8, 14))
def test_what_is_stale_is_what_the_run_of_the_token_shows(seed):
    """Asked again of the run itself, in another way; before the question nothing was stale."""
    asked = question("stale", seed)
    run = open_token(asked.token, find)
    if asked.choices[0] == "page 0":  # one importer, of the first process
        ways = [follow_page(run, len(run), page) for page in range(len(asked.choices))]
        assert asked.answer == {f"page {way.page}" for way in ways if any(not use.fresh for use in way.uses)}
    assert {state for table in moment(run, asked.stage.at).tables for state in table.states()} <= {"right", "none"}


@pytest.mark.parametrize("seed", range(6))
def test_the_actor_that_waits_is_the_first_that_does(seed):
    """Nobody waited when it was asked, nor until then."""
    asked = question("waits", seed)
    run = open_token(asked.token, find)
    assert len(run) == asked.stage.to > asked.stage.at
    waiting = [
        {row.name for row in moment(run, n).now if row.state == "waits" and row.waits_for} for n in range(len(run) + 1)
    ]
    assert not any(waiting[:-1])
    assert waiting[-1] == asked.answer


@pytest.mark.parametrize("seed", range(6))
def test_the_step_that_breaks_the_promise_is_the_boards(seed):
    """It is among the choices, and neither the first nor what the stage shows when it asks."""
    asked = question("breaks", seed)
    first = board_of(open_token(asked.token, find)).findings[0]
    assert asked.answer == {f"step {first.step}"}
    assert asked.stage.places[f"step {first.step}"] == str(first.step)
    assert asked.stage.at < first.step
    assert first.rule in asked.prompt


def test_events_are_asked_of_what_the_notebook_has_shown():
    """Device memory alone, and system calls that a cell above the question has run."""
    cells = json.loads((ROOT / "notebooks" / "04-notifiers.ipynb").read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    above = "\n".join(texts[: next(n for n, text in enumerate(texts) if 'Predict("events"' in text)])
    assert [name for name in SHOWN if f'"{name}"' not in above] == []
    asked = [question("events", seed).why.split()[-1] for seed in range(20)]
    assert set(asked) <= set(SHOWN)


def test_no_notebook_asks_about_a_case_that_it_has_told_before():
    """Neither its text nor a cell above the question names the case whose run is asked about."""
    asked = re.compile(r'Predict\("(\w+)", seed=(\d+)\)')
    found = set()
    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        above = ""
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            for kind, seed in asked.findall(source):
                found.add(kind)
                if token := question(kind, int(seed)).token:
                    code = open_token(token, find).scenario.name.partition("-")[0].upper()
                    assert not re.search(rf"\b{code}\b", above), (file.name, kind, code)
            above += source
    assert found == set(KINDS)


def test_reach_shows_its_machine_with_the_pair_in_it():
    """The PCI tree stands beside the question and names exporter and importer."""
    shown = Predict("reach", 3)
    assert shown.machine in shown.box.children
    assert 'data-view="pci-tree"' in shown.machine.value
    assert shown.machine.value.count('<strong class="role">exporter') == 1


@pytest.mark.parametrize("kind", [*PICTURES, "rule"])
def test_the_browser_is_not_given_the_answer_before_the_try(kind):
    """Neither breaks, nor beats or results that lie ahead, nor the scene's name; a look goes no further than the question."""
    shown = Predict(kind, 4)
    on = shown.question.stage
    pane = shown.stage
    for _ in range(2):
        assert all(step <= on.at for _rule, step, _who in pane.run["breaks"])
        assert all(
            end is not None and end <= on.at for _lane, sort, _start, end, *_ in pane.run["marks"] if sort == "beat"
        )
        assert not any(call[7] for call in pane.run["calls"] if call[4] is None or call[4] > on.at)
        assert on.run.scenario.name not in json.dumps(pane.scene)
        assert pane.asked["verdicts"] is None
        assert pane.moment["step"] == on.at
        shown.heard({"look": len(on.run)})
        shown.refresh()
    shown.choose(*shown.question.answer)
    shown.reveal.click()
    assert shown.said.startswith("Right")
    assert pane.scene["name"] == on.run.scenario.name
    assert pane.asked["to"] == on.to
    shown.heard({"look": on.to})
    shown.refresh()
    assert pane.moment["step"] == on.to


@pytest.mark.parametrize("kind", PICTURES)
def test_what_is_chosen_on_the_picture_is_chosen_in_the_question(kind):
    """A second click takes it back where many may be right; where one is, another click chooses another."""
    shown = Predict(kind, 15)
    first, second = shown.question.choices[:2]
    shown.stage._handle_custom_msg({"choose": first}, [])
    shown.stage._handle_custom_msg({"choose": second}, [])
    assert shown.chosen == ([first, second] if shown.question.multiple else [second])
    assert shown.stage.asked["chosen"] == shown.chosen
    shown.stage._handle_custom_msg({"choose": second}, [])
    assert second not in shown.chosen
    shown.stage._handle_custom_msg({"choose": "page 99"}, [])
    assert "is not a choice" in shown.guard.strip.value


@pytest.mark.parametrize("seed", range(6))
def test_the_rule_that_breaks_first_is_the_boards(seed):
    """In the step of the actor that the log names."""
    asked = question("rule", seed)
    first = board_of(open_token(asked.token, find)).findings[0]
    assert asked.answer == {f"{first.rule}, in a step of {first.actor}"}


def test_wrong_kind_seed_and_choice_are_answered_in_a_sentence():
    """What there is, is said."""
    with pytest.raises(BadInput, match="there are stale, waits, breaks, rule, events, reach"):
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
    """An empty set is an answer."""
    shown = Predict("stale", 1)
    assert shown.question.answer == frozenset()
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
