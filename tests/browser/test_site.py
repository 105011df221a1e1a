"""The site in Chromium, from its files, the network closed: every link followed, every run stepped, on a desk and a phone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import ROOT, Watched


@pytest.fixture(scope="module")
def site() -> Path:
    """As `make docs` builds it; what is there and made of the same is not built again."""
    words = [sys.executable, str(ROOT / "docs" / "site" / "build.py")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return ROOT / "build" / "site" / "html"


@pytest.fixture
def page(watched: Watched) -> Iterator[Any]:
    """Nothing but files is asked for."""
    watched.page.context.set_offline(True)
    yield watched.page
    assert watched.abroad == []
    assert watched.errors == []


LINKS = "() => [...document.querySelectorAll('a[href], iframe[src]')].map(e => e.href || e.src)"
#: Pages that people read; the sources of the modules have links to each other and nothing else.
READ = ("index.html", "docs", "notebooks", "api/index.html", "DESIGN.html", "CHANGES.html")


def followed(page: Any, site: Path, width: int) -> dict[str, set[str]]:
    """Every page that people read, opened; for each the files and places that it leads to."""
    found = {}
    for name in READ:
        files = sorted((site / name).glob("*.html")) if (site / name).is_dir() else [site / name]
        for file in files:
            page.goto(file.as_uri(), wait_until="domcontentloaded")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{file.name} at {width}"
            found[file.name] = set(page.evaluate(LINKS))
    return found


@pytest.mark.parametrize("width", [1280, 390])
def test_every_link_leads_to_a_page_and_a_place(page: Any, site: Path, width: int):
    """As the browser resolves them; no page scrolls sideways."""
    page.set_viewport_size({"width": width, "height": 900})
    names: dict[Path, str] = {}
    for source, targets in followed(page, site, width).items():
        for target in targets:
            if not target.startswith("file:"):
                assert re.match(r"https?://|mailto:", target), f"{source}: {target}"
                continue
            path, _, place = target.removeprefix("file://").partition("#")
            file = Path(path)
            assert file.is_file(), f"{source}: {target}"
            if place and file.parent.name != "runs" and file.name != "stories.html":
                text = names.setdefault(file, file.read_text(encoding="utf-8"))
                assert f'id="{place}"' in text or f'name="{place}"' in text, f"{source}: {target}"


@pytest.mark.parametrize("width", [1280, 390])
def test_every_run_of_the_course_can_be_stepped_where_it_stands(page: Any, site: Path, width: int):
    """In the page of its notebook: a step back, and a step forward again; at its beginning the other way round."""
    page.set_viewport_size({"width": width, "height": 900})
    stepped = 0
    for file in [site / "index.html", *sorted((site / "notebooks").glob("*.html"))]:
        page.goto(file.as_uri())
        for number in range(page.locator("iframe.run").count()):
            page.locator("iframe.run").nth(number).scroll_into_view_if_needed()
            frame = page.frame_locator("iframe.run").nth(number)
            frame.locator(".stage[data-step]").wait_for()
            step = int(frame.locator(".stage").get_attribute("data-step"))
            there, back = (".bar .back", ".forward") if step else (".forward", ".bar .back")
            frame.locator(there).click()
            frame.locator(f".stage[data-step='{step - 1 if step else 1}']").wait_for()
            frame.locator(back).click()
            frame.locator(f".stage[data-step='{step}']").wait_for()
            stepped += 1
    assert stepped >= 10
