"""The page of all stories: an address's fragment opens a story or a run, with no server, no kernel and no request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import p2plab
from p2plab.core.run import Run
from p2plab.views.links import fragment, stories_page, told
from p2plab.views.stage import moments
from p2plab.views.stage.text import alt_of
from p2plab.views.text import story
from tests.browser.conftest import Watched
from tests.browser.notebook import words


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "stories.html"
    file.write_text(stories_page(), encoding="utf-8")
    return file


@pytest.fixture
def page(watched: Watched) -> Iterator[Any]:
    """A browser without a network, in which nothing but the file is asked for."""
    watched.page.context.set_offline(True)
    yield watched.page
    assert watched.abroad == []
    assert watched.errors == []


def opens(page: Any, file: Path, end: str, step: int) -> None:
    page.goto("about:blank")
    page.goto(file.as_uri() + end)
    page.wait_for_selector(f".stage[data-step='{step}']")


def said_of(run: Run, step: int) -> str:
    return alt_of([*moments(run)][step])


@pytest.mark.parametrize("width", [1280, 390])
def test_a_fragment_opens_its_story_at_its_step(page: Any, stories: Path, width: int):
    """By name and by code, on a desk and on a phone; buttons step on, and the address follows."""
    page.set_viewport_size({"width": width, "height": 800})
    for end, name, step in (
        ("#E4@12", "e4-refuses-later", 12),
        ("#design-dma-buf-dynamic@20", "design-dma-buf-dynamic", 20),
    ):
        run = told(name)
        opens(page, stories, end, step)
        assert words(page) == said_of(run, step)
        page.click(".forward")
        page.wait_for_selector(f".stage[data-step='{step + 1}']")
        assert words(page) == said_of(run, step + 1)
        assert page.url.endswith(f"#{name}@{step + 1}")
        assert page.locator("#text").text_content() == story(run)
        assert page.locator("#token").inner_text() == p2plab.run(name).token
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_another_run_travels_in_its_link(page: Any, stories: Path):
    """Its moments are the model's, and its token is the run's."""
    run = p2plab.run("defrag-obedient", pages=2, seed=5)
    opens(page, stories, fragment(run, 9), 9)
    assert words(page) == said_of(run, 9)
    assert page.locator("#token").inner_text() == run.token
    assert "p2plab replay TOKEN" in page.locator("#text").inner_text()
    page.click(".forward")
    page.wait_for_selector(".stage[data-step='10']")
    assert page.url.endswith(fragment(run, 10))


def test_a_story_is_chosen_in_the_page(page: Any, stories: Path):
    """From the list in the bar, and by typing a code below."""
    opens(page, stories, "", 0)
    page.locator("select.scene").select_option("f1-ignores-clear")
    page.locator("#title", has_text=told("f1-ignores-clear").scenario.title).wait_for()
    page.locator("#wanted").fill("E7")
    page.locator("#open button").click()
    page.locator("#title", has_text=told("e7-holds-its-lock").scenario.title).wait_for()
    assert page.url.endswith("#E7")


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        ("#nonsense@3", "This page holds no story nonsense; choose one in its list."),
        ("#z=H4sIAAAA@3", "The link is damaged. Was it copied whole?"),
        ("#p2p1.workbench~1.-.abc.AAAAAAAA.aaaaaa", "This page has no Python to replay a token with"),
    ],
)
def test_what_cannot_be_opened_is_said_beside_a_story_that_can(page: Any, stories: Path, end: str, sentence: str):
    """The page is never empty."""
    opens(page, stories, end, 0)
    assert page.locator("#said").inner_text().startswith(sentence)
    assert page.locator("#title").inner_text() == told("defrag-ignorant").scenario.title


def test_the_token_of_a_shipped_story_needs_no_python(page: Any, stories: Path):
    """It is one of the page's own."""
    token = p2plab.run("e4-refuses-later").token
    opens(page, stories, f"#{token}@12", 12)
    assert words(page) == said_of(told("e4-refuses-later"), 12)


def test_a_link_can_point_to_nothing_but_a_mail(page: Any, stories: Path):
    """What came in an address is words: a rule's source that would run a script, or lead elsewhere, is no link."""
    run = p2plab.run("defrag-ignorant", pages=2)
    from p2plab.views import links

    data = links._difference(run)
    data["scene"]["rules"] = {
        name: [
            card[0],
            [["<img src=x onerror=alert(1)>", "javascript:window.ran=1"], ["x", "https://elsewhere.example/"]],
            *card[2:],
        ]
        for name, card in links._base("defrag-ignorant")["scene"]["rules"].items()
    }
    data["scene"]["title"] = "<img src=x onerror='window.ran=1'>"
    opens(page, stories, f"#z={links._packed(data)}@{len(run)}", len(run))
    page.locator(".chips .broken button, button.broken").first.click(timeout=5_000)
    page.locator(".panel", has_text="<img src=x").wait_for()
    assert page.evaluate("window.ran") is None
    assert page.locator("img").count() == 0
    assert page.locator(".stage a[href]:not([href^='https://lore.kernel.org/'])").count() == 0
    assert page.locator("#title").inner_text() == "<img src=x onerror='window.ran=1'>"


@pytest.mark.timed
def test_a_fragment_link_opens_its_story_in_under_a_second(page: Any, stories: Path):
    """From the address to the drawn step, the best of three."""
    times = []
    for _ in range(3):
        opens(page, stories, "#E4@12", 12)
        times.append(page.evaluate("performance.now()"))
    assert min(times) < 1000
