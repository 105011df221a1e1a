"""Every order of events: the good twins hold in all of them, and the policies keep what they promise, or do not."""

import pytest

from p2plab.catalog import CASES, find
from p2plab.catalog.case import Case
from p2plab.check import Pass, Violation, check

#: Too many orders for a quick test, with two importers each; a thousand random orders cover them in `p2plab catalog`.
LARGE = ("E2",)


@pytest.mark.parametrize(
    "case", [case for code, case in CASES.items() if code not in LARGE], ids=lambda case: case.code
)
def test_no_order_at_all_accuses_a_good_twin(case: Case):
    """The search is complete: it is not a matter of luck."""
    answer = check(case.scenario, knobs={"driver": "good"}, budget=30)
    assert isinstance(answer, Pass)
    assert answer.complete


@pytest.mark.parametrize("code", ["F2", "F10", "F11", "F22", "F23", "E3", "E12"])
def test_a_race_is_found_without_its_story(code):
    """By search alone, for the rule named for it, with few switches."""
    case = CASES[code]
    answer = check(case.scenario, rules=[case.rule], budget=30)
    assert isinstance(answer, Violation)
    assert answer.rule == case.rule
    assert answer.switches <= 4


def test_reserving_keeps_predictability_in_every_order_and_refusing_does_not():
    """An eviction that has begun must not take what is being lent just then."""
    assert isinstance(check(find("policies"), knobs={"policy": "reserve"}, rules=["predictability"], budget=30), Pass)
    broken = check(find("policies"), knobs={"policy": "refuse"}, rules=["predictability"], budget=30)
    assert isinstance(broken, Violation)
    assert broken.culprit == "gpu"


@pytest.mark.parametrize("wiring", ["as-posted", "as-reviewer-expected"])
def test_who_calls_changes_nothing_about_the_promises(wiring):
    """The question of the review is one of layering: every order holds in each wiring."""
    answer = check(find("wirings"), knobs={"wiring": wiring}, budget=30)
    assert isinstance(answer, Pass)
    assert answer.complete
