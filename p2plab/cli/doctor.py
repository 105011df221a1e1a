"""``p2plab doctor``: what is installed, whether the lab will draw here, and one line that sums it up."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from p2plab import __version__
from p2plab.core.errors import P2PError
from p2plab.core.places import recorded_machines


@dataclass(frozen=True)
class Check:
    """One line of the report; ``cure`` says what to do when it is not ``fine``."""

    name: str
    fine: bool
    found: str
    cure: str = ""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("doctor", help="what is installed here, and whether the lab will draw")
    command.set_defaults(handler=run)


def run(_arguments: argparse.Namespace) -> int:
    """Exit 0 if all is fine, else 1."""
    checks = list(examine())
    for check in checks:
        print(f"{'ok ' if check.fine else 'BAD'} {check.name:<20} {check.found}")
        if not check.fine:
            print(f"    -> {check.cure}")
    bad = [check.name for check in checks if not check.fine]
    print(f"verdict: {'not ready, see ' + ', '.join(bad) if bad else 'ready: the lab will draw here'}")
    return 1 if bad else 0


def examine() -> Iterator[Check]:
    """All checks, in order."""
    old = sys.version_info < (3, 11)
    yield Check("python", not old, platform.python_version(), "p2plab needs Python 3.11 or newer")
    yield Check("p2plab", True, __version__)
    for name, wanted in _requirements():
        yield _package(name, wanted)
    yield _front_end("widgets in JupyterLab", "@jupyter-widgets/jupyterlab-manager", "jupyterlab_widgets")
    yield _front_end("anywidget's front end", "anywidget", "anywidget")
    yield _bokehjs()
    yield _recordings()


def _requirements() -> list[tuple[str, str]]:
    """(name, range) of each package that p2plab itself requires."""
    try:
        lines = importlib.metadata.requires("p2plab") or []
    except importlib.metadata.PackageNotFoundError:
        return [(name, "") for name in ("anywidget", "bokeh", "ipywidgets", "jupyterlab", "numpy")]
    # Metadata gives the bounds in any order; people read the lower one first.
    matches = (re.fullmatch(r"([\w.-]+)\s*\(?([<>=!~,.\d\s]*)\)?", line) for line in lines if "extra ==" not in line)
    return [(m[1], ",".join(sorted(m[2].replace(" ", "").split(","), reverse=True))) for m in matches if m]


def _package(name: str, wanted: str) -> Check:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", f"pip install '{name}{wanted}'")
    return Check(
        name, _inside(version, wanted), f"{version} (wanted {wanted or 'any'})", f"pip install '{name}{wanted}'"
    )


def _inside(version: str, wanted: str) -> bool:
    here = _numbers(version)
    for part in filter(None, (text.strip() for text in wanted.split(","))):
        low, high = part.removeprefix(">="), part.removeprefix("<")
        if part.startswith(">=") and here < _numbers(low):
            return False
        if not part.startswith(">=") and part.startswith("<") and here >= _numbers(high):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _front_end(name: str, folder: str, package: str) -> Check:
    """Whether the browser's half of a widget package is where this environment's JupyterLab looks for it."""
    place = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / folder
    there = (place / "package.json").is_file()
    cure = f"reinstall {package} in the environment that runs JupyterLab ({sys.prefix})"
    return Check(name, there, "found" if there else "missing", cure)


def _bokehjs() -> Check:
    spec = importlib.util.find_spec("bokeh")
    script = Path(spec.origin).parent / "server/static/js/bokeh.min.js" if spec and spec.origin else None
    there = script is not None and script.is_file()
    return Check("BokehJS", there, "found" if there else "missing", "reinstall bokeh: its browser half is not there")


def _recordings() -> Check:
    try:
        count = len(recorded_machines())
    except P2PError as error:
        return Check("recorded machines", False, "missing", str(error))
    return Check("recorded machines", count > 0, str(count), "install p2plab from the repository")
