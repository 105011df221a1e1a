"""An exercise in JupyterLab: what fails is a picture, and help comes layer by layer."""

from __future__ import annotations

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
        ("recipe", "engine.clear, then p2p_unmap"),
    ):
        button(page, name).click()
        page.wait_for_function("words => document.body.innerText.replace(/\\s+/g, ' ').includes(words)", arg=words)
    assert watched.errors == []
