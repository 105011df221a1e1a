"""The search on every design: the good pair holds in every order, the broken ones are caught."""

import pytest

from p2plab import find
from p2plab.designs import DESIGNS, SCENES
from p2plab.designs.design import LISTS
from p2plab.search import Pass, Violation, check

GOOD = [
    (design, importer, steps)
    for design in DESIGNS.values()
    for importer in design.good
    for steps in LISTS
    if steps != "by-hand" and (steps != "all" or importer == "good")
]
FAULTY = [(design, knobs, rule) for design in DESIGNS.values() for knobs, rule in design.faulty.items()]


@pytest.mark.parametrize(
    ("design", "importer", "steps"), GOOD, ids=lambda value: getattr(value, "name", None) or str(value)
)
def test_a_good_pair_holds_in_every_order(design, importer, steps):
    """Completely: no bound, no budget used up."""
    answer = check(SCENES[design.scene], knobs={"importer": importer, "steps": steps}, budget=60)
    assert isinstance(answer, Pass), answer
    assert answer.complete


@pytest.mark.parametrize(
    ("design", "knobs", "rule"), FAULTY, ids=lambda value: getattr(value, "name", None) or str(value)
)
def test_a_broken_driver_is_caught_and_blamed(design, knobs, rule):
    """By the rule named for it; the importer's faults are blamed on the importer, the exporter's on the exporter."""
    settings = dict(word.split("=") for word in knobs.split())
    answer = check(SCENES[design.scene], knobs=settings, budget=60)
    assert isinstance(answer, Violation), answer
    assert answer.rule == rule
    if rule != "no-deadlock":  # of which nobody in particular is the culprit
        assert (answer.culprit == "nic") is ("exporter" not in settings)


@pytest.mark.parametrize("design", DESIGNS.values(), ids=lambda design: design.name)
def test_both_sides_of_every_design_can_be_broken(design):
    """At least one broken importer and one broken exporter each."""
    sides = {word.partition("=")[0] for knobs in design.faulty for word in knobs.split()}
    assert sides >= {"importer", "exporter"}
    assert find(design.scene) is SCENES[design.scene]
