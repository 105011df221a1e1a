"""Take the pictures of the course's explorers again, for the site: `make pictures`. Not a test; it uses the tests' browser."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import open_notebook, run_all

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "site"))
from notebooks import PICTURES, SHOWS, picture_name, surroundings  # noqa: E402  the folder is no package

#: JupyterLab draws only the cells near those that are seen; a picture needs them all.
EVERY_CELL = """() => {
    const notebook = jupyterapp.shell.currentWidget.content;
    notebook.notebookConfig = { ...notebook.notebookConfig, windowingMode: "none" };
}"""
#: Whether every picture that can be seen has been drawn.
READY = """() => [...document.querySelectorAll('.p2plab-lab [data-pane]')].every(
    pane => pane.offsetParent === null || pane.dataset.seq)"""
#: What is pressed before the picture of a notebook's first explorer is taken: what the prose beside it asks for.
PRESSED = {
    "00": ("map", "start DMA", "defrag", "run on"),
    "06": ("map", "start DMA", "step", "step", "defrag", "run on"),
}
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb"))


@pytest.fixture(scope="session", autouse=True)
def the_same_everywhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No machine and no folder of whoever takes the pictures is to be seen in them."""
    os.environ.update(surroundings(str(tmp_path_factory.mktemp("pictures"))))
    PICTURES.mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.name)
def test_take(lab_server: Server, watched: Watched, file: Path) -> None:
    """Each explorer of the notebook as it looks when its cell has run."""
    page: Any = watched.page
    page.set_viewport_size({"width": 1100, "height": 3600})
    open_notebook(page, lab_server, file.name)
    page.evaluate(EVERY_CELL)
    run_all(page)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-InputPrompt')].every(made => !made.textContent.includes('*'))"
    )
    pressed = PRESSED.get(file.name[:2], ())
    codes = ["".join(cell["source"]) for cell in json.loads(file.read_text())["cells"] if cell["cell_type"] == "code"]
    shown = [source for source in codes if SHOWS.search(source)]
    for old in PICTURES.glob(f"{file.name[:2]}-*.png"):
        old.unlink()
    for source in shown:
        said = page.locator(".jp-InputArea", has_text=source.splitlines()[-1])
        explorer = page.locator(".jp-CodeCell", has=said).first.locator(".jp-OutputArea-output > .p2plab-lab").first
        explorer.wait_for()
        page.wait_for_function(READY)
        explorer.scroll_into_view_if_needed()
        page.wait_for_timeout(1500)  # figures follow the width of the page
        for name in pressed:
            explorer.locator("button:visible", has_text=re.compile(rf"^\s*{name}( ▶)?\s*$")).first.click()
            page.wait_for_timeout(700)
        pressed = ()
        taken = PICTURES / picture_name(file.name, source)
        explorer.screenshot(path=taken)
        whole = Image.open(taken).convert("RGB")  # the views' own colours stay what they are: texts speak of blue
        few = whole.quantize(128, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
        few.save(taken, optimize=True)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-o", "python_files=take_notebooks.py", *sys.argv[1:]]))
