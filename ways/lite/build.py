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
from html import escape
from pathlib import Path

from parts import (
    LEFT_OUT,
    NOT_ASKED_FOR,
    NOT_HERE,
    NOTEBOOKS,
    PLAIN_HALF,
    PYODIDE,
    PYTHON,
    ROOT,
    SITE,
    WORK,
    normal,
    pins,
)

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
        "disabledExtensions": ["@jupyterlab/apputils-extension:announcements"],
        "litePluginSettings": {"@jupyterlite/pyodide-kernel-extension:kernel": kernel},
    }
    settings = {"jupyter-lite-schema-version": 0, "jupyter-config-data": data}
    (LITE / "jupyter-lite.json").write_text(json.dumps(settings, indent=1))


def _copy_notebooks() -> None:
    """Those that run here, for the browser's kernel."""
    folder = LITE / "files"
    folder.mkdir()
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
            (folder / source.name).write_text(json.dumps(notebook), encoding="utf-8")


def _jupyter_lite() -> None:
    """Let JupyterLite put the site together, with the front ends of our widgets from the project's environment."""
    options = ["--apps=lab", "--no-sourcemaps", "--no-unused-shared-packages", f"--output-dir={SITE}"]
    for name in ("anywidget", "@jupyter-widgets/jupyterlab-manager"):
        shutil.copytree(ROOT / ".venv" / "share" / "jupyter" / "labextensions" / name, LITE / "widgets" / name)
    more = {"FederatedExtensionAddon": {"extra_labextensions_path": [str(LITE / "widgets")]}}
    (LITE / "jupyter_lite_config.json").write_text(json.dumps(more))
    subprocess.run([Path(sys.prefix) / "bin" / "jupyter", "lite", "build", *options], cwd=LITE, check=True)


def _front_page() -> None:
    """What is here, and what is left out on purpose."""
    titles = {name: _title(ROOT / "notebooks" / f"{name}.ipynb") for name in (*NOTEBOOKS, *LEFT_OUT)}
    here = "\n".join(
        f'<li><a href="lab/index.html?path={name}.ipynb">{escape(titles[name])}</a></li>' for name in NOTEBOOKS
    )
    out = "\n".join(f"<li>{escape(titles[name])}: {escape(why)}</li>" for name, why in LEFT_OUT.items())
    rest = "\n".join(f"<li>{what}: {why}</li>" for what, why in NOT_HERE)
    page = (HERE / "front.html").read_text(encoding="utf-8")
    for mark, text in (("HERE", here), ("LEFT_OUT", out), ("NOT_HERE", rest)):
        page = page.replace(f"<!-- {mark} -->", text)
    (SITE / "index.html").write_text(page, encoding="utf-8")


def _title(notebook: Path) -> str:
    first = "".join(json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"])
    return first.splitlines()[0].lstrip("# ")


def _distribution(wheel: Path) -> tuple[str, str]:
    name, version = wheel.name.split("-")[:2]
    return normal(name), version


if __name__ == "__main__":
    main()
