"""The site without a server: built, served as plain files on this machine, and opened in Chromium with the network closed.

Python runs in the page here, so opening takes seconds and nothing but files comes from the server. CI runs the first
notebook and the front page; ``make lite-test`` runs every notebook of the site.
"""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import p2plab
from tests.browser.conftest import REQUIRED, ROOT
from tests.browser.notebook import broken, colours, open_drawer, press, run_all, said
from tests.lite.parts import parts
from tests.test_links import links

TROUBLE = ", ".join(f"[data-mime-type='application/vnd.jupyter.{kind}']" for kind in ("error", "stderr"))
PROMPTS = "() => [...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')].map(e => e.textContent)"
every_notebook = pytest.mark.skipif(os.environ.get("P2PLAB_LITE") != "all", reason="`make lite-test` runs these")


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The site, just built, and served by Python's own file server."""
    if shutil.which("npm") is None:
        (pytest.fail if REQUIRED else pytest.skip)("NO NPM HERE: the site is not built (apt install npm)")
    done = subprocess.run(
        ["make", "READY=", "lite"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    handler = functools.partial(_Quiet, directory=parts().SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_words: Any) -> None:
        """Nobody wants to read it."""


class Visit:
    """A page of the site; what it asks of anybody else is refused and written down, service worker and kernel included."""

    def __init__(self, context: Any, site: str) -> None:
        self.context, self.site = context, site
        self.page = context.new_page()
        self.page.set_default_timeout(90_000)
        self.abroad: list[str] = []
        self.errors: list[str] = []
        context.route(re.compile(r"^(?!(blob|data):)"), self._judge)
        context.on("request", lambda request: self._note(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _judge(self, route: Any) -> None:
        if route.request.url.startswith(self.site + "/"):
            route.continue_()
        else:
            self._note(route.request.url)
            route.abort()

    def _note(self, url: str) -> None:
        if not url.startswith((self.site + "/", "blob:", "data:", "attachment:")) and url not in self.abroad:
            self.abroad.append(url)

    def open(self, notebook: str) -> None:
        """Open a notebook, and wait until it has a kernel: what is run earlier is not run at all."""
        self.page.goto(f"{self.site}/lab/index.html?path=notebooks/{notebook}.ipynb")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']")
        self.page.wait_for_function(
            "document.querySelector('#jp-main-statusbar')?.textContent.includes('(Pyodide) | Idle')"
        )
        self.page.wait_for_timeout(500)

    def until_run(self, seconds: float = 120) -> None:
        """Until every code cell has its number; a cell that raises fails at once, with its traceback."""
        deadline = time.time() + seconds
        while time.time() < deadline:
            if self.page.locator(TROUBLE).count():
                raise AssertionError(self.page.locator(TROUBLE).first.inner_text())
            prompts = self.page.evaluate(PROMPTS)
            if prompts and all(re.fullmatch(r"\[\d+\]:", prompt) for prompt in prompts):
                return
            self.page.wait_for_timeout(200)
        raise AssertionError(f"not run within {seconds} s: {self.page.evaluate(PROMPTS)}")


@pytest.fixture
def visit(chromium: Any, site: str) -> Iterator[Callable[[], Visit]]:
    """A browser of its own, 1280 by 1800."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1800})
    seen = Visit(context, site)
    yield seen
    context.close()


def test_the_first_notebook_runs_in_the_browser_alone(visit: Visit):
    """Doctor, lab and story; four presses break the rule; a reload offers the run; nothing was asked of anybody."""
    page = visit.page
    began = time.time()
    visit.open("00-start-here")
    run_all(page)
    page.wait_for_selector(f".stage[data-seq], {TROUBLE}")
    print(f"first picture after {time.time() - began:.1f} s")
    visit.until_run()
    page.locator("details summary", has_text="verdict: ready, the lab will draw here").wait_for()
    open_drawer(page, "pictures")
    page.locator(".jupyter-widget-Collapse-header", has_text="timeline").first.click()
    page.wait_for_selector("[data-pane='timeline'][data-seq]")
    assert colours(page, "timeline") > 3
    assert page.evaluate("Bokeh.documents[0].roots()[0].toolbar_location") is None  # None did not become "as usual"
    page.locator(".stage .more").first.click()
    waits = []
    for name in ("map", "start DMA", "step", "step", "step", "defrag"):
        pressed = time.time()
        press(page, name)
        waits.append(time.time() - pressed)
    print("click to answer:", " ".join(f"{1000 * wait:.0f}" for wait in waits), "ms")
    assert broken(page) == ["obedience"]
    token = said(page, "token")
    page.locator("button", has_text="check every order").first.click()
    page.wait_for_function("document.querySelector(\"[data-view='check']\")?.textContent.includes('BREAKS')")
    assert visit.abroad == []
    assert visit.errors == []

    visit.open("00-start-here")
    run_all(page)
    visit.until_run()
    open_drawer(page, "token")
    page.locator("button", has_text="resume the last run").first.click()
    page.wait_for_function("document.querySelector('.stage .chips .broken')")
    assert token.startswith("p2p1.workbench~")
    assert visit.abroad == []


def test_the_first_page_is_a_story_and_every_link_of_it_leads_somewhere(visit: Visit):
    """At 1280 and 390 pixels: stepped at once, every notebook linked, what is left out is said; nothing asked of anybody."""
    page = visit.page
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{visit.site}/#E4@12")
        page.wait_for_selector(".stage[data-step='12']")
        page.click(".forward")
        page.wait_for_selector(".stage[data-step='13']")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        links = page.eval_on_selector_all("main a[href]", "all => all.map(a => a.getAttribute('href'))")
        for name in parts().NOTEBOOKS:
            assert f"lab/index.html?path=notebooks/{name}.ipynb" in links
        for link in links:
            path, _, query = link.partition("?")
            assert (Path(parts().SITE) / path).is_file()
            assert (Path(parts().SITE) / "files" / query.rpartition("path=")[2]).is_file()
        text = page.inner_text("main.front")
        assert all(re.sub("<.*?>", "", why) in text for _, why in parts().NOT_HERE)
    assert visit.abroad == []
    assert visit.errors == []


def test_a_token_starts_python_behind_the_page(visit: Visit):
    """A run that no story is: the page says that Python starts, and then shows the run."""
    page = visit.page
    run = p2plab.run("defrag-obedient", pages=2, seed=5)
    page.goto(f"{visit.site}/#{run.token}@9")
    page.locator("#said", has_text="Python replays the token in this page").wait_for()
    page.wait_for_selector(".stage[data-step='9']")
    assert page.locator("#token").inner_text() == run.token
    assert page.locator("#text").text_content() == run.story
    assert page.locator("#python").inner_text() == "Python is ready behind this page: it opens any token."
    page.goto(f"{visit.site}/#{run.token[:-1]}")
    page.locator("#said", has_text="the token is damaged").wait_for()
    assert visit.abroad == []
    assert visit.errors == []


def test_links_of_the_notebooks_lead_to_what_is_on_the_site():
    """Notebooks, documents and headings: as files of the site."""
    home = Path(parts().SITE) / "files"
    for page in sorted((home / "notebooks").glob("*.ipynb")):
        inside = [target.partition("#")[0] for target in links(page) if ":" not in target]
        assert [target for target in inside if target and not (page.parent / target).is_file()] == []


@pytest.mark.parametrize("width", [1280, 390])
def test_a_click_in_a_notebook_opens_the_glossary(visit: Visit, width: int):
    """Rendered; and no file browser lies over the notebook, on a phone either."""
    page = visit.page
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{visit.site}/lab/index.html?path=notebooks/00-start-here.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_function("window.jupyterapp.shell.leftCollapsed")
    page.wait_for_timeout(2_000)
    assert not page.locator(".jp-DirListing-item").first.is_visible()
    assert page.locator(".jp-Notebook").first.bounding_box()["width"] > 0.75 * width
    page.locator(".jp-Notebook a", has_text="glossary").first.click()
    page.wait_for_selector(".jp-MarkdownViewer h1")
    assert page.locator(".jp-MarkdownViewer h1").first.inner_text().startswith("Glossary")
    assert visit.abroad == []


@every_notebook
@pytest.mark.parametrize("notebook", parts().NOTEBOOKS)
def test_every_notebook_of_the_site_runs(visit: Visit, notebook: str):
    """From its first cell to its last, without an error and without a request."""
    visit.open(notebook)
    run_all(visit.page)
    visit.until_run()
    assert visit.abroad == []
    assert visit.errors == []


@every_notebook
@pytest.mark.parametrize("notebook", parts().LEFT_OUT)
def test_what_is_left_out_has_a_reason(notebook: str):
    """It is in the project, and it is not in the site."""
    assert (ROOT / "notebooks" / f"{notebook}.ipynb").is_file()
    assert not (Path(parts().SITE) / "files" / "notebooks" / f"{notebook}.ipynb").exists()
