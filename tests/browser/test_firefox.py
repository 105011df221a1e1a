"""The saved page in Firefox, as Debian has it: it lays out, steps, answers the pointer, and asks nobody for anything."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

import p2plab
from p2plab.views.page import page as page_of
from p2plab.views.page import stage_data
from tests.browser.conftest import ROOT
from tests.browser.stage_alone import stage_alone

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
LABELS = (Path(__file__).parent / "labels.js").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(FIREFOX is None, reason="NO FIREFOX HERE: install it (Debian: apt install firefox-esr)")


class Firefox:
    """A headless Firefox, spoken to in WebDriver BiDi, the protocol that it has built in."""

    def __init__(self, profile: Path) -> None:
        command = [str(FIREFOX), "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port=0"]
        self.log = profile / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stderr=log, env={"HOME": str(profile), "MOZ_HEADLESS": "1"})
        self.number, self.events = 0, list[dict[str, Any]]()
        deadline = time.time() + 90
        while not (found := re.search(r"ws://\S+", self.log.read_text())):
            if time.time() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"no Firefox: {self.log.read_text()[-500:]}")
            time.sleep(0.1)
        self.socket = websocket.create_connection(f"{found[0]}/session", timeout=120, suppress_origin=True)
        self.ask("session.new", capabilities={})
        self.ask("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        self.tab = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def ask(self, method: str, **params: Any) -> Any:
        """One command and its answer; events that come before it are kept."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            said = json.loads(self.socket.recv())
            if said.get("id") == self.number:
                assert said["type"] == "success", said
                return said["result"]
            self.events.append(said)

    def open(self, url: str, width: int = 1280, height: int = 720) -> None:
        """Go to a page in a window of that size."""
        self.ask("browsingContext.setViewport", context=self.tab, viewport={"width": width, "height": height})
        self.ask("browsingContext.navigate", context=self.tab, url=url, wait="complete")

    def run(self, script: str) -> Any:
        """What an expression gives, promises awaited, by JSON."""
        said = self.ask(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({script})))()",
            target={"context": self.tab},
            awaitPromise=True,
        )
        assert said["type"] == "success", said
        return json.loads(said["result"].get("value", "null"))

    def until(self, script: str) -> None:
        """Wait until an expression is true."""
        deadline = time.time() + 60
        while not self.run(script):
            assert time.time() < deadline, script
            time.sleep(0.1)

    def press(self, key: str) -> None:
        """A key of the keyboard."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.ask("input.performActions", context=self.tab, actions=[{"type": "key", "id": "keys", "actions": actions}])

    def point(self, selector: str) -> None:
        """The pointer over the middle of an element."""
        script = f"(b => [b.x + b.width / 2, b.y + b.height / 2])(document.querySelector({selector!r}).getBoundingClientRect())"
        x, y = self.run(script)
        actions = [{"type": "pointerMove", "x": round(x), "y": round(y)}]
        self.ask(
            "input.performActions", context=self.tab, actions=[{"type": "pointer", "id": "mouse", "actions": actions}]
        )

    def picture(self, file: Path) -> None:
        """What is seen."""
        file.write_bytes(base64.b64decode(self.ask("browsingContext.captureScreenshot", context=self.tab)["data"]))

    def end(self) -> None:
        """Close it."""
        self.socket.close()
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    browser = Firefox(tmp_path_factory.mktemp("firefox"))
    yield browser
    browser.end()


def test_the_saved_page_steps_and_answers_in_firefox(firefox: Firefox, tmp_path: Path, request: pytest.FixtureRequest):
    """Opened at a step by its address; by keys to the next; what moved is animated; pointer and focus are answered."""
    file = tmp_path / "run.html"
    file.write_text(page_of(p2plab.run("defrag-ignorant")), encoding="utf-8")
    firefox.open(f"{file.as_uri()}#26")
    firefox.until("document.querySelector('.stage')?.dataset.step === '26'")
    firefox.run("document.querySelector('.forward').focus()")
    firefox.press("\ue014")  # right
    firefox.until("document.querySelector('.stage').dataset.step === '27'")
    assert "The GPU moves A" in firefox.run("document.querySelector('.said').innerText")
    firefox.press("\ue010")  # End
    firefox.until("document.querySelector('.stage').dataset.step === '36'")
    firefox.point(".cell[data-k='nic:entry2']")
    firefox.until("!document.querySelector('.told-of').hidden")
    assert "STALE since step 27" in firefox.run("document.querySelector('.told-of').innerText")
    assert firefox.run("document.querySelector('.thumb').innerText") == "36"
    assert firefox.run("document.documentElement.scrollWidth <= innerWidth")
    firefox.run("document.querySelector('.chain .cell').focus()")
    firefox.press("d")
    firefox.until("!document.querySelector('.side').hidden")
    firefox.picture(ROOT / "test-results" / "firefox.png") if (ROOT / "test-results").exists() else None
    asked = [
        event["params"]["request"]["url"] for event in firefox.events if event["method"] == "network.beforeRequestSent"
    ]
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert [event for event in firefox.events if event["method"] == "log.entryAdded"] == []


@pytest.mark.parametrize(("width", "height"), [(850, 600), (1280, 720), (390, 844)])
def test_labels_keep_apart_in_firefox(firefox: Firefox, tmp_path: Path, width: int, height: int):
    """Other letters, other boxes: some scenes, with the longest rows among them, by the same measure as in Chromium."""
    firefox.open(stage_alone(tmp_path).as_uri(), width, height)
    firefox.until("!!window.savedPage")
    wrong = {}
    for name, knobs in (("defrag-obedient", {}), ("policies", {"policy": "ram"}), ("E2", {}), ("F1", {"iommu": "on"})):
        wrong[name] = firefox.run(f"({LABELS})({json.dumps(stage_data(p2plab.run(name, **knobs)))}, 3)")
    assert {name: said[:3] for name, said in wrong.items() if said} == {}
