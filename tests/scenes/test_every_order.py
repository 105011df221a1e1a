"""Every order of events: the good twins hold in all of them, and the policies keep what they promise, or do not."""

from pathlib import Path

import pytest

from p2plab import find
from p2plab.catalog import CASES
from p2plab.catalog.case import Case
from p2plab.search import Pass, Violation, check

#: Scene, rule, switches, steps of the smallest story; and of a rule that breaks in a shorter one.
SMALLEST = Path(__file__).parents[1] / "golden" / "search" / "smallest.txt"
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


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.code)
def test_each_scene_is_found_broken_by_search_alone(case: Case):
    """Without its story, all rules watched: the rule that it is about, with its known smallest story."""
    answer = check(case.scenario, budget=60, shrink=False)
    assert isinstance(answer, Violation)
    also = "" if answer.also is None else f", also {answer.also.rule} {answer.also.switches} {answer.also.steps}"
    found = f"{case.code} {answer.rule} {answer.switches} {answer.steps}{also}"
    assert answer.rule == case.rule
    assert found in SMALLEST.read_text().splitlines()


def test_a_rule_that_is_asked_for_is_the_one_that_is_told():
    """What else breaks first is left out then."""
    answer = check(find("f8"), rules=["obedience"], shrink=False)
    assert isinstance(answer, Violation)
    assert (answer.rule, answer.also) == ("obedience", None)


def test_reserving_keeps_predictability_in_every_order_and_refusing_does_not():
    """An eviction that has begun must not take what is being lent just then."""
    assert isinstance(check(find("policies"), knobs={"policy": "reserve"}, rules=["predictability"], budget=30), Pass)
    broken = check(find("policies"), knobs={"policy": "refuse"}, rules=["predictability"], budget=30)
    assert isinstance(broken, Violation)
    assert broken.culprit == "gpu"


@pytest.mark.parametrize(
    "wiring", ["as-posted", "as-reviewer-expected", "ioremap-helper", "vma-dma-map-range", "vma-dma-map-range-pin"]
)
def test_who_calls_changes_nothing_about_the_promises(wiring):
    """The question of the review is one of layering: every order holds in each wiring."""
    answer = check(find("wirings"), knobs={"wiring": wiring}, budget=30)
    assert isinstance(answer, Pass)
    assert answer.complete
