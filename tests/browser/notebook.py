"""Driving a notebook in JupyterLab the way a person does."""

from __future__ import annotations

import re
import shutil
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
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']")


def run_all(page: Any) -> None:
    """Run every cell from the menu."""
    page.get_by_role("menuitem", name="Run", exact=True).first.click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def wait_for_pictures(page: Any) -> None:
    """Until all panes have drawn."""
    for pane in ("address-space", "bar-map", "timeline"):
        page.wait_for_selector(f"[data-pane='{pane}'][data-seq]")


def seq(page: Any, pane: str) -> int:
    """How often a pane was drawn."""
    return int(page.get_attribute(f"[data-pane='{pane}']", "data-seq"))


def press(page: Any, name: str) -> None:
    """Click a button of the lab and wait until the timeline shows the result."""
    before = seq(page, "timeline")
    page.locator(".p2plab-lab button", has_text=re.compile(rf"^\s*{re.escape(name)}\s*$")).first.click()
    page.wait_for_function(
        "before => Number(document.querySelector(\"[data-pane='timeline']\").dataset.seq) > before", arg=before
    )


def said(page: Any, view: str) -> str:
    """The text of one of the lab's parts."""
    return str(page.inner_text(f"[data-view='{view}']"))
