"""A kernel that is killed in the middle of a lesson, as its student sees it."""

from __future__ import annotations

import os
import signal

import psutil

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import (
    broken,
    open_drawer,
    open_notebook,
    press,
    run_all,
    said,
    wait_for_pictures,
    write_notebook,
)


def kernels() -> list[psutil.Process]:
    """The kernels that this test run started."""
    family = psutil.Process().children(recursive=True)
    return [each for each in family if "ipykernel_launcher" in " ".join(each.cmdline())]


def test_after_a_killed_kernel_one_click_brings_the_run_back(lab_server: Server, watched: Watched):
    """JupyterLab says that the kernel restarts; the cell runs again, *resume* is offered, the token is the same."""
    page = watched.page
    write_notebook(lab_server, "killed.ipynb", "from p2plab.lab import Lab\nLab('workbench', importer='ignorant')")
    before = {each.pid for each in kernels()}
    open_notebook(page, lab_server, "killed.ipynb")
    run_all(page)
    wait_for_pictures(page)
    for name in ("map", "start DMA", "step", "defrag"):
        press(page, name)
    token = said(page, "token")
    assert broken(page) == ["obedience"]
    (mine,) = [each for each in kernels() if each.pid not in before]
    os.kill(mine.pid, signal.SIGKILL)
    page.get_by_role("button", name="Ok", exact=True).click()  # the kernel appears to have died; it will restart
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']")
    run_all(page)
    page.wait_for_function(
        "document.querySelector('.stage[data-seq]') && !document.querySelector('.stage .chips .broken')"
    )
    wait_for_pictures(page)
    assert said(page, "token") != token
    open_drawer(page, "token")
    press(page, "resume the last run")
    assert said(page, "token") == token
    assert broken(page) == ["obedience"]
    assert page.locator("button:visible", has_text="resume the last run").count() == 0
