"""The slides, opened from a file: turned by keys and buttons, each with its run open at its step."""

from __future__ import annotations

from pathlib import Path

from p2plab.course.slides import slides_page
from tests.browser.axe import violations
from tests.browser.conftest import Watched

TEXT = """# Mine
## One
Words.
## Two
run: F2@27
ask: Where?
## Three
run: E4@12
"""


def test_slides_are_turned_by_keys_and_open_their_runs(tmp_path: Path, watched: Watched):
    """A run is loaded when its slide is shown; the address says which slide it is, and opens it again."""
    (tmp_path / "stories.html").write_text("<!doctype html><html lang=en><title>runs</title><main><h1>runs</h1></main>")
    (tmp_path / "slides.html").write_text(slides_page(TEXT))
    page = watched.page
    page.goto(f"file://{tmp_path}/slides.html")
    shown = page.locator("h1:visible")
    assert shown.inner_text() == "One"
    assert page.locator("iframe[src]").count() == 0
    page.keyboard.press("PageDown")
    assert shown.inner_text() == "Two"
    assert page.locator("iframe:visible").get_attribute("src") == "stories.html#f2-no-drain@27"
    assert page.url.endswith("#2")
    assert violations(page) == []
    page.locator("#on").click()
    assert (shown.inner_text(), page.locator("#on").is_disabled()) == ("Three", True)
    page.keyboard.press("ArrowLeft")
    page.reload()
    assert shown.inner_text() == "Two"
    assert watched.errors == []
