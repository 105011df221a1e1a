"""Driving a notebook in JupyterLab the way a person does."""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.request
from typing import Any

from tests.browser.conftest import Server


def open_notebook(page: Any, server: Server, name: str, *, copy_as: str = "", simple: bool = True) -> None:
    """Open a notebook under a name of its own: a fresh kernel, since JupyterLab keeps one per file."""
    fresh = copy_as or name
    if copy_as:
        shutil.copy(server.folder / name, server.folder / copy_as)
    mode = "doc" if simple else "lab"
    page.goto(f"{server.url}/{mode}/tree/{fresh}?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    wait_for_kernel(server, fresh)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']")


def wait_for_kernel(server: Server, name: str) -> None:
    """Until the notebook has its kernel; running a cell earlier makes JupyterLab ask for one."""
    deadline = time.time() + 60
    while time.time() < deadline:
        with urllib.request.urlopen(f"{server.url}/api/sessions", timeout=5) as answer:
            sessions = json.load(answer)
        if any(s["path"] == name and s["kernel"]["execution_state"] == "idle" for s in sessions):
            return
        time.sleep(0.1)
    raise AssertionError(f"no kernel for {name} within 60 s")


def run_all(page: Any) -> None:
    """Run every cell from the menu."""
    page.get_by_role("menuitem", name="Run", exact=True).first.click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


#: A stage that was drawn, or an error of a cell.
STAGE = ".stage[data-seq]"


def wait_for_pictures(page: Any, *panes: str) -> None:
    """Until the stage is drawn, or all panes that are named. A cell that raises fails at once, with its traceback."""
    trouble = ", ".join(f"[data-mime-type='application/vnd.jupyter.{kind}']" for kind in ("error", "stderr"))
    for drawn in [f"[data-pane='{pane}'][data-seq]" for pane in panes] or [STAGE]:
        page.wait_for_selector(f"{drawn}, {trouble}")
        if page.locator(trouble).count():
            raise AssertionError(page.locator(trouble).first.inner_text())


def wait_for_stages(page: Any, number: int) -> None:
    """Until so many stages are drawn."""
    page.wait_for_function(f"number => document.querySelectorAll('{STAGE}').length === number", arg=number)


def seq(page: Any, pane: str = "") -> int:
    """How often the first stage, or a pane, was drawn."""
    return int(page.locator(f"[data-pane='{pane}']" if pane else STAGE).first.get_attribute("data-seq"))


def when_drawn_again(page: Any, before: int) -> None:
    """Until the first stage was drawn more often than ``before``, and the kernel has answered all that it was asked."""
    drawn = f"(stage => Number(stage.dataset.seq) > before && !('waits' in stage.dataset))(document.querySelector('{STAGE}'))"
    page.wait_for_function(f"before => {drawn}", arg=before)


def button(page: Any, name: str) -> Any:
    """The first visible button of the lab with these words."""
    words = re.compile(rf"^\s*{re.escape(name)}( ▶)?\s*$")
    return page.locator(".p2plab-lab button:visible", has_text=words).first


def press(page: Any, name: str) -> None:
    """Click a button of the lab and wait until the stage shows the result."""
    before = seq(page)
    button(page, name).click()
    when_drawn_again(page, before)
    page.wait_for_timeout(200)  # what is in the drawer follows the stage, in messages of its own


def choose(page: Any, value: str) -> None:
    """Choose the importer (or driver, or policy) in the bar, which is a row of buttons where there is room for one."""
    before = seq(page)
    if button(page, value).count():
        button(page, value).click()
    else:
        page.locator(".stage .pick").first.select_option(value)
    when_drawn_again(page, before)


def broken(page: Any, number: int = 0) -> list[str]:
    """The promises that a stage says are broken, in the order of its chips."""
    return list(page.locator(".stage .chips").nth(number).locator(".broken b").all_inner_texts())


def words(page: Any, number: int = 0) -> str:
    """All that a stage shows, in a few sentences: what a screen reader gets."""
    return str(page.locator(".stage svg.chain").nth(number).get_attribute("aria-label"))


def cell(page: Any, key: str) -> str:
    """What a cell of the first stage says when it is asked."""
    return str(page.locator(f".stage .cell[data-k='{key}']").first.get_attribute("aria-label"))


def open_drawer(page: Any, part: str) -> None:
    """Open the drawer of the first lab at one of its parts."""
    if not page.locator(".p2plab-lab.open").count():
        page.locator(".stage .more").first.click()
    page.locator(".p2plab-drawer .lm-TabBar-tab", has_text=part).first.click()


def wait_until_saved(page: Any, server: Server, name: str, views: int) -> None:
    """Save, and wait until the file holds that many widget views: a reload before would find none."""
    file = server.folder / name
    for _ in range(60):
        page.keyboard.press("Control+s")
        page.wait_for_timeout(500)
        if file.read_text(encoding="utf-8").count("jupyter.widget-view+json") >= views:
            return
    raise AssertionError(f"{name} was not saved within 30 s")


def set_theme(page: Any, name: str) -> None:
    """Choose one of JupyterLab's themes: ``JupyterLab Light`` or ``JupyterLab Dark``."""
    page.get_by_role("menuitem", name="Settings", exact=True).first.click()
    page.get_by_text("Theme", exact=True).hover()
    page.get_by_text(name, exact=True).first.click()
    dark = "true" if name.endswith("Light") else "false"
    page.wait_for_function("light => document.body.dataset.jpThemeLight === light", arg=dark)


def said(page: Any, view: str) -> str:
    """The text of one of the lab's parts."""
    return str(page.inner_text(f"[data-view='{view}']"))


def write_notebook(server: Server, name: str, *cells: str) -> None:
    """A notebook of code cells, for what the project's own notebooks do not do."""
    made = [
        {"cell_type": "code", "execution_count": None, "id": f"c{n}", "metadata": {}, "outputs": [], "source": cell}
        for n, cell in enumerate(cells)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = {"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (server.folder / name).write_text(json.dumps(notebook), encoding="utf-8")


def colours(page: Any, pane: str) -> int:
    """How many different colours the canvases of a pane show; BokehJS draws inside shadow roots."""
    script = """pane => {
        const canvases = [];
        const walk = node => {
            if (node instanceof HTMLCanvasElement) canvases.push(node);
            if (node.shadowRoot) walk(node.shadowRoot);
            for (const child of node.children ?? []) walk(child);
        };
        walk(document.querySelector(`[data-pane='${pane}']`));
        const seen = new Set();
        for (const canvas of canvases) {
            if (!canvas.width || !canvas.height) continue;
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            for (let i = 0; i < data.length; i += 4) seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
        }
        return seen.size;
    }"""
    return int(page.evaluate(script, pane))
