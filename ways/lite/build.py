"""Builds the site that needs no server: Python, p2plab and the notebooks as files, and nothing to fetch from elsewhere.

Run by ``make lite`` in the environment that has ways/lite/requirements.txt. Parts come from npm (Python for the browser) and
from a Python package index; a second build takes them from ``.p2plab/lite``.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from parts import (
    LEFT_OUT,
    NOT_ASKED_FOR,
    NOT_HERE,
    NOTEBOOKS,
    NUMPY,
    PLAIN_HALF,
    PYODIDE,
    PYTHON,
    ROOT,
    SITE,
    WORK,
    normal,
    pins,
)

sys.path.insert(0, str(ROOT))

from p2plab.core.places import course_in
from p2plab.course.story_links import beats_json, beats_list
from p2plab.views.links import stories_page

HERE = Path(__file__).parent
FETCHED = WORK / "wheels"
LITE = WORK / "source"
EXTENSION = "share/jupyter/labextensions/@jupyterlite/pyodide-kernel-extension"


def main() -> None:
    """From nothing, or from what an earlier build fetched, to a site."""
    began = time.monotonic()
    for folder in (LITE, SITE):
        shutil.rmtree(folder, ignore_errors=True)
    runtime = LITE / "static" / "pyodide"
    runtime.mkdir(parents=True)
    for name in ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip"):
        shutil.copy(_pyodide() / name, runtime)
    wheels = [_lean(wheel, runtime) for wheel in (*_fetched(), *_kernel(), _own())]
    _write_lock(wheels, runtime)
    _write_settings(sorted(_distribution(wheel)[0] for wheel in wheels))
    _copy_notebooks()
    _jupyter_lite()
    _notebook_first()
    _front_page()
    size = sum(file.stat().st_size for file in SITE.rglob("*") if file.is_file())
    print(
        f"{SITE.relative_to(ROOT)}: {size / 1e6:.0f} MB in {time.monotonic() - began:.0f} s. To look at it, on this machine:"
    )
    print(f"  python3 -m http.server --bind 127.0.0.1 --directory {SITE.relative_to(ROOT)} 8000")


def _pyodide() -> Path:
    """Python for the browser, as npm has it."""
    place = WORK / "npm" / "node_modules" / "pyodide"
    found = json.loads((place / "package.json").read_text())["version"] if (place / "package.json").is_file() else ""
    if found != PYODIDE:
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit("the site needs npm once, for Python in the browser (Debian: apt install npm)")
        quiet = ["--silent", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
        (WORK / "npm").mkdir(parents=True, exist_ok=True)
        subprocess.run([npm, "install", *quiet, "--prefix", str(WORK / "npm"), f"pyodide@{PYODIDE}"], check=True)
    return place


def _fetched() -> list[Path]:
    """Wheels of pure Python, of the versions that requirements.lock has."""
    FETCHED.mkdir(parents=True, exist_ok=True)
    wanted = pins()
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    pip += ["--only-binary=:all:", f"--dest={FETCHED}"]
    pure = ["--platform=any", "--implementation=py", "--abi=none", f"--python-version={PYTHON}"]
    have = {_distribution(wheel) for wheel in FETCHED.glob("*.whl")}
    missing = {name: version for name, version in wanted.items() if (name, version) not in have}
    for options, names in ((pure, missing.keys() - set(PLAIN_HALF)), ([], missing.keys() & set(PLAIN_HALF))):
        if names:
            subprocess.run([*pip, *options, *(f"{name}=={missing[name]}" for name in sorted(names))], check=True)
    return [
        wheel
        for wheel in sorted(FETCHED.glob("*.whl"))
        if wanted.get(_distribution(wheel)[0]) == _distribution(wheel)[1]
    ]


def _kernel() -> list[Path]:
    """The kernel's own wheels; for older ipywidgets it brings a second stand-in, which is left."""
    found = sorted((Path(sys.prefix) / EXTENSION / "static" / "pypi").glob("*.whl"))
    return [wheel for wheel in found if not wheel.name.startswith("widgetsnbextension-3")]


def _own() -> Path:
    """p2plab as it is in this folder."""
    made = WORK / "own"
    shutil.rmtree(made, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, f"--wheel-dir={made}", str(ROOT)], check=True)
    (wheel,) = made.glob("*.whl")
    return wheel


def _lean(wheel: Path, folder: Path) -> Path:
    """A copy without what nobody asks for in the browser."""
    name, version = _distribution(wheel)
    plain = name in PLAIN_HALF
    target = folder / (f"{name}-{version}-py3-none-any.whl" if plain else wheel.name)
    unwanted = NOT_ASKED_FOR.get(name)
    if unwanted is None and not plain:
        shutil.copy(wheel, target)
        return target
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as lean:
        for item in whole.infolist():
            if (unwanted and unwanted.search(item.filename)) or (plain and item.filename.endswith((".so", ".pyd"))):
                continue
            content = whole.read(item)
            if name == "bokeh" and item.filename.endswith(".py"):
                content = without_numpy(content.decode()).encode()
            lean.writestr(item, content)
        if name == "bokeh":
            lean.write(HERE / "absent.py", "bokeh/_absent.py")
    return target


def without_numpy(text: str) -> str:
    """A module of Bokeh that takes numpy, Pillow and PyYAML from absent.py."""
    for imported, name in (("numpy as np", "numpy as np"), ("PIL.Image", "PIL"), ("yaml", "yaml")):
        text = re.sub(rf"^( *)import {re.escape(imported)}$", rf"\1from bokeh._absent import {name}", text, flags=re.M)
    return text


def _write_lock(wheels: list[Path], runtime: Path) -> None:
    """The list from which the runtime loads packages: only what is in the folder, each with its digest."""
    info = json.loads((_pyodide() / "pyodide-lock.json").read_text())["info"]
    packages = {}
    for wheel in wheels:
        name, version = _distribution(wheel)
        packages[name] = {
            "name": name,
            "version": version,
            "file_name": wheel.name,
            "install_dir": "site",
            "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
            "package_type": "package",
            "imports": _imports(wheel),
            "depends": [],  # all of them are loaded at the start
            "unvendored_tests": False,
        }
    (runtime / "pyodide-lock.json").write_text(json.dumps({"info": info, "packages": packages}, indent=1))


def _imports(wheel: Path) -> list[str]:
    """What can be imported from a wheel."""
    with zipfile.ZipFile(wheel) as file:
        tops = {Path(name).parts[0] for name in file.namelist() if name.endswith(".py")}
    return sorted(top.removesuffix(".py") for top in tops if ".dist-info" not in top and ".data" not in top)


def _write_settings(packages: list[str]) -> None:
    """All packages are loaded with the runtime, and nobody is asked for others."""
    kernel = {
        "loadPyodideOptions": {"packages": packages},
        "disablePyPIFallback": True,
    }
    data = {
        "appName": "p2plab",
        "exposeAppInBrowser": True,  # _notebook_first reaches it
        "disabledExtensions": ["@jupyterlab/apputils-extension:announcements"],
        "litePluginSettings": {"@jupyterlite/pyodide-kernel-extension:kernel": kernel},
    }
    settings = {"jupyter-lite-schema-version": 0, "jupyter-config-data": data}
    (LITE / "jupyter-lite.json").write_text(json.dumps(settings, indent=1))
    overrides = {"@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}}}
    (LITE / "overrides.json").write_text(json.dumps(overrides))


def _copy_notebooks() -> None:
    """Those that run here, for the browser's kernel, and what they lead to."""
    folder = LITE / "files" / "notebooks"
    folder.mkdir(parents=True)
    known = {*NOTEBOOKS, *LEFT_OUT}
    for source in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if source.stem not in known:
            raise SystemExit(f"ways/lite/parts.py says neither that {source.name} runs in a browser nor why not")
        if source.stem in NOTEBOOKS:
            notebook = json.loads(source.read_text(encoding="utf-8"))
            notebook["metadata"]["kernelspec"] = {
                "display_name": "Python (Pyodide)",
                "language": "python",
                "name": "python",
            }
            _show_what_needs_numpy(notebook, NUMPY.get(source.stem, ()))
            (folder / source.name).write_text(json.dumps(notebook), encoding="utf-8")
    for name, file in course_in(ROOT).items():
        if not name.startswith("notebooks/"):
            (LITE / "files" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, LITE / "files" / name)


def _show_what_needs_numpy(notebook: dict[str, Any], words: Sequence[str]) -> None:
    """Such cells print what they printed here, in the project's environment, and say so."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    needy = [cell for cell in cells if any(word in "".join(cell["source"]) for word in words)]
    if not needy:
        return
    sources = ["".join(cell["source"]) for cell in needy]
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "python", "-c", _PRINTED, json.dumps(sources)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for cell, source, printed in zip(needy, sources, json.loads(done.stdout), strict=True):
        asked = "".join(f"#     {line}\n" for line in source.splitlines())
        said = "# This cell needs NumPy, which this site cannot bring. What it printed when the site was built:\n"
        cell["source"] = f'{said}{asked}print("""\n{printed.rstrip()}\n""")'


_PRINTED = """
import contextlib, io, json, sys
names, said = {}, []
for source in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(source, names)
    said.append(out.getvalue())
print(json.dumps(said))
"""


def _jupyter_lite() -> None:
    """Let JupyterLite put the site together, with the front ends of our widgets from the project's environment."""
    options = ["--apps=lab", "--no-sourcemaps", "--no-unused-shared-packages", f"--output-dir={SITE}"]
    for name in ("anywidget", "@jupyter-widgets/jupyterlab-manager"):
        shutil.copytree(ROOT / ".venv" / "share" / "jupyter" / "labextensions" / name, LITE / "widgets" / name)
    more = {"FederatedExtensionAddon": {"extra_labextensions_path": [str(LITE / "widgets")]}}
    (LITE / "jupyter_lite_config.json").write_text(json.dumps(more))
    subprocess.run([Path(sys.prefix) / "bin" / "jupyter", "lite", "build", *options], cwd=LITE, check=True)


def _notebook_first() -> None:
    """A link to a notebook shows the notebook, and not the file browser over it, which hides all of it on a phone."""
    page = SITE / "lab" / "index.html"
    text = page.read_text(encoding="utf-8")
    if text.count("</body>") != 1:
        raise SystemExit("JupyterLite's page has changed: its file browser would hide a notebook on a phone")
    page.write_text(text.replace("</body>", f"<script>{_COLLAPSE}</script>\n</body>"), encoding="utf-8")


#: JupyterLab opens its file browser once more some time after the notebook is there: until then, or until a person acts.
_COLLAPSE = """
let since = 0;
const looks = new URLSearchParams(location.search).has("path") && setInterval(() => {
  const shell = window.jupyterapp?.shell;
  if (!shell?.currentWidget) return;
  since ||= Date.now();
  if (!shell.leftCollapsed) shell.collapseLeft();
  if (Date.now() > since + 5_000) clearInterval(looks);
}, 50);
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => clearInterval(looks), true);
"""


def _front_page() -> None:
    """A story to step through at once; below it what is here, and what is left out on purpose."""
    titles = {name: _title(ROOT / "notebooks" / f"{name}.ipynb") for name in NOTEBOOKS}
    link = "lab/index.html?path=notebooks"
    here = "\n".join(f'<li><a href="{link}/{name}.ipynb">{escape(titles[name])}</a></li>' for name in NOTEBOOKS)
    rest = "\n".join(f"<li>{what}: {why}</li>" for what, why in NOT_HERE)
    front = (HERE / "front.html").read_text(encoding="utf-8")
    for mark, text in (("HERE", here), ("NOT_HERE", rest)):
        front = front.replace(f"<!-- {mark} -->", text)
    shutil.copy(HERE / "python.js", SITE)
    page = stories_page(python="python.js", below=front + beats_list(), told_in_beats=beats_json())
    (SITE / "index.html").write_text(page, encoding="utf-8")


def _title(notebook: Path) -> str:
    first = "".join(json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"])
    return first.splitlines()[0].lstrip("# ")


def _distribution(wheel: Path) -> tuple[str, str]:
    name, version = wheel.name.split("-")[:2]
    return normal(name), version


if __name__ == "__main__":
    main()
