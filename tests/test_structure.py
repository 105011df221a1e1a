"""The shape of the project: which room may import which, what an import costs, what must agree with what."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "p2plab"

#: Each room, and the rooms that it may import besides itself. DESIGN.md, "Rooms", says why.
BELOW = {
    "core": set(),
    "pci": {"core"},
    "mm": {"core"},
    "p2p": {"core", "mm", "pci"},
    "drivers": {"core", "mm", "pci", "p2p"},
    "rules": {"core", "mm", "p2p"},
    "catalog": {"core", "mm", "pci", "p2p", "drivers", "rules"},
    "designs": {"core", "mm", "pci", "p2p", "drivers", "rules", "catalog"},
    "conform": {"core", "mm", "pci"},
    "search": {"core", "mm", "p2p", "drivers", "rules", "catalog", "views"},
    "sweeps": {"core", "mm", "pci", "p2p", "drivers", "rules", "catalog"},
    "views": {"core", "mm", "pci", "p2p", "drivers", "rules", "catalog", "designs", "conform", "search", "sweeps"},
    "lab": {"core", "mm", "pci", "p2p", "drivers", "rules", "catalog", "designs", "search", "sweeps", "views"},
    "course": {"core", "mm", "pci", "p2p", "drivers", "rules", "catalog", "designs", "search", "sweeps", "views"},
    "doctor": {"core", "catalog"},
    "cli": {
        "core",
        "mm",
        "pci",
        "p2p",
        "drivers",
        "rules",
        "catalog",
        "designs",
        "conform",
        "search",
        "sweeps",
        "views",
    }
    | {"course", "doctor"},
}
#: What a room may import from outside of the standard library.
OUTSIDE = {
    "search": {"numpy", "distributed", "dask"},
    "sweeps": {"numpy"},
    "course": {"ipywidgets"},
    "doctor": {"jupyter_core"},
    "lab": {"ipywidgets", "anywidget", "traitlets", "bokeh", "IPython", "numpy"},
}
#: The modules of views that draw; the others need nothing but Python.
DRAWING = re.compile(r"views/figures\w*\.py$")


def imports(file: Path) -> set[str]:
    """Dotted names that a module imports, at its top or later."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def modules() -> list[Path]:
    return sorted(file for file in PACKAGE.rglob("*.py") if file.parent != PACKAGE)


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file):
    """A room knows only those below it, and the standard library unless it is said otherwise."""
    room = file.relative_to(PACKAGE).parts[0]
    allowed = BELOW[room] | {room}
    if file.name == "widgets.py" and room == "course":
        allowed |= {"lab"}
    outside = {"bokeh"} if DRAWING.search(file.as_posix()) else OUTSIDE.get(room, set())
    for name in imports(file):
        first, _, rest = name.partition(".")
        if first == "p2plab":
            other = rest.partition(".")[0]
            assert other in allowed or other == "__version__", f"{room} imports {name}"
        else:
            assert first in sys.stdlib_module_names | outside, f"{room} imports {name}"


def fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("what", ["p2plab", "p2plab.catalog", "p2plab.views.text", "p2plab.cli.run", "p2plab.core.run"])
def test_the_model_pulls_in_no_drawing_library(what):
    """Neither bokeh nor ipywidgets nor numpy: the model also runs where they cannot be had."""
    heavy = fresh(
        f"import sys, {what}; print(sorted({{'bokeh', 'ipywidgets', 'numpy', 'anywidget'}} & set(sys.modules)))"
    )
    assert heavy == "[]"


def test_binder_gets_what_pip_gets():
    """environment.yml and pyproject.toml (with the app's extra) name the same packages with the same ranges."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "environment.yml").read_text().splitlines()
    conda = {line.removeprefix("  - ") for line in lines if line.startswith("  - ")}
    assert {item for item in conda if not item.startswith(("python=", "pip", "conda-forge"))} == {
        *project["dependencies"],
        *project["optional-dependencies"]["app"],
    }
    lowest = tuple(map(int, project["requires-python"].removeprefix(">=").split(".")))
    (python,) = (item.removeprefix("python=") for item in conda if item.startswith("python="))
    assert tuple(map(int, python.split("."))) >= lowest


def test_the_lock_file_pins_every_requirement_and_names_no_registry():
    """Exact versions, inside the ranges of pyproject.toml, and no address."""
    text = (ROOT / "requirements.lock").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.\[\]-]+==[\w.!+]+", line) for line in lines)
    pinned = {re.split("==", line)[0].lower().replace("_", "-") for line in lines}
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = config["project"]["optional-dependencies"]
    wanted = [
        *config["project"]["dependencies"],
        *config["dependency-groups"]["dev"],
        *extras["app"],
        *extras["class"],
        *extras["docs"],
    ]
    names = {re.split(r"[<>=\[]", item)[0].lower().replace("_", "-") for item in wanted}
    assert names <= pinned


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.name)
def test_notebooks_are_kept_without_outputs(notebook):
    """No outputs, no execution counts, no widget state in git."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert "widgets" not in content["metadata"]
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_every_module_says_what_it_is():
    """A docstring at the top of each."""
    silent = [
        str(f) for f in PACKAGE.rglob("*.py") if f.stat().st_size and not ast.get_docstring(ast.parse(f.read_text()))
    ]
    assert silent == []


def test_every_pinned_package_is_for_the_oldest_python_that_is_promised():
    """Debian 12 has Python 3.11.2: a pin that wants a later 3.11 would stop `make setup` there."""
    from importlib.metadata import distributions

    from packaging.specifiers import SpecifierSet

    here = {d.metadata["Name"].lower(): d for d in distributions()}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        name, _, version = line.partition("==")
        found = here.get(name.lower())
        if found is not None and found.version == version:  # what is not here in this version cannot be asked
            assert SpecifierSet(found.metadata.get("Requires-Python") or "").contains("3.11.2"), line


def test_makefile_documents_itself():
    """`make help` lists every target that a person may want."""
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "lab", "test", "bench"):
        assert f"make {target}" in said


def test_an_old_python_is_told_so(tmp_path):
    """`make setup` with a Python that is too old, or none, says what is needed and leaves nothing behind."""
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo \'Python 3.8.1\'\n[ "$1" = -c ] && exit 1\nexit 0\n')
    old.chmod(0o755)
    for python, said in ((old, "p2plab needs Python 3.11 or newer; "), (tmp_path / "nothing", "there is no '")):
        ready = tmp_path / "ready"
        done = subprocess.run(
            ["make", "setup", f"PYTHON={python}", f"READY={ready}", f"VENV={tmp_path / 'venv'}"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert said in done.stdout
        assert not ready.exists()
        assert not (tmp_path / "venv").exists()
