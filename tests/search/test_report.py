"""What a person gets to read: the text, the pytest to paste, JSON; pinned by golden files."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.handshake import IGNORES, NoStale, build
from p2plab import find
from p2plab.cli import main
from p2plab.core.actors import step
from p2plab.core.run import Run
from p2plab.core.scenario import Knob, Scenario
from p2plab.core.schedule import by_seed, by_text
from p2plab.core.token import open_token
from p2plab.rules import RULES
from p2plab.rules.base import Rule
from p2plab.search import check, checking
from p2plab.search.drivers import load
from p2plab.search.search import Search
from p2plab.search.shrink import Shrinking, shorten, shrink_scene, smaller
from p2plab.search.verdict import Violation, switches_of
from p2plab.search.watchdog import Watchdog
from p2plab.views.report import as_json, exit_status, pytest_of, text
from p2plab.views.state_graph import picture_of
from p2plab.views.text import board_of
from tests.search.small import DRIVERS, SMALL, find_small

GOLDEN = Path(__file__).parent.parent / "golden" / "search"


def golden(name: str, found: str) -> None:
    """Compare with the file; it is written when it is not there, to be looked at and committed."""
    path = GOLDEN / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, encoding="utf-8")
        pytest.fail(f"{path.name} was not there; it is now: read it")
    assert found == path.read_text(encoding="utf-8")


def test_a_violation_reads_as_a_story():
    """Headline, columns with the reason of every switch, the promise, the token."""
    golden("violation.txt", text(check(SMALL)))


def test_a_violation_of_one_s_own_driver_ends_in_a_test_to_paste():
    """A token cannot carry a class, and says so."""
    golden("own_driver.txt", text(check(find_small("turns"), importer=DRIVERS["Hasty"], rules=["no-crash"])))


def test_a_pass_says_how_many_orders_there_are():
    """And what no order put to the test."""
    golden("pass.txt", text(check(find_small("turns"), rules=["no-crash", "obedience"])))


def test_lines_fit_a_mail():
    """At most 72 columns, however long the sentences are; code to paste is left whole."""
    for line in text(check(find("defrag-ignorant"))).splitlines():
        assert len(line) <= 72


def test_the_token_replays_to_the_same_finding():
    """Anywhere, without a search."""
    answer = check(find("defrag-ignorant"))
    run = open_token(as_json(answer)["token"], find)
    assert run == answer.run
    assert board_of(run).findings[0].rule == answer.rule


def test_the_pytest_fails_for_the_wrong_driver_and_passes_for_the_right_one(tmp_path):
    """Pasted beside the driver's file, run by pytest itself."""
    wrong = (
        "from p2plab.drivers.nic import ObedientNic\n\n\nclass Mine(ObedientNic):\n"
        "    async def invalidate_range_start(self, range):\n        return 0\n"
    )
    (tmp_path / "mine.py").write_text(wrong)
    assert main(["check", "defrag-obedient", "--importer", f"{tmp_path}/mine.py:Mine"]) == 1
    with Watchdog() as dog:
        search = Search(find("defrag-obedient"), importer=load(f"{tmp_path}/mine.py:Mine", dog))
    while search.advance(1.0) is None:
        pass
    (tmp_path / "test_mine.py").write_text(pytest_of(search.verdict))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "test_mine.py")]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 1
    (tmp_path / "mine.py").write_text("from p2plab.drivers.nic import ObedientNic as Mine\n")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


def test_json_has_the_answer_and_the_story(capsys):
    """One object, whatever the answer."""
    assert main(["check", "defrag-ignorant", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["rule"], found["switches"]) == ("violation", "obedience", 2)
    assert found["steps"] == len(found["schedule"]) == found["log"][-1]["step"]
    assert main(["check", "workbench", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["complete"] is True


def test_the_exit_status_tells_the_answers_apart(tmp_path, capsys):
    """0 pass and complete, 1 violation, 3 not all orders tried, 2 bad input."""
    trace = tmp_path / "trace.json"
    assert main(["check", "workbench"]) == 0
    assert main(["check", "defrag-ignorant", "--trace", str(trace)]) == 1
    assert "traceEvents" in json.loads(trace.read_text())
    assert main(["check", "defrag-obedient", "--bound", "1"]) == 3
    assert "holds in every order with at most 1 switches" in capsys.readouterr().out.replace("\n  ", " ")
    assert main(["check", "defrag-obedient", "--budget", "1ms"]) == 3
    assert main(["check", "defrag-obedient", "--states", "50"]) == 3
    assert "there are more than 50 states" in capsys.readouterr().out
    assert main(["check", "nonsense"]) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--importer", "nothere.py:X"], "nothere.py cannot be read: No such file or directory"),
        (["--importer", "nonsense"], "'nonsense' does not name a class; write FILE.py:Class"),
        (["--importer", "{tmp}/fine.py:Y"], "fine.py has no class or scene Y; it has X"),
        (["--importer", "{tmp}/fine.py:X"], "X cannot be the importer"),
        (["--importer", "{tmp}/syntax.py:X"], "syntax.py, line 1: "),
        (["--importer", "{tmp}/raises.py:X"], "raises.py raised ZeroDivisionError: division by zero"),
        (["--importer", "{tmp}/leaves.py:X"], "leaves.py raised SystemExit: 3"),
        (["--importer", "{tmp}/deep.py:X"], "deep.py raised RecursionError"),
        (["--importer", "{tmp}/bytes.py:X"], "bytes.py cannot be read"),
        (["--importer", "{tmp}:X"], "cannot be read"),
        (["--bound", "-1"], "write a number of switches"),
        (["--bound", "9" * 5000], "write a number of switches"),
        (["--states", "0"], "write a number of states, 1 to 2000000000"),
        (["--states", "9" * 5000], "write a number of states"),
        (["--workers", "many"], "write how many processes, 1 to 256"),
        (["--workers", "257"], "workers=257 is not possible; allowed: 1 to 256"),
        (["--budget", "soon"], "write a time such as 10s"),
        (["--budget", "0s"], "write a time such as 10s"),
        (["--knob", "pages"], "write NAME=VALUE"),
        (["--knob", "pages=" + "9" * 5000], "is not possible; allowed"),
        (["--rule", "nonsense"], "there is no rule 'nonsense'"),
        (["--must-reach", "Nonsense"], "there is no kind of event 'Nonsense'"),
    ],
)
def test_bad_input_is_exit_2_and_a_sentence(words, sentence, tmp_path, capsys):
    """Nothing is searched."""
    (tmp_path / "fine.py").write_text("class X:\n    pass\n")
    (tmp_path / "syntax.py").write_text("class X\n")
    (tmp_path / "raises.py").write_text("1 / 0\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "deep.py").write_text("def f():\n    f()\nf()\n")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\x00")
    words = [word.replace("{tmp}", str(tmp_path)) for word in words]
    assert main(["check", "defrag-obedient", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1


def test_a_run_found_by_chance_is_shortened_to_what_the_search_finds():
    """Steps and blocks are dropped as long as the same promise breaks."""
    scene = find("defrag-ignorant")
    begun = Run(scene).driven(by_text("app nic nic_dma*3", strict=False))
    runs = (begun.driven(by_seed(seed)) for seed in range(50))
    found = next(run for run in runs if board_of(run).first("obedience") is not None)
    short = shorten(found, "obedience")
    best = check(scene, rules=["obedience"])
    assert board_of(short).findings[0].step == len(short)
    assert len(short) <= best.steps + 3 < len(found)
    with pytest.raises(ValueError, match="does not break no-overlap"):
        shorten(found, "no-overlap")


def test_a_scene_is_made_smaller_as_long_as_the_promise_breaks():
    """Fewer pages, the same story; what it was before is said."""
    scene = find("defrag-ignorant")
    answer = check(scene, shrink=False)
    small = shrink_scene(answer, scene)
    assert (small.rule, small.switches) == (answer.rule, answer.switches)
    assert small.steps <= answer.steps
    assert small.run.settings == {**answer.run.settings, "pages": 1}
    assert (small.shrunk.settings, small.shrunk.finished) == (answer.run.settings, True)
    assert board_of(small.run).findings[0].rule == answer.rule


@pytest.mark.parametrize(
    ("low", "value", "tried"),
    [(1, 1, []), (1, 2, [1]), (0, 8, [0, 4, 6, 7]), (0, 7, [0, 4, 6]), (8, 64, [8, 36, 50, 57, 61, 63])],
)
def test_smaller_numbers_come_ever_nearer(low, value, tried):
    """The smallest first, then always half of what is left, rounded up; never the number itself."""
    assert list(smaller(Knob("moves", value, "how many", low=low, high=100), value)) == tried


def test_times_are_not_made_smaller():
    """In a search no clock runs: a shorter beat would change nothing, and only be noise in the report."""
    answer = check(find("defrag-ignorant"), knobs={"beat": 50, "pages": 3}, budget=60)
    assert (answer.run.settings["beat"], answer.run.settings["pages"]) == (50, 1)


class OnTheBoard(NoStale, Rule):
    """The benchmark's monitor as a rule of the board."""


def handshake(**knobs) -> Scenario:
    """The notifier's handshake with importers, maps and moves to choose; one importer ignores what it is told."""
    sizes = tuple(Knob(name, value, "how many", low=1, high=4) for name, value in knobs.items())

    def made(world, given):
        build(given["importers"], given["maps"], given["moves"], IGNORES)(world)

    return Scenario("handshake", "a handshake", made, knobs=sizes, rules=("no-stale",))


def test_fewer_importers_maps_and_moves_are_left(monkeypatch):
    """All that the story does not need goes, each reduction searched again; the report says from what."""
    monkeypatch.setattr(checking, "SHRINKING", 30.0)  # a busy machine must not cut it short
    monkeypatch.setitem(RULES, "no-stale", OnTheBoard)
    scene = handshake(importers=3, maps=2, moves=3)
    whole = check(scene, shrink=False, budget=60)
    small = check(scene, budget=60)
    assert small.run.settings == {"importers": 1, "maps": 1, "moves": 1}
    assert (small.switches, small.steps) < (whole.switches, whole.steps)
    assert (small.shrunk.switches, small.shrunk.steps) == (whole.switches, whole.steps)
    assert small == dataclasses.replace(check(handshake(importers=1, maps=1, moves=1), shrink=False), run=small.run)
    said = " ".join(text(small).split())
    assert "made smaller: importers 3 -> 1, maps 2 -> 1, moves 3 -> 1" in said


def test_a_scene_that_breaks_only_when_it_is_large_is_left_large(monkeypatch):
    """What is needed stays: with fewer moves the promise holds."""
    monkeypatch.setattr(checking, "SHRINKING", 30.0)  # a busy machine must not cut it short
    monkeypatch.setitem(RULES, "no-stale", OnTheBoard)

    def made(world, given):
        build(given["importers"], 1, given["moves"], IGNORES if given["moves"] > 1 else "right")(world)

    sizes = (Knob("importers", 2, "how many", low=1, high=2), Knob("moves", 3, "how many", low=1, high=3))
    small = check(Scenario("picky", "a picky scene", made, knobs=sizes, rules=("no-stale",)), budget=60)
    assert small.run.settings == {"importers": 1, "moves": 2}


def test_a_smaller_scene_that_breaks_another_promise_is_not_taken(monkeypatch):
    """However short that story is."""
    monkeypatch.setitem(RULES, "no-stale", OnTheBoard)

    def made(world, given):
        if given["moves"] > 1:
            build(1, 1, given["moves"], IGNORES)(world)
        else:
            world.actor("clumsy", lambda: step("stumbles", lambda: 1 // 0))

    rules = ("no-stale", "no-crash")
    scene = Scenario(
        "other", "breaks otherwise", made, knobs=(Knob("moves", 3, "how many", low=1, high=3),), rules=rules
    )
    small = check(scene, budget=60)
    assert (small.rule, small.run.settings) == ("no-stale", {"moves": 2})


def test_a_story_found_by_plain_replay_is_made_shorter_too():
    """Such a search finds few switches, and not always few steps."""
    scene = find("defrag-ignorant")
    begun = Run(scene).driven(by_text("app nic nic_dma*3", strict=False))
    runs = (begun.driven(by_seed(seed)) for seed in range(50))
    long = next(run for run in runs if board_of(run).first("obedience") is not None)
    finding = board_of(long).first("obedience")
    long = long.fork(finding.step)
    answer = Violation(scene.name, "obedience", "nic", finding.what, long, switches_of(long.schedule))
    shrinking = Shrinking(scene, answer, 60.0, {}, exact=False)
    while not shrinking.advance(1.0):
        pass
    best = check(scene, rules=["obedience"])
    assert (shrinking.answer.switches, shrinking.answer.steps) <= (best.switches + 2, best.steps + 3)
    assert shrinking.answer.run.settings["pages"] == 1
    assert shrinking.answer.shrunk.steps == len(long)


def test_no_time_to_shrink_is_said():
    """The story stays as it was found, and nobody is told that it is the smallest."""
    scene = find("defrag-ignorant")
    answer = check(scene, shrink=False)
    shrinking = Shrinking(scene, answer, 1e-9, {})
    assert shrinking.advance(1.0)
    assert shrinking.answer == answer
    assert main(["check", "defrag-ignorant", "--no-shrink"]) == 1


def test_a_small_graph_can_be_drawn():
    """Nodes with their depth and kind, edges with actor and label."""
    search = Search(SMALL)
    while search.advance(1.0) is None:
        pass
    picture = picture_of(search.graph)
    assert not picture.cut
    assert {node.kind for node in picture.nodes} == {"", "no-deadlock"}
    assert picture.nodes[0].depth == 0
    assert {edge.actor for edge in picture.edges} == {"ab", "ba"}
    assert picture_of(search.graph, most=3).cut


def test_statuses_are_those_of_the_manual():
    """For each kind of answer."""
    assert exit_status(check(SMALL)) == 1
    assert (
        exit_status(
            check(
                find_small("turns"),
            )
        )
        == 0
    )
    assert exit_status(check(find_small("turns"), bound=0)) == 3
