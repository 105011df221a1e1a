"""An exercise in JupyterLab: what fails is a picture, and help comes layer by layer."""

from __future__ import annotations

import json
import time

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import button, open_notebook, run_all, wait_for_pictures, write_notebook

CELL = """from p2plab.course import exercise
from p2plab.course.kit import *
from p2plab.course.solutions.right import Maps

class MyNic(Maps):
    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            self.engine.clear(range.start, range.end)
            await self.p2p_unmap(range.start, range.end)
        return 0

exercise("obey").check(MyNic)"""


def test_a_wrong_answer_is_a_picture_first_and_help_comes_when_asked_for(lab_server: Server, watched: Watched):
    """The stage at the break; then what led to it, then the line, and the recipe last."""
    page = watched.page
    write_notebook(lab_server, "exercise.ipynb", CELL)
    open_notebook(page, lab_server, "exercise.ipynb")
    run_all(page)
    wait_for_pictures(page)
    answer = page.locator(".p2plab-lab [role=status]").last
    assert "clear() did not run" not in answer.inner_text()
    for name, words in (
        ("hint", "clear() did not run"),
        ("where", "self.engine.clear(range.start, range.end)"),
        ("recipe", "write `await` before each call"),
    ):
        button(page, name).click()
        page.wait_for_function("words => document.body.innerText.replace(/\\s+/g, ' ').includes(words)", arg=words)
    assert watched.errors == []


#: The exercises that notebook 12 begins, with what each checks.
BEGUN = {
    "obey-in-flight": "MyNic",
    "write-the-exporter": "MyGpu",
    "find-the-bug": "MyVfio",
    "fewest-lines": "MyNic",
    "own-rule": "MyRule",
    "own-scene": "my_scene",
}


def test_the_notebook_of_the_exercises_does_what_it_says(lab_server: Server, watched: Watched):
    """The list has each with its minutes, the first check is a picture with help below it, and begin() makes cells."""
    page = watched.page
    open_notebook(page, lab_server, "12-your-own-drivers.ipynb", copy_as="exercises.ipynb")
    run_all(page)
    wait_for_pictures(page)
    said = page.locator(".jp-OutputArea-output", has_text="obey (10)").first.text_content()
    assert "own-scene (45)" in said
    page.locator(".stage .chips .broken b", has_text="obedience").first.wait_for(state="attached")
    button(page, "hint").click()
    words = "neither clear nor drain nor p2p_unmap"
    page.wait_for_function("words => document.body.innerText.replace(/\\s+/g, ' ').includes(words)", arg=words)
    assert cells_until(page, lab_server, "exercises.ipynb") == BEGUN
    assert watched.errors == []


def cells_until(page, server: Server, name: str) -> dict[str, str]:
    """The checks in the cells that were made, once all of them are in the saved file."""
    deadline, found = time.monotonic() + 60, dict[str, str]()
    while time.monotonic() < deadline and found != BEGUN:
        page.keyboard.press("Control+s")
        page.wait_for_timeout(500)
        cells = json.loads((server.folder / name).read_text())["cells"]
        lines = ["".join(cell["source"]).splitlines()[-1] for cell in cells if cell["cell_type"] == "code"]
        checks = [line.partition('").check(') for line in lines if line.startswith('exercise("') and ".check(" in line]
        found = {asked.removeprefix('exercise("'): answer.rstrip(")") for asked, _, answer in checks}
    return found
