"""Take the pictures of README and docs again: `make pictures`. Not a test; it uses the tests' server and browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import open_notebook, press, run_all, set_theme, wait_for_pictures, write_notebook

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "site"))
from notebooks import PICTURES, picture_name, surroundings  # noqa: E402  the folder is no package

ASSETS = ROOT / "assets" / "pictures"
#: JupyterLab draws only the cells near those that are seen; a picture needs them all.
EVERY_CELL = """() => {
    const notebook = jupyterapp.shell.currentWidget.content;
    notebook.notebookConfig = { ...notebook.notebookConfig, windowingMode: "none" };
}"""


@pytest.fixture(scope="session", autouse=True)
def the_same_everywhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No machine and no folder of whoever takes the pictures is to be seen in them."""
    os.environ.update(surroundings(str(tmp_path_factory.mktemp("pictures"))))


def test_take_pictures(lab_server: Server, watched: Watched) -> None:
    """The lab after the break, in both themes, at the width of a laptop and of a projector."""
    page: Any = watched.page
    ASSETS.mkdir(exist_ok=True)
    page.set_viewport_size({"width": 1280, "height": 2400})
    open_notebook(page, lab_server, "00-start-here.ipynb", copy_as="pictures.ipynb")
    run_all(page)
    wait_for_pictures(page)
    for name in ("map", "start DMA", "step", "step", "step", "defrag", "run on"):
        press(page, name)
    for theme in ("Light", "Dark"):
        set_theme(page, f"JupyterLab {theme}")
        for width in (1280, 1920):
            page.set_viewport_size({"width": width, "height": 2400})
            page.wait_for_timeout(1200)  # figures follow the width of the page
            page.locator(".p2plab-lab").first.screenshot(path=ASSETS / f"lab-{theme.lower()}-{width}.png")


def test_take_explorers(lab_server: Server, watched: Watched) -> None:
    """A machine with the way between two functions, and memory before and after."""
    page: Any = watched.page
    page.set_viewport_size({"width": 1280, "height": 2600})
    for name, cell, panes in (
        ("machine", "from p2plab.lab import MachineLab\nMachineLab('q35_switch2')", ("pci-tree", "address-map")),
        (
            "compare",
            "from p2plab.lab import CompareLab\nCompareLab('defrag-obedient', 'defrag-ignorant')",
            ("timeline",),
        ),
        ("memory", "from p2plab.lab import MemoryLab\nMemoryLab('mremap_move', 'device')", ("before-after",)),
    ):
        write_notebook(lab_server, f"pictures-{name}.ipynb", cell)
        open_notebook(page, lab_server, f"pictures-{name}.ipynb")
        run_all(page)
        wait_for_pictures(page, *panes)
        page.wait_for_timeout(500)
        page.locator(".p2plab-lab").first.screenshot(path=ASSETS / f"{name}-lab.png")


#: What is pressed before the picture of a notebook's first explorer is taken: what the prose beside it asks for.
PRESSED = {
    "00": ("map", "start DMA", "step", "step", "step", "defrag", "run on"),
    "06": ("map", "start DMA", "step", "step", "defrag", "run on"),
}


def test_take_notebooks(lab_server: Server, watched: Watched) -> None:
    """Each explorer of the course as it looks when its cell has run, for those who read the site without a kernel."""
    page: Any = watched.page
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    page.set_viewport_size({"width": 1100, "height": 3600})
    for file in sorted((ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb")):
        open_notebook(page, lab_server, file.name, copy_as=f"pictures-{file.name}")
        page.evaluate(EVERY_CELL)
        run_all(page)
        page.wait_for_function("() => !document.querySelector('.jp-InputPrompt')?.textContent.includes('*')")
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']")
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        first = True
        for number, cell in enumerate(cells):
            explorer = page.locator(".jp-Notebook-cell").nth(number).locator(".p2plab-lab")
            if cell["cell_type"] != "code" or not explorer.count():
                continue
            explorer.first.scroll_into_view_if_needed()
            page.wait_for_timeout(1500)  # figures follow the width of the page
            for name in PRESSED.get(file.name[:2], ()) if first else ():
                explorer.locator("button", has_text=re.compile(rf"^\s*{name}\s*$")).first.click()
                page.wait_for_timeout(700)
            first = False
            taken = PICTURES / picture_name(file.name, "".join(cell["source"]))
            explorer.first.screenshot(path=taken)
            Image.open(taken).convert("RGB").quantize(64).save(taken, optimize=True)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-o", "python_files=take_pictures.py"]))
