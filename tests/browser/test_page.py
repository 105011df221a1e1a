"""The page that steps through a run without a kernel, opened from a file, with the network closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2plab.catalog import find
from p2plab.core.run import Run
from p2plab.core.schedule import by_text
from p2plab.views.barmap import bar_map
from p2plab.views.figures_page import page as page_of
from p2plab.views.stepwise import boards, damage_words, verdict_words
from p2plab.views.strip import address_space
from p2plab.views.text import board_of, story
from p2plab.views.timeline import timeline
from tests.browser.conftest import Watched
from tests.browser.notebook import colours

PANES = ("address-space", "bar-map", "timeline")


@pytest.fixture(scope="module")
def run() -> Run:
    scene = find("defrag-ignorant")
    return Run(scene).driven(by_text(scene.story))


@pytest.fixture
def opened(run: Run, tmp_path: Path, watched: Watched) -> Iterator[Any]:
    """The page, from a file, in a browser that has no network."""
    file = tmp_path / "run.html"
    file.write_text(page_of(run), encoding="utf-8")
    watched.page.context.set_offline(True)
    watched.page.goto(file.as_uri())
    at(watched.page, 0)
    yield watched.page
    assert watched.abroad == []
    assert watched.errors == []


def at(page: Any, step: int) -> None:
    """Wait until a step is drawn."""
    page.wait_for_selector(f"body[data-step='{step}']")


def said(page: Any, words: str) -> str:
    return str(page.text_content(f"[data-words='{words}']"))


def test_the_keyboard_steps_and_every_word_is_the_model_s(opened: Any, run: Run):
    """At the start, around both breaks, and at the end: pictures, verdict, damage and promises, hex labels exact."""
    standing = {step: (verdict_words(board), [board.state(r) for r in board.rules]) for step, board in _boards(run)}
    for step in range(len(run) + 1):
        if step:
            opened.keyboard.press("ArrowRight")
        if step not in (0, 1, 23, 24, 31, 32, len(run)):
            continue
        at(opened, step)
        assert said(opened, "address-space") == address_space(run, step).alt
        assert said(opened, "bar-map") == bar_map(run, step).alt
        assert said(opened, "timeline") == timeline(run, step, board_of(run)).alt
        assert said(opened, "damage") == damage_words(tuple(e for e in run.log if e.step <= step))
        verdict, states = standing[step]
        assert said(opened, "verdict") == verdict
        for rule, state in zip(board_of(run).rules, states, strict=True):
            assert said(opened, f"rule/{rule.name}").startswith(state)
    assert "0xe8005000" in said(opened, "damage")
    opened.keyboard.press("Home")
    at(opened, 0)
    opened.keyboard.press("End")
    at(opened, len(run))
    opened.keyboard.press("ArrowLeft")
    at(opened, len(run) - 1)
    assert said(opened, "timeline") == timeline(run, len(run) - 1, board_of(run)).alt


def test_buttons_slider_and_link_lead_to_the_same_steps(opened: Any, run: Run):
    """What cannot be pressed is disabled; a link names a step; the pictures are drawn and change."""
    assert opened.locator("#back").is_disabled()
    for pane in PANES:
        assert colours(opened, pane) > 3, f"{pane} is empty"
    before = columns(opened, "slots")
    opened.click("#last")
    at(opened, len(run))
    assert opened.locator("#step").is_disabled()
    assert columns(opened, "slots") == bar_map(run, len(run)).data["slots"] != before
    opened.click("#back")
    at(opened, len(run) - 1)
    opened.locator("#slider").fill("24")
    at(opened, 24)
    assert columns(opened, "pages") == address_space(run, 24).data["pages"]
    assert columns(opened, "bars") == timeline(run, 24, board_of(run)).data["bars"]
    opened.evaluate("location.hash = '#7'")
    at(opened, 7)
    assert columns(opened, "slots") == bar_map(run, 7).data["slots"]


def test_without_scripts_the_text_is_there(run: Run, tmp_path: Path, chromium: Any):
    """Nothing but HTML is needed to read the run and its token."""
    file = tmp_path / "run.html"
    file.write_text(page_of(run), encoding="utf-8")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("pre").inner_text().strip() == story(run).strip()
    context.close()


def columns(page: Any, source: str) -> Any:
    """The columns that BokehJS holds under a name."""
    return page.evaluate("name => Bokeh.documents.map(d => d.get_model_by_name(name)).find(s => s).data", source)


def _boards(run: Run) -> Iterator[tuple[int, Any]]:
    yield from enumerate(boards(run))
