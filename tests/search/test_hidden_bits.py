"""A bit that decides something is part of a state, or its driver is refused with the line: wherever it is kept."""

from types import SimpleNamespace

import pytest

from p2plab.everything import find
from p2plab.search import Pass, Violation, check, net
from p2plab.search import search as search_module
from p2plab.search.closed import Refused
from tests.search.gate import hidden
from tests.search.hidden_bits import (
    SEEN,
    UNSEEN,
    FastPath,
    InClass,
    InDefaultArgument,
    InGlobalList,
    InMember,
    InMethodsAttribute,
)
from tests.search.places import PLACES

SCENE, KNOBS = find("defrag-obedient"), {"pages": 1}


@pytest.mark.parametrize("driver", SEEN)
def test_what_is_kept_where_a_search_sees_it_is_found(driver):
    """The broken promise that a plain attribute shows."""
    answer = check(SCENE, importer=driver, knobs=KNOBS, shrink=False, budget=120)
    assert isinstance(answer, Violation), answer
    assert (answer.rule, answer.culprit) == ("obedience", "nic")


@pytest.mark.parametrize("driver", UNSEEN)
def test_what_is_kept_elsewhere_is_refused_with_its_line(driver):
    """Before the search, or when it is first met; with what to write instead."""
    with pytest.raises(Refused, match=r"line \d+ of hidden_bits.py"):
        check(SCENE, importer=driver, knobs=KNOBS, shrink=False, budget=120)


@pytest.mark.parametrize("driver", [InGlobalList, InClass, InMember, InMethodsAttribute, InDefaultArgument])
def test_the_second_net_catches_what_nobody_refused(driver, monkeypatch):
    """Take the looking at code away: steps that are run again after other paths come out differently."""
    honest = SimpleNamespace(functions=[], look=lambda _doing: None)
    monkeypatch.setattr(search_module, "Closed", lambda _roots: honest)
    monkeypatch.setattr(net, "LEAST", 5.0)  # however busy the machine is
    answer = check(SCENE, importer=driver, knobs=KNOBS, shrink=False, budget=120)
    assert not isinstance(answer, Pass), answer


def test_the_same_bug_is_found_with_the_bit_in_plain_sight():
    """So what the others are compared with is a bug."""
    assert check(SCENE, importer=FastPath, knobs=KNOBS, shrink=False, budget=120).word == "BREAKS obedience"


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_random_programs_with_a_bit_in_some_place_are_searched_right_or_refused(place):
    """Both searches find the same states; what a search sees is not refused."""
    for seed in range(4):
        assert hidden(seed, place, 200)[1] == "", seed
