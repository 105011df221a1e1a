"""Present mode: one picture in big type, for a projector; keys, the address, less motion, and no box that clips it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from p2plab.course.stories import STORIES
from p2plab.course.story_links import beats_json, beats_list, story_page
from p2plab.views.links import stories_page, told
from p2plab.views.stage import moment, moments
from p2plab.views.stage.text import alt_of
from tests.browser.axe import violations
from tests.browser.conftest import Server, Watched
from tests.browser.notebook import button, open_notebook, run_all, wait_for_pictures, words, write_notebook

#: Pixels that the smallest text has on the page, of SVG as enlarged.
SMALLEST = """() => Math.min(...[...document.querySelectorAll('.stage.present *')]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && e.getClientRects().length)
    .map(e => parseFloat(getComputedStyle(e).fontSize) * (e.ownerSVGElement ? e.getScreenCTM().a : 1)))"""
OUTSIDE = """() => [...document.querySelectorAll('.stage.present :is(.said, svg.chain, .time, .chips, .counted)')]
    .map(e => e.getBoundingClientRect())
    .filter(b => b.width && (b.left < 0 || b.top < 0 || b.right > innerWidth + 1 || b.bottom > innerHeight + 1)).length"""


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("present") / "stories.html"
    file.write_text(stories_page(below=beats_list(), told_in_beats=beats_json()), encoding="utf-8")
    return file


@pytest.mark.parametrize(("width", "scheme"), [(1920, "light"), (1280, "dark")])
def test_a_link_opens_a_step_in_big_type(watched: Watched, stories: Path, width: int, scheme: Any):
    """Chain and timeline fill the window; no text is under 24 px at 1920; keys step and play; Escape ends it."""
    page = watched.page
    page.set_viewport_size({"width": width, "height": width * 9 // 16})
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{stories.as_uri()}#E4@12&present")
    page.wait_for_selector(".stage.present[data-step='12'][data-present='chain']")
    assert page.locator(".bar").is_hidden()
    for key, picture, hidden in (("ArrowDown", "time", ".chain"), ("ArrowUp", "chain", ".time")):
        assert page.evaluate(SMALLEST) >= 23.9 * width / 1920
        assert page.evaluate(OUTSIDE) == 0
        assert violations(page, ".stage") == []
        page.keyboard.press(key)
        page.wait_for_selector(f".stage[data-present='{picture}']")
        assert page.locator(hidden).is_hidden()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".stage[data-step='13']")
    page.keyboard.press("PageDown")
    page.wait_for_selector(".stage[data-step='14']")
    assert page.url.endswith("#e4-refuses-later@14&present")
    page.keyboard.press(" ")
    page.wait_for_selector(".stage[data-step='15']")
    page.keyboard.press(" ")
    page.keyboard.press("Escape")
    page.wait_for_selector(".stage:not(.present)")
    assert page.locator(".bar").is_visible()
    assert not page.url.endswith("&present")
    page.keyboard.press("p")
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement?.matches('.stage.present')")
    assert page.locator("svg.chain").bounding_box()["width"] > width * 0.9
    page.keyboard.press("f")
    page.wait_for_selector(".stage:not(.present)")
    assert watched.errors == []


def test_a_story_is_told_beat_by_beat(watched: Watched, stories: Path):
    """Words above the stage, on at a key in present mode and at a button out of it; also where a twin's run is needed."""
    page = watched.page
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(f"{stories.as_uri()}#story=04/1&present")
    for at, beat in enumerate(STORIES["04"].beats, 1):
        page.wait_for_selector(f".stage.present[data-step='{beat.step}'][data-present='{beat.picture}']")
        page.locator(".beat .words", has_text=beat.words).wait_for()
        assert page.evaluate(SMALLEST) >= 23.9 * 1280 / 1920
        assert page.evaluate(OUTSIDE) == 0
        assert page.url.endswith(f"#story=04/{at}&present")
        page.keyboard.press("PageDown")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(f".stage[data-step='{beat.step - 1}']")
    page.keyboard.press("Escape")
    page.wait_for_selector(".stage:not(.present)")
    page.goto(f"{stories.as_uri()}#story=08/4")
    page.wait_for_selector(".stage[data-step='31']")
    assert page.locator(".beat .next").get_attribute("aria-disabled") == "false"
    page.locator(".beat .next").click()
    page.wait_for_selector(".stage[data-step='32']")
    assert words(page) == alt_of(moment(STORIES["08"].beats[4].run, 32))
    assert page.evaluate("document.querySelector('.stage').scrollHeight <= innerHeight + 1")
    assert violations(page, ".stage", "#five") == []
    page.goto(f"{stories.as_uri()}#story=99")
    page.locator("#said", has_text="This page holds no story 99").wait_for()
    assert watched.errors == []


def test_a_page_of_one_story_holds_it_alone(watched: Watched, tmp_path: Path):
    """What the docs show in a frame: no other story, and no request."""
    file = tmp_path / "story.html"
    file.write_text(story_page("03"), encoding="utf-8")
    page = watched.page
    page.goto(f"{file.as_uri()}#story=03/6")
    page.wait_for_selector(".stage[data-step='9']")
    page.locator(".beat .previous").click()
    page.wait_for_selector(".stage[data-step='19']")
    assert page.url.endswith("#story=03/5")
    assert watched.abroad == []
    assert watched.errors == []


def test_the_spotlight_is_on_what_changed(watched: Watched, stories: Path):
    """Where a step changes nothing of the chain, nothing fades; what fades stays above the colour of its ground."""
    page = watched.page
    page.goto(f"{stories.as_uri()}#defrag-ignorant@27&present")
    page.wait_for_selector(".stage.present.spotlight[data-step='27']")
    assert page.locator(".cell.new").count() == 10
    assert page.locator(".cell[data-k='app:page0']").evaluate("e => getComputedStyle(e).opacity") == "0.4"
    assert page.locator(".cell[data-k='nic:entry0']").evaluate("e => getComputedStyle(e).opacity") == "1"
    run = told("defrag-ignorant")
    still = next(n for n, now in enumerate(moments(run)) if n and not now.changed and not now.beats)
    page.goto(f"{stories.as_uri()}#defrag-ignorant@{still}&present")
    page.wait_for_selector(f".stage.present[data-step='{still}']:not(.spotlight)")
    assert words(page) == alt_of([*moments(run)][still])


def test_it_is_above_everything_in_jupyterlab_and_without_motion(lab_server: Server, watched: Watched):
    """A button enters it in a notebook's cell; the focus is in it, and after it where it was."""
    page = watched.page
    page.set_viewport_size({"width": 1280, "height": 720})
    page.emulate_media(reduced_motion="reduce")
    write_notebook(lab_server, "present.ipynb", "from p2plab.lab import Lab\nLab('defrag-ignorant')")
    open_notebook(page, lab_server, "present.ipynb", simple=False)
    run_all(page)
    wait_for_pictures(page)
    page.evaluate("window.moved = 0; document.addEventListener('transitionrun', () => window.moved++, true)")
    button(page, "present").click()
    page.wait_for_selector(".stage.present")
    box = page.locator(".stage").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 1280, 720)
    assert page.evaluate("document.elementFromPoint(5, 5).closest('.stage') !== null")
    assert page.evaluate("document.activeElement.matches('.stage')")
    at = int(page.locator(".stage").get_attribute("data-step"))
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(f".stage[data-step='{at - 1}']")
    page.keyboard.press("Tab")
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('.stage') !== null")
    page.keyboard.press("p")
    page.wait_for_selector(".stage:not(.present)")
    assert page.evaluate("document.activeElement.textContent") == "present"
    assert page.evaluate("window.moved") == 0
    assert watched.errors == []
