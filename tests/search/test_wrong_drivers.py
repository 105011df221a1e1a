"""Wrong drivers: each is found, by the promise that a reviewer would name first.

Here each is searched in the scene that shows it; ``benchmarks/bench_wrong_drivers.py`` asks about each in all scenes.
"""

import pytest

from p2plab import find
from p2plab.core.schedule import schedule_text
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.search import Violation, breaks, check
from p2plab.search.allscenes import trials
from tests.search.wrong_drivers import SMALL, WRONG, LeaksOnPartialFailure, LeaksWhatItHad, LosesTheWakeUp

#: The searches of one run of the tests: every third. The benchmark has them all.
QUICK = WRONG[::3]


@pytest.mark.parametrize(("driver", "rules", "scene", "knobs"), QUICK, ids=[row[0].__name__ for row in QUICK])
def test_a_wrong_driver_is_found_by_the_rule_that_a_reviewer_would_name(driver, rules, scene, knobs):
    """Every promise is watched, and the first that breaks is the one that says what is wrong."""
    role = "exporter" if issubclass(driver, Gpu) else "importer"
    answer = check(find(scene), knobs=knobs, shrink=False, budget=120, **{role: driver})
    assert isinstance(answer, Violation), answer
    assert answer.rule in rules


@pytest.mark.parametrize("driver", [LeaksWhatItHad, LeaksOnPartialFailure])
def test_a_deadlock_that_follows_from_a_leak_is_told_as_the_leak(driver):
    """The exporter waits for pages that nobody gives back; a test that is pasted says the same."""
    answer = check(find("e12"), shrink=False, budget=120, importer=driver)
    assert (answer.rule, answer.culprit) == ("balanced-unmap", "nic")
    assert "never gives back, and all wait (gpu: nothing is lent any more)" in answer.what
    order = schedule_text(answer.run.schedule)
    assert breaks("balanced-unmap", find("e12"), order, importer=driver)
    assert not breaks("balanced-unmap", find("e12"), order, importer=ObedientNic)


def test_a_deadlock_for_which_nobody_owes_anything_is_told_as_what_it_is():
    """The wake-up is lost, the pages were given back; and whoever asks for no-deadlock alone gets it."""
    answer = check(find("defrag-obedient"), knobs=SMALL, shrink=False, budget=120, importer=LosesTheWakeUp)
    assert answer.rule == "no-deadlock"
    asked = check(find("e12"), shrink=False, budget=120, importer=LeaksWhatItHad, rules=["no-deadlock"])
    assert asked.rule == "no-deadlock"


@pytest.mark.parametrize(("driver", "scene", "knobs"), [(row[0], row[2], row[3]) for row in WRONG])
def test_the_scene_that_shows_it_is_among_all_scenes(driver, scene, knobs):
    """Whoever asks without a scene gets to it: the scene with its knobs, or one that comes to the same."""
    wanted = {name: value for name, value in knobs.items() if name != "pages"}
    assert any(
        scene in (trial.scene.name, *trial.same)
        and {name: value for name, value in trial.knobs.items() if name != "pages"} == wanted
        for trial in trials(driver)
    )


def test_each_has_one_sentence_that_says_its_bug():
    """And there are at least 28 of them, each a class of its own."""
    assert len({row[0] for row in WRONG}) >= 28
    assert all(row[0].__doc__ and row[0].__doc__.count("\n") == 0 for row in WRONG)
