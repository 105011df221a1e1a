"""Is everything installed that p2plab needs, in the right versions, and does a scene run and replay?"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from p2plab import __version__
from p2plab.core.errors import P2PError
from p2plab.core.places import assets, recorded_machines
from p2plab.doctor.check import BAD, NOTE, OK, Check, short

OLDEST = (3, 11)
#: What an installation without its metadata needs at least.
NEEDED = ("anywidget", "bokeh", "ipywidgets", "jupyterlab", "numpy")
#: How to get the explorers and the course.
LAB = "for the explorers and the course: pip install 'p2plab[lab]'"
#: What Python in a browser lacks: the site is its own JupyterLab, and no wheel brings numpy there.
NOT_IN_A_BROWSER = ("jupyterlab", "numpy")


def python() -> Check:
    """Its version."""
    found = f"{platform.python_version()} ({platform.python_implementation()}, {sys.platform})"
    if sys.version_info < OLDEST:
        return Check("python", BAD, found, "p2plab needs Python 3.11 or newer: make PYTHON=/path/to/a/newer/python3")
    return Check("python", OK, found)


def itself() -> Check:
    """p2plab's version, and where it is imported from; a copy other than the installed one is a trap."""
    here = Path(__file__).resolve().parents[2]
    found = f"{__version__} in {short(here, str(Path.home()))}"
    try:
        distribution = importlib.metadata.distribution("p2plab")
    except importlib.metadata.PackageNotFoundError:
        cure = "it runs from its folder, which is fine as long as Jupyter starts there; `make setup` installs it"
        return Check("p2plab", NOTE, f"{found}, not installed", cure)
    if distribution.version != __version__:
        cure = "pip install p2plab again: two versions are mixed"
        return Check("p2plab", BAD, f"{found}, but {distribution.version} is installed", cure)
    url = json.loads(distribution.read_text("direct_url.json") or "{}")
    if url.get("dir_info", {}).get("editable"):
        source = Path(unquote(urlsplit(url["url"]).path))
        if source.resolve() != here:
            cure = (
                f"take {short(here)} out of PYTHONPATH, or start in another folder: this copy hides the installed one"
            )
            return Check("p2plab", NOTE, f"{found}; installed is {short(source)}", cure)
        found += " (editable)"
    return Check("p2plab", OK, found)


def packages() -> Iterator[Check]:
    """One line if all are in their ranges; else a line for each that is not. With none installed, only the terminal works."""
    fine, wrong = [], []
    if terminal_only():
        yield Check("packages", NOTE, "none: the terminal needs nothing but Python", LAB)
        return
    for name, wanted in _requirements():
        cure = f"pip install '{name}{wanted}' in {short(sys.prefix, str(Path.home()))}"
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if sys.platform == "emscripten" and name in NOT_IN_A_BROWSER:
                wrong.append(Check(name, NOTE, "not in a browser: see the site's front page"))
            else:
                wrong.append(Check(name, BAD, "not installed", cure))
            continue
        if inside(version, wanted):
            fine.append(f"{name} {version}")
        else:
            wrong.append(Check(name, BAD, f"{version}, wanted {wanted}", cure))
    if fine:
        yield Check("packages", OK, ", ".join(fine))
    yield from wrong


def terminal_only() -> bool:
    """Whether p2plab was installed without its explorers."""
    return not any(_is_there(name) for name, _ in _requirements())


def _is_there(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def bokehjs() -> Iterator[Check]:
    """The browser's half of Bokeh comes with the Python half: nothing is fetched from another machine."""
    if terminal_only():
        return
    spec = importlib.util.find_spec("bokeh")
    script = Path(spec.origin).parent / "server/static/js/bokeh.min.js" if spec and spec.origin else None
    if script is None or not script.is_file():
        yield Check("BokehJS", BAD, "missing", "pip install --force-reinstall bokeh: its browser half is not there")
        return
    yield Check("BokehJS", OK, f"on this machine, {script.stat().st_size / 1e6:.1f} MB")


def recordings() -> Check:
    """The recorded machines, which every scene needs, and the recorded memory operations, which only conform needs."""
    try:
        count = len(recorded_machines())
        memory = len(list((assets() / "recordings" / "mmu").glob("*.jsonl")))
    except P2PError as error:
        return Check("recordings", BAD, "missing", str(error))
    if not count:
        return Check("recordings", BAD, "no machine", "install p2plab again, from its repository or its wheel")
    return Check("recordings", OK, f"{count} machines" + (f", {memory} files of memory operations" if memory else ""))


def _requirements() -> list[tuple[str, str]]:
    """(name, range) of each package of the extra ``lab``."""
    try:
        lines = importlib.metadata.requires("p2plab") or []
    except importlib.metadata.PackageNotFoundError:
        return [(name, "") for name in NEEDED]
    wanted = [re.sub(r"\s*;\s*extra == ['\"]lab['\"]$", "", line) for line in lines]
    # Metadata gives the bounds in any order; people read the lower one first.
    matches = (re.fullmatch(r"([\w.-]+)\s*\(?([<>=!~,.\d\s]*)\)?", line) for line in wanted)
    return [(m[1], ",".join(sorted(m[2].replace(" ", "").split(","), reverse=True))) for m in matches if m]


def inside(version: str, wanted: str) -> bool:
    """Whether a version is in a range of ``>=``, ``<`` and ``~=``."""
    here = _numbers(version)
    for part in filter(None, (text.strip() for text in wanted.split(","))):
        sign, bound = part[:2].rstrip("0123456789"), _numbers(part)
        if sign in (">=", "~=") and here < bound:
            return False
        if sign == "<" and here >= bound:
            return False
        if sign == "~=" and here[: len(bound) - 1] != bound[:-1]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


SCENE = "defrag-obedient"
#: Seconds; an ordinary machine needs 0.05 s, Python in a browser a few tenths.
SLOW = 3.0


def trial(scene: str = SCENE) -> Check:
    """Run, replay, compare the logs."""
    began = time.perf_counter()
    try:
        from p2plab.core.run import Run
        from p2plab.core.token import open_token, token_of
        from p2plab.everything import find

        run = Run(find(scene)).told()
        again = open_token(token_of(run), find)
    except Exception as error:  # noqa: BLE001  whatever it is, the person has to see it, and the other checks too
        cure = "install p2plab again; if that does not help, send this line to the project"
        return Check("a scene runs", BAD, f"{scene}: {type(error).__name__}: {str(error)[:200]}", cure)
    seconds = time.perf_counter() - began
    found = f"{scene}, {len(run)} steps and its token, {seconds:.2f} s"
    if again.log != run.log:
        return Check("a scene runs", BAD, f"{scene}: its token replays another run", "install p2plab again")
    if seconds > SLOW:
        return Check("a scene runs", NOTE, found, "slow: the machine is busy or small; the lab will lag")
    return Check("a scene runs", OK, found)
