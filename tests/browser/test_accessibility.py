"""What axe-core finds in what we draw: nothing serious, in either theme; and the walk that needs no mouse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from p2plab import find
from p2plab.core.run import Run
from p2plab.core.token import token_of
from p2plab.lab.session import Session
from p2plab.views.page import page as page_of
from tests.browser.axe import violations
from tests.browser.conftest import Server, Watched
from tests.browser.notebook import (
    broken,
    open_drawer,
    open_notebook,
    run_all,
    seq,
    wait_for_kernel,
    wait_for_pictures,
    wait_for_stages,
    when_drawn_again,
    write_notebook,
)

LABS = (
    "Lab('defrag-ignorant')",
    "MachineLab('q35_switch2')",
    "MemoryLab('munmap')",
    "CompareLab('defrag-obedient', 'defrag-ignorant')",
    "DesignsLab()",
)


def choose_theme(page: Any, name: str) -> None:
    """As Settings, Theme does."""
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
    page.wait_for_selector(f"body[data-jp-theme-name='{name}']", state="attached")


def test_explorers_in_jupyterlab_have_no_serious_violation(lab_server: Server, watched: Watched):
    """All of them at once, with everything that folds unfolded, in light and in dark."""
    page = watched.page
    page.set_viewport_size({"width": 1280, "height": 12000})  # JupyterLab draws no cell that is far out of sight
    cells = [f"from p2plab.lab import CompareLab, DesignsLab, Lab, MachineLab, MemoryLab\n{first}" for first in LABS]
    write_notebook(lab_server, "axe.ipynb", *cells)
    open_notebook(page, lab_server, "axe.ipynb", simple=False)
    run_all(page)
    wait_for_pictures(page, "address-map", "before-after")
    wait_for_stages(page, 3)
    open_drawer(page, "pictures")
    page.locator(".jupyter-widget-Collapse-header", has_text="timeline").first.click()
    wait_for_pictures(page, "timeline")
    page.wait_for_selector("[data-view='cell']")
    page.evaluate("document.querySelectorAll('.p2plab-lab details').forEach(d => { d.open = true; })")
    found = {}
    try:
        for theme in ("JupyterLab Light", "JupyterLab Dark"):
            choose_theme(page, theme)
            found[theme] = violations(page, ".p2plab-lab")
    finally:
        choose_theme(page, "JupyterLab Light")
    lines = [f"{theme}: {line}" for theme, seen in found.items() for line in seen]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_without_a_kernel_has_no_serious_violation(tmp_path: Path, watched: Watched, scheme: str):
    """At the break, where everything is said."""
    scene = find("defrag-ignorant")
    file = tmp_path / "run.html"
    file.write_text(page_of(Run(scene).told()), encoding="utf-8")
    page = watched.page
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{file.as_uri()}#32")
    page.wait_for_selector(".stage[data-step='32']")
    assert violations(page, "html") == []


def test_the_app_has_no_serious_violation(app_server: Server, watched: Watched):
    """At the break, in Voila, in both of its themes."""
    page = watched.page
    run = Run(find("defrag-ignorant")).told()
    for theme in ("light", "dark"):
        page.goto(f"{app_server.url}/?theme={theme}&token={token_of(run)}")
        wait_for_pictures(page)
        page.evaluate("document.querySelectorAll('.p2plab-lab details').forEach(d => { d.open = true; })")
        assert violations(page, ".p2plab-lab") == [], theme


def in_jupyterlab(page: Any, server: Server) -> None:
    """An ignorant importer on the workbench."""
    write_notebook(server, "tabs.ipynb", "from p2plab.lab import Lab\nLab('workbench', importer='ignorant')")
    open_notebook(page, server, "tabs.ipynb")
    run_all(page)


def in_notebook_7(page: Any, server: Server) -> None:
    """The same."""
    write_notebook(server, "tabs7.ipynb", "from p2plab.lab import Lab\nLab('workbench', importer='ignorant')")
    page.goto(f"{server.url}/notebooks/tabs7.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    wait_for_kernel(server, "tabs7.ipynb")
    run_all(page)


def in_voila(page: Any, server: Server) -> None:
    """The same, by the link that a reviewer gets."""
    page.goto(f"{server.url}/?token={token_of(Session('workbench', {'importer': 'ignorant'}).run)}")


@pytest.mark.parametrize("front_end", [in_jupyterlab, in_notebook_7, in_voila])
def test_map_dma_defrag_and_the_break_are_found_by_keyboard_alone(
    front_end: Callable[[Any, Server], None], request: pytest.FixtureRequest, watched: Watched
):
    """Tab to a button, Space or Enter presses it; the break is said in a live region, and the focus can be seen."""
    page = watched.page
    front_end(page, request.getfixturevalue("app_server" if front_end is in_voila else "lab_server"))
    wait_for_pictures(page)
    page.locator(".stage select").first.focus()
    for name, key in (
        ("map", "Space"),
        ("start DMA", "Enter"),
        ("step", "Space"),
        ("step", "Space"),
        ("step", "Space"),
    ):
        press_by_key(page, name, key)
    press_by_key(page, "defrag", "Space")
    press_by_key(page, "run on", "Enter")
    assert broken(page) == ["obedience", "no-stale-dma"]
    sentence = page.locator(".stage .said")
    assert sentence.get_attribute("role") == "status"
    assert "app2 loses its bytes" in sentence.inner_text()
    tab_to(page, "◀")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert watched.ours == []


def press_by_key(page: Any, name: str, key: str) -> None:
    """Go to a button by Tab or Shift+Tab, press a key on it, and wait until the timeline is drawn anew."""
    tab_to(page, name)
    before = seq(page)
    page.keyboard.press(key)
    when_drawn_again(page, before)


def tab_to(page: Any, name: str) -> None:
    """Tab a little backwards, then forwards, then further back, until the button of that name has the focus."""
    for key, times in (("Shift+Tab", 12), ("Tab", 60), ("Shift+Tab", 90)):
        for _ in range(times):
            here = page.evaluate("document.activeElement.closest('.p2plab-lab button')?.innerText.trim() ?? ''")
            if here.removesuffix(" ▶") == name:
                return
            page.keyboard.press(key)
    raise AssertionError(f"no Tab leads to {name!r}")
