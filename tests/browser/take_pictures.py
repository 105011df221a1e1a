"""Take the pictures of README and docs again: `make pictures`. Not a test; it uses the tests' server and browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import open_notebook, press, run_all, set_theme, wait_for_pictures, write_notebook

ASSETS = Path(__file__).parents[2] / "assets" / "pictures"


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


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-o", "python_files=take_pictures.py"]))
