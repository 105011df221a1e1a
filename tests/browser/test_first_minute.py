"""The first minute, measured: how much there is to read, press and scroll before the first promise breaks."""

from __future__ import annotations

import re
from typing import Any

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import broken, button, open_notebook, press, wait_for_pictures

#: What a newcomer may be asked to read before the first broken promise.
MOST_WORDS = 150
#: Terms of later notebooks.
LATER = re.compile(r"\b(ATS|PRI|IOTLB|PASID)\b")
#: How far a scroller was moved since the last look, by the person or by the page itself.
SCROLLED = """() => [...document.querySelectorAll("*"), document.scrollingElement]
    .filter(box => box.scrollTop > 0 && !box.closest(".p2plab-drawer")).reduce((sum, box) => sum + box.scrollTop, 0)"""


def lit(page: Any) -> str:
    """The words of the button that is blue."""
    return str(page.locator(".stage .bar button.best").inner_text()).removesuffix(" ▶")


def in_sight(page: Any, selector: str) -> bool:
    """Whether all of an element is inside its scroller and the window."""
    script = """selector => {
        const node = document.querySelector(selector), box = node.getBoundingClientRect();
        const outer = node.closest(".jp-WindowedPanel-outer")?.getBoundingClientRect();
        const [top, bottom] = [Math.max(0, outer?.top ?? 0), Math.min(innerHeight, outer?.bottom ?? innerHeight)];
        return box.height > 0 && box.top >= top - 1 && box.bottom <= bottom + 1;
    }"""
    return bool(page.evaluate(script, selector))


def three_presses(page: Any) -> str:
    """Press what is blue until a promise is broken, without scrolling; all that the lab said meanwhile."""
    read, presses, began = [], 0, page.evaluate(SCROLLED)
    while not broken(page):
        assert in_sight(page, ".stage")
        read.append(page.inner_text(".stage .said"))
        press(page, lit(page))
        presses += 1
    read.append(page.inner_text(".stage .said"))
    assert presses == 3
    assert page.evaluate(SCROLLED) == began
    assert in_sight(page, ".stage")
    assert broken(page) == ["obedience"]
    assert "obedience is broken" in read[-1]
    return " ".join(read)


def test_the_first_notebook_in_jupyterlab(lab_server: Server, watched: Watched):
    """A picture first; Shift+Enter twice and three presses; under 150 words, and nobody scrolls at 1280 by 720."""
    page = watched.page
    page.set_viewport_size({"width": 1280, "height": 720})
    open_notebook(page, lab_server, "00-start-here.ipynb", copy_as="first-minute.ipynb", simple=False)
    picture = page.locator(".jp-MarkdownCell img").first
    picture.wait_for()
    page.wait_for_function("document.querySelector('.jp-MarkdownCell img').naturalHeight > 200")
    assert len(picture.get_attribute("alt").split()) > 20
    assert in_sight(page, ".jp-MarkdownCell")
    assert in_sight(page, ".jp-CodeCell")
    read = page.locator(".jp-MarkdownCell").first.inner_text()
    assert picture.evaluate("picture => picture.getBoundingClientRect().top") < 250
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    wait_for_pictures(page)
    page.wait_for_timeout(800)
    assert "Watch nic's own table" in page.inner_text(".stage .said")
    read += three_presses(page)
    assert len(read.split()) < MOST_WORDS, len(read.split())
    assert not LATER.search(read)
    assert watched.errors == []


def test_the_app(app_server: Server, watched: Watched):
    """It opens with the importer that breaks its promise, and is one screen."""
    page = watched.page
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(app_server.url)
    wait_for_pictures(page)
    page.wait_for_timeout(500)
    assert button(page, "map").get_attribute("class").endswith("best")
    read = three_presses(page)
    assert len(read.split()) < MOST_WORDS
    assert not LATER.search(page.inner_text("body"))
    assert watched.ours == []
