"""Notebooks for readers: executed, and each explorer replaced by its picture and the same in words."""

from __future__ import annotations

import base64
import hashlib
import html
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


def executed(file: Path, kept: Path) -> Any:
    """The notebook with its outputs; from ``kept`` if neither it nor the package changed since. Raises what a cell raises."""
    key = hashlib.sha256(file.read_bytes())
    for module in sorted((ROOT / "p2plab").rglob("*.py")):
        key.update(module.read_bytes())
    known = kept / f"{file.stem}-{key.hexdigest()[:16]}.ipynb"
    if known.is_file():
        return nbformat.read(known, as_version=4)
    notebook = nbformat.read(file, as_version=4)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.update(surroundings(scratch))
        NotebookClient(notebook, timeout=60, resources={"metadata": {"path": scratch}}).execute()
    kept.mkdir(parents=True, exist_ok=True)
    for old in kept.glob(f"{file.stem}-*.ipynb"):
        old.unlink()
    nbformat.write(notebook, known)
    return notebook


def explorers(notebook: Any) -> Iterator[Any]:
    """The cells that show one."""
    for cell in notebook.cells:
        if any(WIDGET in output.get("data", {}) for output in cell.get("outputs", [])):
            yield cell


def for_readers(file: Path, kept: Path) -> Any:
    """The executed notebook, without widgets. FileNotFoundError names a picture that is missing."""
    notebook = executed(file, kept)
    for cell in explorers(notebook):
        picture = PICTURES / picture_name(file.name, cell.source)
        if not picture.is_file():
            raise FileNotFoundError(f"{file.name} shows an explorer that has no picture {picture.name}: make pictures")
        words = next(output.data["text/plain"] for output in cell.outputs if WIDGET in output.get("data", {}))
        cell.outputs = [
            *(output for output in cell.outputs if output.output_type == "stream"),
            nbformat.v4.new_output("display_data", {"image/png": base64.b64encode(picture.read_bytes()).decode()}),
            nbformat.v4.new_output("display_data", {"text/html": _folded(words)}),
        ]
        cell.metadata["mystnb"] = {
            "image": {"alt": f"The explorer that this cell shows; in words below: {_first(words)}"}
        }
    notebook.metadata.pop("widgets", None)
    return notebook


def _folded(words: str) -> str:
    return f"<details><summary>The same in words</summary><pre>{html.escape(words)}</pre></details>"


def _first(words: str) -> str:
    line = next((line for line in words.splitlines() if line.strip()), "")
    return re.sub(r"[\"\\<>]", "", line)[:100]
