"""Do the browser's halves of the widgets exist where this JupyterLab looks, and does it start this Python?

The commonest fault: Jupyter of one environment serves a kernel of another. Python's half of a widget is then here, the
browser's half is missing there, and the page says "Error displaying widget".
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from p2plab.doctor.check import BAD, NOTE, OK, Check, short
from p2plab.doctor.software import inside, terminal_only

#: Package with the browser's half, its folder below share/jupyter/labextensions.
HALVES = {"jupyterlab_widgets": "@jupyter-widgets/jupyterlab-manager", "anywidget": "anywidget"}


def front_ends() -> Iterator[Check]:
    """The browser's halves, where the JupyterLab that serves this kernel (or that is started from here) looks."""
    if sys.platform == "emscripten":
        yield Check("widgets", OK, "part of this site")
        return
    if terminal_only():
        return
    server = server_prefix()
    prefix = server or Path(sys.prefix)
    missing = [package for package, folder in HALVES.items() if not _front_end(prefix, folder)]
    home = str(Path.home())
    if missing:
        where = f"the JupyterLab that serves this kernel, {short(prefix, home)}" if server else short(prefix, home)
        cure = f"pip install {' '.join(missing)} in {where}, and restart JupyterLab"
        yield Check("widgets", BAD, f"no front end of {' and '.join(missing)} in {short(prefix, home)}", cure)
        return
    wanted = {"jupyterlab_widgets": _wanted("ipywidgets", "jupyterlab_widgets"), "anywidget": _same_minor("anywidget")}
    there = {package: _installed(prefix, package) for package in wanted}
    wrong = [package for package, version in there.items() if version and not inside(version, wanted[package])]
    for package in wrong:
        cure = f"pip install '{package}{wanted[package]}' in {short(prefix, home)}, and restart JupyterLab"
        yield Check("widgets", BAD, f"front end of {package} is of {there[package]}, wanted {wanted[package]}", cure)
    if not wrong:
        yield Check("widgets", OK, ", ".join(f"{name} {version or '(there)'}" for name, version in there.items()))


def kernels() -> Iterator[Check]:
    """As :func:`kernel`, where there is a JupyterLab."""
    if not terminal_only():
        yield kernel()


def kernel() -> Check:
    """Which Python a notebook would start, or which JupyterLab serves this kernel."""
    if sys.platform == "emscripten":
        return Check("kernel", OK, "Python in this page")
    home = str(Path.home())
    server = server_prefix()
    if server is not None and server != Path(sys.prefix):
        cure = "fine while the versions of `widgets` above fit; simplest is Jupyter and kernel in one environment"
        return Check("kernel", NOTE, f"of {short(sys.prefix, home)}, served by {short(server, home)}", cure)
    if server is not None:
        return Check("kernel", OK, "served by the JupyterLab of this environment")
    spec = _kernel_spec()
    if spec is None:
        cure = "pip install ipykernel here: JupyterLab has no kernel 'python3' to start"
        return Check("kernel", BAD, "no kernel 'python3'", cure)
    file, started = spec
    if started.is_absolute() and started.exists() and _prefix_of(started) != Path(sys.prefix):
        cure = f"remove {short(file, home)}, or: python -m ipykernel install --sys-prefix"
        return Check("kernel", BAD, f"'python3' starts {short(started, home)}, not this environment", cure)
    if started.is_absolute() and not started.exists():
        return Check(
            "kernel", BAD, f"'python3' starts {short(started, home)}, which is gone", f"remove {short(file, home)}"
        )
    return Check("kernel", OK, f"'python3' is this environment's, {short(sys.prefix, home)}")


def server_prefix(environ: Mapping[str, str] | None = None, proc: Path = Path("/proc")) -> Path | None:
    """The environment of the Jupyter that started this process as a kernel, where that can be known (Linux)."""
    number = (os.environ if environ is None else environ).get("JPY_PARENT_PID", "")
    try:
        parent = proc / str(int(number))
        words = [os.fsdecode(word) for word in (parent / "cmdline").read_bytes().split(b"\0")[:3]]
        program = next(Path(word) for word in words if re.search(r"/bin/(python|jupyter)[\w.-]*$", word))
        return _prefix_of(program if program.is_absolute() else (parent / "cwd").readlink() / program)
    except (OSError, ValueError, StopIteration):
        return None


def _prefix_of(program: Path) -> Path:
    """The environment that a program in its ``bin`` belongs to. The program's own link is not followed: it leads out of it."""
    prefix = program.parent.parent.resolve()
    here = Path(sys.prefix)
    return here if prefix == here.resolve() else prefix


def _front_end(prefix: Path, folder: str) -> bool:
    """Whether the browser's half is where an environment's JupyterLab looks."""
    return (prefix / "share" / "jupyter" / "labextensions" / folder / "package.json").is_file()


def _installed(prefix: Path, package: str) -> str:
    """The version of a package in an environment, which may not be this one; empty if it cannot be found."""
    found = [path.name.split("-")[1] for path in prefix.glob(f"lib/python3*/site-packages/{package}-*.dist-info")]
    return found[0].removesuffix(".dist") if found else ""


def _same_minor(package: str) -> str:
    """Both halves of this package must have the same minor version."""
    try:
        return f"~={'.'.join(importlib.metadata.version(package).split('.')[:2])}.0"
    except importlib.metadata.PackageNotFoundError:
        return ""


def _wanted(package: str, needed: str) -> str:
    """The range in which one package needs another."""
    try:
        lines = importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    for line in lines:
        if line.replace("-", "_").startswith(needed):
            return re.sub(r"[^~<>=,.\d]", "", line.partition(";")[0][len(needed) :])
    return ""


def _kernel_spec() -> tuple[Path, Path] | None:
    """The file of the kernel 'python3' that Jupyter finds first, and the program that it starts."""
    try:
        from jupyter_core.paths import jupyter_path
    except ImportError:
        places = [str(Path(sys.prefix) / "share" / "jupyter" / "kernels")]
    else:
        places = jupyter_path("kernels")
    for place in places:
        file = Path(place) / "python3" / "kernel.json"
        try:
            return file, Path(json.loads(file.read_text(encoding="utf-8"))["argv"][0])
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            continue
    return None
