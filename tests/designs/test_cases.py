"""The cases of the catalogue that are designs' drivers: caught by the rule named for them, twins left in peace."""

import pytest

from p2plab.catalog.case import GOOD
from p2plab.catalog.verdict import verdict
from p2plab.designs import CASES
from p2plab.everything import CASES as ALL
from p2plab.everything import find
from p2plab.search import Pass, Violation, check

EVERY = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@EVERY
def test_a_case_is_caught_in_its_story_and_its_twin_left_in_peace(case):
    """By the rule named for it; the twin in that story and in a few random orders."""
    result = verdict(case, seeds=4)
    assert (result.caught, result.accused, result.unmet) == (True, {}, ())


@EVERY
def test_a_case_breaks_and_its_twin_holds_in_every_order(case):
    """The search finds the same rule without the story."""
    broken = check(case.scenario, budget=60)
    assert isinstance(broken, Violation), broken
    assert broken.rule == case.rule
    good = check(case.scenario, knobs={"driver": GOOD}, budget=60)
    assert isinstance(good, Pass), good


def test_their_codes_are_found_like_those_of_the_contract():
    """D1 is a scene like F1."""
    assert find("d1") is CASES["D1"].scenario
    assert [code for code in ALL if code.startswith("D")] == list(CASES)
