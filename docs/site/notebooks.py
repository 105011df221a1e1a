"""Notebooks for readers: executed, each explorer replaced by a page that steps through its run, and the same in words.

What has no run (a machine, a question) is a picture; so is every explorer where scripts are off.
"""

from __future__ import annotations

import hashlib
import html
import itertools
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "assets" / "pictures" / "notebooks"
#: A cell whose last line shows an explorer.
SHOWS = re.compile(r"((Lab|Predict|this_machine)\([^\n]*\)|\.lab\(\) if [^\n]*)$")
#: The same, and a cell that shows one by its name: that has a page to step through and no picture.
EXPLORES = re.compile(rf"{SHOWS.pattern}|(?:^|\n)lab$")
WIDGET = "application/vnd.jupyter.widget-view+json"


def picture_name(notebook: str, source: str) -> str:
    """``04-memorylab-zap-vma-ptes-device.png``: of the notebook's number and the line that shows the explorer.

    A cell that changes asks for another picture, so that none can show what was there before.
    """
    last = source.strip().splitlines()[-1]
    return f"{notebook[:2]}-{re.sub(r'[^a-z0-9]+', '-', last.lower()).strip('-')[:60]}.png"


def surroundings(scratch: str) -> dict[str, str]:
    """The environment in which a notebook says the same on every machine."""
    none = str(Path(scratch) / "none")
    return {"P2PLAB_JOURNAL": "", "P2PLAB_COURSE": "course", "P2PLAB_SYSFS": none, "JUPYTER_RUNTIME_DIR": scratch}


#: What is pressed in the first explorer of a notebook: what the prose beside it asks for.
PRESSED = {
    "00": ("!map", "!dma", "!defrag", "run on"),
    "06": ("!map", "!dma", "", "", "!defrag", "run on"),
}
#: The cell that is put behind each explorer's: it writes a page for every run that the explorer shows.
_WRITE = """
import json as _json, os as _os
from pathlib import Path as _Path

def _pages(shown, name, presses):
    from p2plab.lab.session import Session
    from p2plab.views.page import page
    from p2plab import replay
    labs = [shown] if hasattr(shown, "session") else list(getattr(shown, "sides", ()))
    runs = [(lab.session.run, lab.session.step) for lab in labs]
    if not runs and getattr(shown, "cell", None) is not None and shown.cell.tokens:
        found = replay(shown.cell.tokens[0])
        runs = [(found, len(found))]
    made = []
    for number, (run, step) in enumerate(runs):
        if presses:
            session = Session(run.scenario, run.settings)
            for press in presses:
                if press.startswith("!"): session.press(press[1:])
                elif press: session.run_to_rest()
                else: session.take()
            run, step = session.run, session.step
        file = f"{name}-{number}.html"
        _Path(_os.environ["P2PLAB_SITE_RUNS"], file).write_text(page(run), encoding="utf-8")
        made.append([file, step, run.scenario.words_with(run.settings).title])
    if hasattr(shown, "story"):
        from p2plab.course.story_links import story_page
        file, story = f"{name}.html", shown.story
        _Path(_os.environ["P2PLAB_SITE_RUNS"], file).write_text(story_page(story.number), encoding="utf-8")
        made.append([file, f"story={story.number}/1", story.title])
    print(_json.dumps(made))

_pages(_, @NAME@, @PRESSES@)
"""
HIDDEN = "p2plab-run"


def executed(file: Path, kept: Path) -> Any:
    """The notebook with its outputs; from ``kept`` if neither it nor the package changed since. Raises what a cell raises.

    Behind each explorer's cell stands a hidden one, whose output names the pages of its runs, in ``kept/runs``.
    """
    key = hashlib.sha256(file.read_bytes() + Path(__file__).read_bytes())
    for module in sorted(path for kind in ("py", "js", "css") for path in (ROOT / "p2plab").rglob(f"*.{kind}")):
        key.update(module.read_bytes())
    known = kept / f"{file.stem}-{key.hexdigest()[:16]}.ipynb"
    if known.is_file():
        return nbformat.read(known, as_version=4)
    notebook = with_runs(nbformat.read(file, as_version=4), file.stem)
    runs = kept / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    for old in (*kept.glob(f"{file.stem}-*.ipynb"), *runs.glob(f"{file.stem}-*.html")):
        old.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.update(surroundings(scratch) | {"P2PLAB_SITE_RUNS": str(runs)})
        NotebookClient(notebook, timeout=60, resources={"metadata": {"path": scratch}}).execute()
    nbformat.write(notebook, known)
    return notebook


def with_runs(notebook: Any, stem: str) -> Any:
    """The notebook with a hidden cell behind each that shows an explorer."""
    cells, shown = [], 0
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "code" and EXPLORES.search(cell.source):
            presses = PRESSED.get(stem[:2], ()) if not shown else ()
            shown += 1
            source = _WRITE.replace("@NAME@", repr(f"{stem}-{shown}")).replace("@PRESSES@", repr(presses))
            cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": [HIDDEN]}))
    notebook.cells = cells
    return notebook


def explorers(notebook: Any) -> Iterator[Any]:
    """The cells that show one."""
    for cell in notebook.cells:
        if any(WIDGET in output.get("data", {}) for output in cell.get("outputs", [])):
            yield cell


def for_readers(file: Path, kept: Path) -> Any:
    """The executed notebook, without widgets. FileNotFoundError names a picture that is missing."""
    notebook = executed(file, kept)
    pages: dict[str, list[list[Any]]] = {}
    for before, cell in itertools.pairwise(notebook.cells):
        if HIDDEN in cell.metadata.get("tags", ()):
            pages[before.id] = _printed(cell)
    notebook.cells = [cell for cell in notebook.cells if HIDDEN not in cell.metadata.get("tags", ())]
    for cell in explorers(notebook):
        runs = pages.get(cell.id, [])
        picture = PICTURES / picture_name(file.name, cell.source)
        if not picture.is_file() and not runs and SHOWS.search(cell.source):
            raise FileNotFoundError(f"{file.name} shows an explorer that has no picture {picture.name}: make pictures")
        words = next(output.data["text/plain"] for output in cell.outputs if WIDGET in output.get("data", {}))
        alt = f"The explorer that this cell shows; in words below: {_first(words)}"
        image = (
            ""
            if not picture.is_file()
            else f'<img src="../pictures/{picture.name}" alt="{html.escape(alt)}" loading="lazy">'
        )
        frames = "".join(_frame(*run) for run in runs)
        cell.outputs = [
            *(output for output in cell.outputs if output.output_type == "stream"),
            *(_html(part) for part in (f"{frames}<noscript>{image}</noscript>" if runs else image, _folded(words))),
        ]
    for cell in notebook.cells:  # Sphinx knows no attachments
        for name, kinds in cell.pop("attachments", {}).items():
            kind, data = next(iter(kinds.items()))
            cell.source = cell.source.replace(f"attachment:{name}", f"data:{kind};base64,{data}")
    notebook.metadata.pop("widgets", None)
    return notebook


def _printed(cell: Any) -> list[list[Any]]:
    """What a hidden cell says of its explorer's runs: file, step, title."""
    said: list[list[Any]] = json.loads(
        "".join(output.text for output in cell.outputs if output.output_type == "stream")
    )
    return said


def _frame(name: str, step: int | str, title: str) -> str:
    """The page of a run, to step through where it stands, or on a page of its own. ``step``: also a beat of a story."""
    address = f"../runs/{name}#{step}"
    return (
        f'<iframe class="run" src="{address}" title="Step through: {html.escape(title)}" loading="lazy"></iframe>'
        f'<p class="run"><a href="{address}">This run on a page of its own</a></p>'
    )


def _html(text: str) -> Any:
    return nbformat.v4.new_output("display_data", {"text/html": text})


def _folded(words: str) -> str:
    return f"<details><summary>The same in words</summary><pre>{html.escape(words)}</pre></details>"


def _first(words: str) -> str:
    line = next((line for line in words.splitlines() if line.strip()), "")
    return re.sub(r"[\"\\<>]", "", line)[:100]
