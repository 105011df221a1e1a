"""The page that steps through a run without a kernel, opened from a file, with the network closed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2plab import find
from p2plab.core.actors import step as one_step
from p2plab.core.run import Run
from p2plab.core.schedule import by_seed, by_text
from p2plab.core.token import token_of
from p2plab.drivers.pinned import PinsUntilUnmap
from p2plab.views.page import page as page_of
from p2plab.views.stage import moments
from p2plab.views.stage.text import alt_of
from p2plab.views.text import board_of, story
from tests.browser.conftest import Watched
from tests.browser.notebook import broken, words


@pytest.fixture(scope="module")
def run() -> Run:
    scene = find("defrag-ignorant")
    return Run(scene).told()


class Closed:
    """A page from a file, in a browser where every request but that for the file is refused and written down."""

    def __init__(self, chromium: Any, file: Path, text: str, **options: Any) -> None:
        file.write_text(text, encoding="utf-8")
        self.file = file
        self.context = chromium.new_context(viewport={"width": 1280, "height": 1800}, **options)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        self.context.set_offline(True)
        self.context.route(re.compile("^(?!(file|blob|data):)"), lambda route: route.abort())
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        self.page.goto(file.as_uri())
        at(self.page, 0)

    def end(self) -> None:
        """Nothing was asked for but the file and what it holds itself."""
        outside = [url for url in self.asked if url != self.file.as_uri() and not url.startswith(("blob:", "data:"))]
        self.context.close()
        assert outside == []
        assert self.errors == []
        assert self.dialogs == []


#: A page for each sort of run that can be exported: broken, kept, a deadlock, a design of today, nothing yet, by seed.
RUNS = {
    "broken": ("defrag-ignorant", {}, None),
    "kept": ("defrag-obedient", {}, None),
    "deadlock": ("E7", {}, None),
    "another design": ("design-dma-buf-dynamic", {}, None),
    "nothing yet": ("workbench", {}, ""),
    "by seed": ("F10", {"driver": "good"}, 7),
}


@pytest.mark.parametrize("kind", RUNS)
def test_every_kind_of_page_does_what_it_says_without_a_network(chromium: Any, tmp_path: Path, kind: str):
    """Opened from a file: stepped to its end by button, pictures and words there, no request at all."""
    name, knobs, order = RUNS[kind]
    scene = find(name)
    driven = (
        by_seed(order) if isinstance(order, int) else by_text(scene.story if order is None else order, strict=False)
    )
    run = Run(scene, knobs).driven(driven)
    closed = Closed(chromium, tmp_path / "run.html", page_of(run))
    page = closed.page
    if len(run):
        page.click(".rest")
        at(page, len(run))
    assert words(page) == alt_of([*moments(run)][-1])
    board = board_of(run)
    promises = [rule.name for rule in board.rules if rule.kind != "price" and board.first(rule.name)]
    assert set(broken(page)) <= set(promises)
    assert bool(broken(page)) == bool(promises)
    assert page.locator("#token").inner_text() == token_of(run)
    assert page.locator("pre").inner_text().strip() == story(run).strip()
    closed.end()


def test_the_page_follows_the_reader_s_theme_and_hands_out_its_token(chromium: Any, run: Run, tmp_path: Path):
    """Dark paper where the system is dark; the token goes to the clipboard, or is selected and the page says so."""
    papers, ways = {}, set[str]()
    for scheme in ("light", "dark"):
        closed = Closed(chromium, tmp_path / f"{scheme}.html", page_of(run), color_scheme=scheme)
        papers[scheme] = closed.page.evaluate("getComputedStyle(document.body).backgroundColor")
        closed.page.click("#copy")
        closed.page.locator("#copied", has_text=re.compile("copied|selected")).wait_for()
        ways.add(closed.page.locator("#copied").inner_text())
        if "copied" not in ways:
            assert ways == {"selected: press Ctrl+C"}
            assert closed.page.evaluate("getSelection().toString()").strip() == token_of(run)
        closed.end()
    print("token:", *ways)
    assert papers == {"light": "rgb(255, 255, 255)", "dark": "rgb(14, 17, 21)"}


def test_names_that_are_markup_stay_words(chromium: Any, tmp_path: Path):
    """A scene, an actor, a step and a role that would run a script if any of them became markup: in words and pictures."""
    nasty = '</script></pre><img src=x onerror="window.ran=1;alert(1)"><svg onload="window.ran=2">{{x}}${x}'

    def build(world: Any, settings: Any) -> None:
        base.build(world, settings)

        async def go() -> None:
            await one_step(nasty)
            raise RuntimeError(nasty)

        world.actor("eve", go)

    base = find("workbench")
    cast = {"importer": type(nasty, (PinsUntilUnmap,), {"__doc__": nasty})}
    scene = dataclasses.replace(base, title=nasty, about=nasty, build=build, cast=cast)
    run = Run(scene).driven(by_text("app !map nic"), 60).then("eve")
    closed = Closed(chromium, tmp_path / "nasty.html", page_of(run))
    page = closed.page
    for number in range(len(run) + 1):
        page.evaluate("n => { location.hash = '#' + n }", number)
        at(page, number)
    for key in ("t", "d", "?"):  # text, source, keys: whatever can be opened
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") is None
    assert page.locator("img, main svg svg").count() == 0
    assert page.locator("h1").inner_text() == f"{nasty}, with {nasty} as importer"
    assert nasty in words(page)
    closed.end()


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
    page.wait_for_selector(f".stage[data-step='{step}']")


def test_the_keyboard_steps_and_every_word_is_the_model_s(opened: Any, run: Run):
    """At the start, around both breaks, and at the end: what the stage says is what the model says, hex exact."""
    told = [alt_of(moment) for moment in moments(run)]
    opened.locator(".forward").focus()
    for step in range(len(run) + 1):
        if step:
            opened.keyboard.press("ArrowRight")
        if step in (0, 1, 23, 24, 31, 32, len(run)):
            at(opened, step)
            assert words(opened) == told[step]
    assert "0xe8005000" in opened.locator(".cell[data-k='nic:entry2']").get_attribute("aria-label")
    opened.keyboard.press("Home")
    at(opened, 0)
    opened.keyboard.press("End")
    at(opened, len(run))
    opened.keyboard.press("ArrowLeft")
    at(opened, len(run) - 1)
    assert words(opened) == told[-2]


def test_buttons_slider_and_link_lead_to_the_same_steps(opened: Any, run: Run):
    """What cannot be pressed is disabled; a link names a step, and the address follows the reader."""
    told = [alt_of(moment) for moment in moments(run)]
    assert opened.locator(".bar .back").is_disabled()
    opened.click(".rest")
    at(opened, len(run))
    assert opened.locator(".forward").is_disabled()
    opened.click(".bar .back")
    at(opened, len(run) - 1)
    opened.locator("input[type=range]").fill("24")
    at(opened, 24)
    assert words(opened) == told[24]
    assert opened.url.endswith("#24")
    opened.evaluate("location.hash = '#7'")
    at(opened, 7)
    assert words(opened) == told[7]


def test_without_scripts_the_text_is_there(run: Run, tmp_path: Path, chromium: Any):
    """Nothing but HTML is needed to read the run and its token."""
    file = tmp_path / "run.html"
    file.write_text(page_of(run), encoding="utf-8")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("pre").inner_text().strip() == story(run).strip()
    context.close()
