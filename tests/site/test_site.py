"""The site: built without a warning, read without asking anybody, with a picture and words for every explorer."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "site"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb"))


def ours(name: str):
    """A module of the folder docs/site, which is no package."""
    spec = importlib.util.spec_from_file_location(f"site_{name}", SITE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SHOWS, EXPLORES = ours("notebooks").SHOWS, ours("notebooks").EXPLORES


@pytest.fixture(scope="module")
def site():
    """As `make docs` builds it; what is there and made of the same is not built again."""
    done = subprocess.run([sys.executable, str(SITE / "build.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return ROOT / "build" / "site" / "html"


class Page(HTMLParser):
    """What a page loads, where it leads to, its pictures, and which names it has."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.names: set[str] = set()
        self.pictures: list[tuple[str, str]] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.names |= {known[key] for key in ("id", "name") if known.get(key)}
        if tag == "a" and known.get("href"):
            self.leads.append(known["href"])
        elif tag == "link" and known.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.append(known.get("href", ""))
        elif known.get("src"):
            self.loads.append(known["src"])
        if tag == "img":
            self.pictures.append((known.get("src", ""), known.get("alt", "")))


def test_every_explorer_of_the_course_has_its_picture_and_no_picture_is_left_over():
    """A cell that changes asks for another name: `make pictures` takes it."""
    notebooks = ours("notebooks")
    wanted = set()
    for file in NOTEBOOKS:
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        wanted |= {notebooks.picture_name(file.name, source) for source in sources if SHOWS.search(source)}
    there = {picture.name for picture in notebooks.PICTURES.glob("*.png")}
    assert there <= wanted
    assert [
        name for name in wanted - there if "lab" not in name
    ] == []  # a run has its page; what has none needs a picture
    assert sum(picture.stat().st_size for picture in notebooks.PICTURES.glob("*.png")) < 2_500_000


def test_every_room_has_a_page_of_the_reference():
    """Found, not listed."""
    rooms = {folder.parent.name for folder in (ROOT / "p2plab").glob("*/__init__.py")}
    assert set(ours("api").pages()) == {"index.rst", *(f"{room}.rst" for room in rooms)}


def test_the_reference_has_sources_and_no_answers_of_the_exercises(site):
    """One click away; the reference answers are in no page, no index, no search and no source."""
    assert 'href="../_modules/p2plab/core/run.html#Run' in (site / "api" / "core.html").read_text(encoding="utf-8")
    assert not list((site / "_modules").rglob("*solutions*"))
    for file in [*(site / "api").rglob("*.html"), site / "genindex.html", site / "py-modindex.html"]:
        assert "course.solutions" not in file.read_text(encoding="utf-8"), file


def test_the_site_asks_nobody(site):
    """No script, style, font or picture from elsewhere, in pages and in styles."""
    for file in site.rglob("*.html"):
        assert [load for load in Page(file).loads if re.match(r"(https?:)?//", load)] == [], file.name
    for file in site.rglob("*.css"):
        assert re.findall(r"url\(['\"]?(?:https?:)?//[^)]+|@import[^;]+", file.read_text(encoding="utf-8")) == [], (
            file.name
        )


def test_links_inside_the_site_lead_to_a_page_and_a_place(site):
    """As built: also those that the tools made."""
    pages = {file: Page(file) for file in site.rglob("*.html")}
    for file, page in pages.items():
        for lead in page.leads:
            name, _, place = lead.partition("#")
            if re.match(r"[a-z]+:", lead) or (not name and not place):
                continue
            target = (file.parent / name).resolve() if name else file
            assert target.exists(), f"{file.name}: {lead}"
            if (
                "_modules" in file.parts
            ):  # a source's way back to a name that another room passes on leads to its page only
                continue
            if place and target.suffix == ".html" and target.parent.name != "runs" and target.name != "stories.html":
                assert place in pages[target].names, f"{file.name}: {lead}"


def test_a_notebook_is_worth_reading_without_a_kernel(site):
    """What came out, a picture with words for each explorer, and no word about a widget that is not there."""
    for file in NOTEBOOKS:
        text = (site / "notebooks" / f"{file.stem}.html").read_text(encoding="utf-8")
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        shown = sum(bool(EXPLORES.search("".join(cell["source"]))) for cell in cells if cell["cell_type"] == "code")
        pictures = Page(site / "notebooks" / f"{file.stem}.html").pictures
        assert sum("explorer" in alt for _, alt in pictures) <= shown, file.name
        assert all((site / "notebooks" / source).resolve().is_file() for source, alt in pictures if "explorer" in alt)
        assert text.count("<summary>The same in words</summary>") >= shown, file.name
        assert "widget-view" not in text
        assert "<summary>Answers</summary>" in text
    words = (site / "notebooks" / "00-start-here.html").read_text(encoding="utf-8")
    assert "BROKEN: obedience (invariant 20), at step 24, by nic" in words


def test_every_explorer_of_a_run_is_a_page_that_steps_through_it(site):
    """Where it stood in the notebook, or as the prose beside it says; a machine or a question is a picture alone."""
    stepped = 0
    for file in NOTEBOOKS:
        text = (site / "notebooks" / f"{file.stem}.html").read_text(encoding="utf-8")
        frames = re.findall(r'<iframe class="run" src="\.\./(runs/[\w.-]+)#(\d+|story=\d\d/1)"', text)
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        runs = [source for source in sources if re.search(r"(?<!Machine)(?<!Memory)Lab\([^\n]*\)$", source.strip())]
        assert len(frames) >= len(runs), file.name
        for name, step in frames:
            page = (site / name).read_text(encoding="utf-8")
            if step.startswith("story="):
                assert f'"{step[6:8]}":{{"title"' in page
                continue
            assert f'"end":{int(step)}' in page or int(step) <= int(re.search(r'"end":(\d+)', page)[1])
            stepped += 1
    assert stepped >= 10
    assert (site / "stories.html").stat().st_size < 1_500_000


def test_the_reference_has_what_the_docstrings_say(site):
    """With a place for each name to link to."""
    page = (site / "api" / "core.html").read_text(encoding="utf-8")
    assert 'id="p2plab.core.run.Run"' in page
    assert "Every <code" in page or "every <code" in page
    assert 'id="p2plab.p2p.importer.Importer.wait_until_valid"' in (site / "api" / "p2p.html").read_text(
        encoding="utf-8"
    )
