"""Predicting on the picture: a page, an actor, a step is chosen with mouse or keys; only then the run plays on."""

from __future__ import annotations

from typing import Any

from p2plab.course.predict import question
from tests.browser.axe import violations
from tests.browser.conftest import Server, Watched
from tests.browser.notebook import open_notebook, run_all, wait_for_stages, write_notebook

CELLS = [
    f"from p2plab.course.widgets import Predict\nPredict({asked})"
    for asked in ("'stale', 15", "'waits', 1", "'breaks', 4")
]
CELLS.append("Predict('reach', 3)")


def part(page: Any, number: int) -> Any:
    """The widget of one question."""
    return page.locator(".p2plab-lab").nth(number)


def answer(page: Any, number: int) -> str:
    part(page, number).get_by_role("button", name="answer").click()
    said = part(page, number).locator("[role=status] pre")
    said.wait_for()
    return str(said.inner_text())


def test_a_prediction_is_made_on_the_picture_and_the_run_plays_on(lab_server: Server, watched: Watched):
    """A page by mouse, an actor by key, a step by arrows; nothing of what lies ahead is in the browser before the answer."""
    page = watched.page
    page.set_viewport_size({"width": 1280, "height": 720})
    page.emulate_media(reduced_motion="reduce")  # the answer is at its end at once
    write_notebook(lab_server, "predict.ipynb", *CELLS)
    open_notebook(page, lab_server, "predict.ipynb")
    run_all(page)
    wait_for_stages(page, 3)

    stale = question("stale", 15).stage
    assert stale is not None
    stage = part(page, 0).locator(".stage")
    assert int(stage.get_attribute("data-step")) == stale.at
    assert part(page, 0).locator("output").inner_text() == f"{stale.at} of {stale.at}"
    assert "f12" not in stage.inner_text().lower()
    stage.locator(".cell.choice[data-k='nic:entry0']").click()
    stage.locator(".cell.chosen[data-k='nic:entry0']").wait_for()
    stage.locator(".cell.choice[data-k='nic:entry1']").focus()
    page.keyboard.press("Enter")
    stage.locator(".cell.chosen[data-k='nic:entry1'][aria-checked=true]").wait_for()
    assert violations(page, ".stage") == []
    assert answer(page, 0).startswith("Not quite: page 1.")
    part(page, 0).locator(f".stage[data-step='{stale.to}']").wait_for()
    assert stage.locator(".cell.was-wrong").get_attribute("data-k") == "nic:entry0"
    assert stage.locator(".cell.was-right .verdict").text_content() == "✓"
    assert part(page, 0).locator("output").inner_text() == f"{stale.to} of {len(stale.run)}"

    waits = question("waits", 1)
    gpu = part(page, 1).get_by_role("radio", name="gpu", exact=True)
    gpu.focus()
    page.keyboard.press("Enter")
    part(page, 1).locator(".now .pick-it.chosen[data-choice='gpu']").wait_for()
    assert violations(page, ".stage") == []
    assert answer(page, 1).startswith("Right: gpu.")
    part(page, 1).locator(f".stage[data-step='{waits.stage.to}']").wait_for()
    assert "waits" in part(page, 1).locator(".now li", has_text="gpu").first.inner_text()

    breaks = question("breaks", 4)
    assert part(page, 2).locator(".broke, .bx, .chips .broken").count() == 0
    part(page, 2).locator(".pick-it[tabindex='0']").focus()
    for _ in range(breaks.stage.to - breaks.stage.at - 2):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    part(page, 2).locator(f".pick-it.chosen[data-choice='step {breaks.stage.to - 1}']").wait_for()
    assert answer(page, 2).startswith(f"Not quite: step {breaks.stage.to}.")
    part(page, 2).locator(f".stage[data-step='{breaks.stage.to}'] .chips .broken").first.wait_for()
    assert part(page, 2).locator(".pick-it.was-missed").inner_text() == "!"

    tree = part(page, 3).locator("[data-view='pci-tree']")
    assert tree.locator("strong.role").all_inner_texts().count("exporter") == 1
    assert violations(page, ".p2plab-lab") == []
    assert watched.errors == []
