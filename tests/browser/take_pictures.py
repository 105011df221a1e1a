"""Take the pictures of every view again: `make pictures`. Not a test; it uses the tests' servers and browser.

In both themes, as wide as a laptop and as a projector: ``<view>-<theme>-<width>.png``, with few colours to be small. All are in
build/pictures/, to be looked at one by one: that is what they are for. Those that the documentation shows are in assets/, too.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from p2plab.core.run import Run
from p2plab.core.token import token_of
from p2plab.everything import find
from p2plab.lab.session import Session
from p2plab.views.page import page as page_of
from tests.browser.conftest import Server, Watched
from tests.browser.notebook import (
    button,
    open_drawer,
    open_notebook,
    press,
    run_all,
    set_theme,
    wait_for_pictures,
    write_notebook,
)

ROOT = Path(__file__).parents[2]
ASSETS, ALL = ROOT / "assets" / "pictures", ROOT / "build" / "pictures"
#: What README and docs/ show.
SHOWN = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
THEMES, WIDTHS = ("light", "dark"), (1280, 1920)

#: Name of the picture, the last line of the cell, and the panes to wait for.
EXPLORERS = {
    "machine": ("MachineLab('q35_switch2')", ("address-map",)),
    "compare": ("CompareLab('defrag-obedient', 'defrag-ignorant')", ()),
    "memory": ("MemoryLab('mremap_move', 'device')", ("before-after",)),
    "designs": ("DesignsLab()", ()),
}

#: The moments that docs/stage.md and the course speak of: scene, knobs, step, and a key to press before the picture.
MOMENTS = {
    "ignorant-17": ("defrag-ignorant", {}, 17, ""),
    "ignorant-20": ("defrag-ignorant", {}, 20, ""),
    "ignorant-24": ("defrag-ignorant", {}, 24, ""),
    "ignorant-36": ("defrag-ignorant", {}, 36, ""),
    "obedient-26": ("defrag-obedient", {}, 26, ""),
    "obedient-52": ("defrag-obedient", {}, 52, ""),
    "source-25": ("defrag-obedient", {}, 25, "d"),
    "two-importers": ("policies", {}, 46, ""),
    "two-processes": ("E2", {}, 46, ""),
    "iommu": ("F1", {"iommu": "on"}, 32, ""),
    "main-memory": ("policies", {"policy": "ram"}, 86, ""),
    "exporter-at-fault": ("E1", {}, 22, ""),
    "deadlock": ("F4", {}, 13, ""),
    "sixteen-pages": ("defrag-ignorant", {"pages": 16, "slots": 64}, 60, ""),
}

#: Titles of the folded parts in the lab's drawer, and the names of their pictures.
FOLDED = {
    "states of the last search": "states",
    "who sets and who calls": "call-graph",
    "PCI tree": "pci-tree",
    "device memory": "device-memory",
}


def test_take_the_lab(lab_server: Server, watched: Watched) -> None:
    """The lab after the break; then what is folded away in it."""
    page: Any = watched.page
    page.set_viewport_size({"width": 1280, "height": 720})
    write_notebook(lab_server, "pictures.ipynb", "from p2plab.lab import Lab\nLab('workbench', importer='ignorant')")
    open_notebook(page, lab_server, "pictures.ipynb")
    run_all(page)
    wait_for_pictures(page)
    for name in ("map", "start DMA", "step", "step", "step", "defrag", "run on"):
        press(page, name)
    in_both_themes(page, "lab")


def test_take_what_is_folded(lab_server: Server, watched: Watched) -> None:
    """Call graph, PCI tree, device memory, the states of a search."""
    page: Any = watched.page
    page.set_viewport_size({"width": 1280, "height": 4600})
    write_notebook(lab_server, "folded.ipynb", "from p2plab.lab import Lab\nLab('workbench', importer='ignorant')")
    open_notebook(page, lab_server, "folded.ipynb")
    run_all(page)
    wait_for_pictures(page)
    button(page, "check every order").click()
    page.wait_for_function("document.querySelector(\"[data-view='check']\")?.innerText.includes('BREAKS')")
    open_drawer(page, "pictures")
    for title, name in FOLDED.items():
        page.locator(".p2plab-lab .jupyter-widget-Collapse-header", has_text=title).first.click()
        page.wait_for_timeout(500)
        in_both_themes(page, name, page.locator(".p2plab-lab .jupyter-widget-Collapse", has_text=title).first)


@pytest.mark.parametrize("name", EXPLORERS)
def test_take_explorers(lab_server: Server, watched: Watched, name: str) -> None:
    """A machine with the way between two functions, memory before and after, two runs, the designs' matrix."""
    page: Any = watched.page
    line, panes = EXPLORERS[name]
    page.set_viewport_size({"width": 1280, "height": 3000})
    write_notebook(lab_server, f"pictures-{name}.ipynb", f"from p2plab.lab import {line.partition('(')[0]}\n{line}")
    open_notebook(page, lab_server, f"pictures-{name}.ipynb")
    run_all(page)
    if name == "designs":
        page.wait_for_selector("[data-view='cell']")
    else:
        wait_for_pictures(page, *panes)
    in_both_themes(page, name)


def test_take_the_app(app_server: Server, watched: Watched) -> None:
    """What a link with a token opens."""
    page: Any = watched.page
    token = token_of(Session("defrag-ignorant").run)
    for theme in THEMES:
        page.goto(f"{app_server.url}/?theme={theme}&token={token}")
        wait_for_pictures(page)
        at_both_widths(page, f"app-{theme}")


@pytest.mark.parametrize("name", MOMENTS)
def test_take_the_stage(tmp_path: Path, watched: Watched, name: str) -> None:
    """A moment, from the file that needs no kernel: on one screen, on a projector and on a telephone, in both themes."""
    page: Any = watched.page
    scene, knobs, step, key = MOMENTS[name]
    found = find(scene)
    file = tmp_path / "run.html"
    file.write_text(page_of(Run(found, knobs).told()), encoding="utf-8")
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        for width, height in ((1280, 720), (1920, 1080), (390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            page.goto(f"{file.as_uri()}#{step}")
            page.reload()
            page.wait_for_selector(f".stage[data-step='{step}']")
            if key:
                page.keyboard.press(key)
            page.wait_for_timeout(400)
            stage = page.locator(".stage").first
            keep(page.screenshot() if width > 500 else stage.screenshot(), f"stage-{name}-{theme}-{width}")


def test_take_the_first_picture(tmp_path: Path, watched: Watched) -> None:
    """What the first notebook opens on: the sentence and the chain as somebody loses bytes. It is kept inside the notebook."""
    page: Any = watched.page
    found, step = find("defrag-ignorant"), 34
    file = tmp_path / "run.html"
    file.write_text(page_of(Run(found).told()), encoding="utf-8")
    page.set_viewport_size({"width": 860, "height": 620})
    page.goto(f"{file.as_uri()}#{step}")
    page.wait_for_selector(f".stage[data-step='{step}']")
    page.wait_for_timeout(400)
    said, chain = (page.locator(f".stage {part}").bounding_box() for part in (".said", "svg.chain"))
    top, bottom = said["y"] - 6, chain["y"] + chain["height"]
    taken = page.screenshot(clip={"x": 0, "y": top, "width": 860, "height": bottom - top})
    few = Image.open(io.BytesIO(taken)).convert("RGB").quantize(64, Image.Quantize.MAXCOVERAGE, kmeans=3)
    few.save(made := io.BytesIO(), "PNG", optimize=True)
    notebook = ROOT / "notebooks" / "00-start-here.ipynb"
    held = json.loads(notebook.read_text(encoding="utf-8"))
    held["cells"][0]["attachments"] = {"break.png": {"image/png": base64.b64encode(made.getvalue()).decode()}}
    notebook.write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def in_both_themes(page: Any, name: str, part: Any = None) -> None:
    """Pictures of a part of the page, else of the first lab."""
    for theme in THEMES:
        set_theme(page, f"JupyterLab {theme.capitalize()}")
        at_both_widths(page, f"{name}-{theme}", part or page.locator(".p2plab-lab").first)
    set_theme(page, "JupyterLab Light")


def at_both_widths(page: Any, name: str, part: Any = None) -> None:
    """A part of the page or, without one, all of it."""
    height = page.viewport_size["height"]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(1200)  # figures follow the width of the page
        keep(part.screenshot() if part else page.screenshot(full_page=True), f"{name}-{width}")
    page.set_viewport_size({"width": WIDTHS[0], "height": height})


def keep(png: bytes, name: str) -> None:
    """With 255 colours: the views' own (``kmeans`` keeps pale bands apart from paper), and enough for the edges of letters."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    few = picture.quantize(255, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    for folder in (ALL, ASSETS) if f"pictures/{name}.png" in SHOWN else (ALL,):
        folder.mkdir(parents=True, exist_ok=True)
        few.save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-o", "python_files=take_pictures.py", *sys.argv[1:]]))
