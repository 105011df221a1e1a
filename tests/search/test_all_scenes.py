"""One question, all scenes: each different one once, the smallest story, a table, one exit status."""

import json

import pytest

import p2plab
from p2plab.cli import main
from p2plab.core import known
from p2plab.core.errors import BadInput
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.drivers.odp import OdpNic
from p2plab.search import allscenes
from p2plab.search.allscenes import CheckingAllScenes, Trial, trials
from p2plab.views.report import as_json, exit_status, text
from tests.search.wrong_drivers import LeaksOnPartialFailure, LeaksWhatItHad, MissesTheExit


class Raises(ObedientNic):
    async def map(self, start, end):
        raise KeyError("oops")


class Some(ObedientNic):
    pass


@pytest.fixture
def few(monkeypatch):
    """Three small scenes stand for all."""
    names = ("f3-takes-mmap-lock", "f8-forgets-unmap", "f9-unmaps-twice")
    few = {name: p2plab.find(name) for name in names}
    monkeypatch.setattr(known, "scenes", lambda: few)


@pytest.mark.parametrize("given", [ObedientNic, OdpNic, Gpu])
def test_every_kind_of_event_that_a_driver_meets_is_among_the_scenes(given):
    """Unmaps, in part, mprotect, fork, exit, a second move, two importers, a call that may not block, unplug, IOMMU on."""
    names = {trial.name for trial in trials(given)}
    usual = {f"defrag-obedient {more}" for more in (
        "process=unmaps", "process=unmaps-part",
        "process=unmaps-by-parts moves=0", "process=forks", "process=exits", "moves=2", "importers=2",
        "iommu=on",
    )}  # fmt: skip
    assert usual | {"defrag-obedient", "disasters", "wirings", "f13-stale-vma-after-split"} <= names
    if given is not Gpu:
        assert {"f5-sleeps-non-blocking", "f17-mprotect-is-silent"} <= names


def test_a_scene_about_hardware_that_is_off_elsewhere_is_asked_for_by_name():
    """A right driver of a device that does not check its completions is not wrong because of it; the answer names them."""
    assert not [trial.name for trial in trials(ObedientNic) if trial.scene.name.startswith("h1-")]
    answer = CheckingAllScenes(ObedientNic).cancel()
    assert answer.by_name == ("h1-pulled-out", "h3-keeps-its-translations", "h4-flushes-later")
    assert "off elsewhere: h1-pulled-out, h3-keeps-its-translations," in " ".join(text(answer).split())


def test_scenes_that_come_to_the_same_are_searched_once():
    """F8 with your driver is F3 with your driver; the table says so."""
    found = {trial.scene.name: trial for trial in trials(Some)}
    assert "f8-forgets-unmap" in found["f3-takes-mmap-lock"].same
    assert "f8-forgets-unmap" not in found


def test_a_right_driver_holds_in_all_and_the_table_says_what_was_tested(few):
    """A row a scene; the promises that no scene put to the test."""
    answer = p2plab.check(Some)
    assert [row[1] for row in answer.table] == ["HOLDS", "HOLDS"]
    assert (answer.word, answer.run, answer.token, exit_status(answer)) == ("HOLDS", None, None, 0)
    assert "hmm-complete" in answer.not_tested
    assert "Some in 2 scenes: 2 hold, 0 break, 0 not decided" in " ".join(text(answer).split())
    assert "(as f8)" in repr(answer)


def test_a_wrong_driver_ends_with_the_smallest_story(few):
    """Exit 1 if any breaks; the story and its test are there."""
    answer = p2plab.check(Raises)
    assert (answer.word, exit_status(answer)) == ("BREAKS no-crash", 1)
    assert "def test_no_crash_in_" in repr(answer)
    assert as_json(answer)["exit"] == 1
    assert len(answer.run) == min(len(one.run) for _, one in answer.rows)


@pytest.mark.parametrize("driver", [LeaksWhatItHad, LeaksOnPartialFailure])
def test_over_all_scenes_the_leak_is_named_and_not_the_deadlock_to_which_it_leads(driver, monkeypatch):
    """The smallest story of all is that of an exporter which waits for its pages."""
    names = ("e12-goes-without-a-word", "f3-takes-mmap-lock", "e8-unwinds-badly")
    monkeypatch.setattr(known, "scenes", lambda: {name: p2plab.find(name) for name in names})
    answer = p2plab.check(driver, shrink=False)
    assert (answer.word, answer.smallest.scene) == ("BREAKS balanced-unmap", names[0])


def test_once_something_breaks_only_smaller_stories_are_looked_for(monkeypatch):
    """The scenes after it are searched with no more switches than the story has, and the table says so."""

    scene, first, then = p2plab.find("defrag-obedient"), {"pages": 1, "process": "exits"}, {"pages": 1}
    monkeypatch.setattr(
        allscenes, "trials", lambda _given: [Trial(scene, "importer", first), Trial(scene, "importer", then)]
    )
    answer = p2plab.check(MissesTheExit, shrink=False)
    (_, broken), (_, bounded) = answer.rows
    assert answer.smallest == broken
    assert bounded.word == f"holds up to {broken.switches} switches"
    assert "0 hold, 1 break, 1 hold up to a bound, 0 not decided" in " ".join(text(answer).split())


def test_a_scene_that_is_not_decided_in_its_share_goes_on_at_random(monkeypatch):
    """A tenth of the budget is for random orders where scenes are not decided; the row says how many there were."""
    monkeypatch.setattr(known, "scenes", lambda: {"e2-forgets-a-process": p2plab.find("e2-forgets-a-process")})
    checking = CheckingAllScenes(Some, budget=10.0)
    checking.advance(0.1)
    monkeypatch.setattr(checking, "_left", lambda: 0.9)
    while checking.advance(0.1) is None:
        pass
    ((_, undecided),) = checking.verdict.rows
    assert undecided.why == "its share of the budget is used up"
    assert undecided.chance.orders > 0
    assert as_json(checking.verdict)["scenes"][0]["random_orders"]["orders"] == undecided.chance.orders


def test_what_was_not_begun_is_said(few):
    """A cancel, or a budget that is used up: exit 3, and the scenes are named."""
    answer = CheckingAllScenes(Some, budget=1e-6)
    while answer.advance(0.1) is None:
        pass
    assert exit_status(answer.verdict) == 3
    assert answer.verdict.table[-1] == ("f9-unmaps-twice", "NOT BEGUN")
    cancelled = CheckingAllScenes(Some).cancel()
    assert [word for _, word in cancelled.table] == ["NOT DECIDED", "NOT BEGUN"]


def test_a_class_that_fits_nowhere_is_refused():
    """With the classes to derive from; options of one scene are refused, too."""
    with pytest.raises(BadInput, match=r"no scene takes int: derive it from p2plab\.p2p\.importer\.Importer"):
        p2plab.check(int)
    with pytest.raises(BadInput, match="a class alone is tried in every scene"):
        p2plab.check(Some, pages=2)


def test_the_command_takes_a_class(few, tmp_path, capsys):
    """p2plab check FILE.py:Class, as text and as JSON with the same exit status."""
    file = tmp_path / "mine.py"
    file.write_text("from p2plab.drivers.nic import ObedientNic\nclass Mine(ObedientNic):\n    pass\n")
    assert main(["check", f"{file}:Mine"]) == 0
    assert "Mine in 2 scenes: 2 hold" in " ".join(capsys.readouterr().out.split())
    assert main(["check", f"{file}:Mine", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["exit"], [row["verdict"] for row in said["scenes"]]) == (0, ["pass", "pass"])
    assert main(["check", f"{file}:Mine", "--knob", "pages=2"]) == 2
