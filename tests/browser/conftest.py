"""A real JupyterLab and a real Chromium, with every request, console error and page error written down."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REQUIRED = os.environ.get("P2PLAB_BROWSER") == "required"
#: Arguments that keep Chromium from calling home, so that "no request leaves the machine" is about the page.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every test of this folder needs the browser; without one they are left out loudly, or fail where it is required."""
    here = [item for item in items if Path(str(item.fspath)).parent == Path(__file__).parent]
    # Last of all: the browser's driver keeps an event loop in this thread, which tests of the lab's own loop would meet.
    items[:] = [item for item in items if item not in here] + here
    for item in here:
        item.add_marker("browser")
        if CHROMIUM is None and not REQUIRED:
            item.add_marker(pytest.mark.skip(reason="NO CHROMIUM HERE: install it (Debian: apt install chromium)"))


#: What other front ends log for every notebook, ours or not: Notebook 7 twice, Voila about its older JupyterLab.
THEIRS = (
    "reading 'schema'",
    "filebrowser:open-path",
    "Unsatisfied version",
    "#RUNTIME-012",
    "The getter for the shared module is not a function",
    "/static/notebook/",  # Notebook 7 asks for its own fonts where the server has none
)

#: A picture in a cell: Chromium tries its address for a moment, until JupyterLab has put the picture in its place.
ATTACHED = "attachment:"


@dataclass
class Watched:
    """A page and what it did."""

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def abroad(self) -> list[str]:
        """Requests that would leave the machine."""
        home = ("http://127.0.0.1", "ws://127.0.0.1", "file:", "blob:", "data:", "about:", ATTACHED)
        return [url for url in self.requests if not url.startswith(home)]

    @property
    def ours(self) -> list[str]:
        """Errors that are not known to come with the front end."""
        return [error for error in self.errors if not any(known in error for known in THEIRS)]


@dataclass
class Server:
    """A running JupyterLab: its address, and the folder it serves."""

    url: str
    folder: Path


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """JupyterLab on a folder with copies of the notebooks."""
    folder = tmp_path_factory.mktemp("notebooks")
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, folder)
    port = _free_port()
    options = ["--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1", "--IdentityProvider.token="]
    options.append("--LabApp.expose_app_in_browser=True")  # tests change the theme through it
    url = f"http://127.0.0.1:{port}"
    with _serving([sys.executable, "-m", "jupyterlab", *options], folder, f"{url}/api", tmp_path_factory):
        yield Server(url, folder)


@pytest.fixture(scope="session")
def app_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app, as `make app` serves it."""
    port = _free_port()
    options = f"--no-browser --port={port} --Voila.ip=127.0.0.1"
    command = ["make", f"BIN={Path(sys.executable).parent}", "READY=", "app", f"APP_OPTIONS={options}"]
    url = f"http://127.0.0.1:{port}"
    with _serving(command, ROOT, f"{url}/voila/static/voila.js", tmp_path_factory):
        yield Server(url, ROOT / "notebooks")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def _serving(command: list[str], folder: Path, url: str, made: pytest.TempPathFactory) -> Iterator[None]:
    """A server with settings of its own, from its first answer at ``url`` on; it ends with all that it started."""
    settings = made.mktemp("jupyter")
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(settings), "JUPYTER_RUNTIME_DIR": str(settings / "run")}
    environment["P2PLAB_JOURNAL"] = str(settings / "journal.jsonl")
    environment["P2PLAB_COURSE"] = str(settings / "course")  # nobody's own answers are written over
    log = settings / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, env=environment, start_new_session=True
        )
        try:
            deadline = time.time() + 60
            while not _answers(url):
                if time.time() > deadline or server.poll() is not None:
                    raise RuntimeError(f"no server: {log.read_text()[-2000:]}")
                time.sleep(0.2)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(20)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).read()
    except urllib.error.HTTPError:
        return True  # it is there, and does not know this address
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Chromium, as Debian has it."""
    if CHROMIUM is None:
        pytest.fail("a browser is required here, and there is no chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Remember how a test went, so that its page can be photographed before it is closed."""
    report = yield
    setattr(item, f"outcome_{report.when}", report)
    return report


@pytest.fixture
def watched(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A fresh page of 1280 by 1800, watched; where the test fails, its picture goes to test-results/."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1800})
    page = context.new_page()
    page.set_default_timeout(60_000)
    seen = Watched(page)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on(
        "console",
        lambda said: (
            seen.errors.append(f"{said.text} {said.location.get('url', '')}")
            if said.type == "error" and not said.location.get("url", "").startswith(ATTACHED)
            else None
        ),
    )
    yield seen
    if getattr(request.node, "outcome_call", None) is not None and request.node.outcome_call.failed:
        page.screenshot(path=ROOT / "test-results" / f"{request.node.name}.png")
    context.close()
