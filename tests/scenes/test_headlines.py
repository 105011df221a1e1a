"""What is said above a run agrees with what comes out of it: for every scene, with either driver, and with a class of yours."""

from __future__ import annotations

import pytest

from p2plab import check, find
from p2plab.catalog import CASES
from p2plab.core.run import Run
from p2plab.drivers.nic import ObedientNic
from p2plab.everything import SCENES
from p2plab.rules import RULES
from p2plab.views.stage.wire import scene_json
from p2plab.views.text import board_of, heading, verdict

#: The knobs that choose between a driver that keeps its promises and one that does not.
DRIVERS = ("driver", "importer")
TOLD = [
    (name, knob.name, value)
    for name, scene in SCENES.items()
    for knob in scene.knobs
    if knob.name in DRIVERS and knob.name in scene.words
    for value in knob.choices
] + [(name, "", "") for name, scene in SCENES.items() if not set(DRIVERS) & {k.name for k in scene.knobs}]


def rules_broken(run: Run) -> list[str]:
    """The rules that broke, by name, in the order in which a report prints them. A good driver may pay a price."""
    shown = [line.split()[1].rstrip(",") for line in verdict(run) if line.startswith(("BROKEN: ", "PRICE: "))]
    return [name for name in shown if RULES[name].kind != "price" or name == run.scenario.breaks]


@pytest.mark.parametrize(("scene", "knob", "value"), TOLD)
def test_a_headline_agrees_with_the_verdict(scene: str, knob: str, value: str):
    """The break that is announced comes, and is printed first; where none is announced none comes; culprits are actors."""
    run = Run(find(scene), {knob: value} if knob else {}).told()
    said = run.scenario.words_with(run.settings)
    broken = rules_broken(run)
    assert broken[:1] == ([said.breaks] if said.breaks else []), (said.title, broken)
    assert ("good twin" in said.title) == (value == "good")
    assert ("obeys" in said.title) <= ("obedience" not in broken)
    assert ("ignores" in said.title and "good twin" not in said.title) <= bool(broken)
    assert "".join(said.title.split()) in "".join("".join(heading(run)).split())
    assert scene_json(run)["title"] == said.title
    taking_part = {*run.world.actors, *(e.name for e in run.world.things.exporters), "hmm", "iommu", "mm"}
    taking_part |= {importer.name for importer in run.world.things.importers}
    assert {finding.culprit for finding in board_of(run).findings} <= taking_part


def test_a_class_of_yours_is_named_and_nothing_is_said_of_its_behaviour():
    """A scene's own words are about its own driver."""
    for name in ("defrag-obedient", "F1"):
        scene = find(name).with_cast({"importer": ObedientNic})
        said = scene.words_with(scene.settings({}))
        assert said.title.endswith(", with ObedientNic as importer")
        assert "obeys" not in said.title
        assert said.breaks == ""


def test_other_knobs_are_said_beside_the_text():
    """It is told of the scene as it comes."""
    scene = find("defrag-obedient")
    said = scene.words_with(scene.settings({"nic": "other-switch"}))
    assert said.about.endswith("(This is the scene as it comes; here it has nic=other-switch.)")


def test_an_answer_of_the_search_names_the_driver_that_it_is_about():
    """F10 does not hold; its good twin does."""
    assert repr(check("F10", driver="good")).startswith("f10-no-second-look's good twin HOLDS")
    assert repr(check("F10")).startswith("f10-no-second-look BREAKS programs-only-valid")
    assert repr(check("defrag-obedient", importer="ignorant", pages=1)).startswith(
        "defrag-obedient with importer=ignorant, pages=1 BREAKS obedience"
    )


def test_every_case_has_words_for_its_twin():
    """So that none is described as the broken one."""
    assert all("good" in case.scenario.words["driver"] for case in CASES.values())


def test_a_price_that_is_paid_is_not_called_broken():
    """E5's exporter falls back to main memory, as it may."""
    said = "\n".join(verdict(Run(find("E5")).told()))
    assert "PRICE: peer-to-peer" in said
    assert "BROKEN" not in said
