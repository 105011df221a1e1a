"""Checks what Binder would build from this tree, as far as that can be done without Docker and conda: ``make binder``.

Two throwaway environments: one with repo2docker, asked what it would build; one with exactly the packages and ranges of
environment.yml, taken from PyPI, in which postBuild runs, the first notebook is executed, and a server with a login answers
the links of links.py. docs/binder.md says what this leaves open.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from ways.publish.links import Place

ROOT = Path(__file__).parents[2]
FIRST = "00-start-here.ipynb"


class Wrong(Exception):
    """A sentence about what Binder would do otherwise than meant."""


def environment_packages() -> tuple[str, list[str]]:
    """Python's version and the other packages of environment.yml, with their ranges. :exc:`Wrong` if it has no version."""
    lines = [line.strip() for line in (ROOT / "environment.yml").read_text().splitlines()]
    listed = [line.removeprefix("- ") for line in lines if line.startswith("- ") and line != "- conda-forge"]
    python = [item for item in listed if item.startswith("python=")]
    if not python:
        raise Wrong("environment.yml names Python in a form that repo2docker does not read: say python=3.11")
    return python[0].removeprefix("python="), [item for item in listed if item not in (*python, "pip")]


def tree(folder: Path) -> Path:
    """What git knows, as Binder clones it: changes included, anything ignored left out."""
    known = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(known, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def new_environment(folder: Path, *packages: str) -> Path:
    """A new environment with packages from PyPI; its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(f"{' '.join(packages)} cannot be installed: {done.stderr[-1500:]}")
    return folder / "bin"


def detected(bin: Path, source: Path) -> str:
    """What repo2docker makes of the tree; :exc:`Wrong` if it is not what environment.yml means."""
    asked = [bin / "python", ROOT / "ways" / "publish" / "detect.py"]
    found = json.loads(subprocess.run(asked, cwd=source, capture_output=True, text=True, check=True).stdout)
    python, _ = environment_packages()
    if (found["pack"], found["python"], found["post_build"]) != ("CondaBuildPack", python, ["postBuild"]):
        raise Wrong(f"repo2docker takes {found['pack']} with Python {found['python']}, {found['post_build']}")
    dockerfile = found["dockerfile"]
    order = (
        "COPY --chown=1000:1000 src/environment.yml",
        "env update",
        "COPY --chown=1000:1000 src/ ",
        "RUN ./postBuild",
    )
    places = [dockerfile.find(mark) for mark in order]
    if -1 in places or places != sorted(places):
        raise Wrong(f"the layers are not in the order {order}: a change of code would rebuild the environment")
    return f"repo2docker {found['version']}: {found['pack']}, Python {python}, environment before code, then postBuild"


def installed(folder: Path) -> str:
    """The packages of environment.yml, and nothing else."""
    python, packages = environment_packages()
    began = time.monotonic()
    new_environment(folder, *packages)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    said = "" if here == python else f" (under Python {here}, not {python})"
    return f"{len(packages)} packages of environment.yml from PyPI in {time.monotonic() - began:.0f} s, {size:.0f} MB{said}"


def post_built(bin: Path, source: Path) -> str:
    """postBuild, as Binder runs it."""
    done = subprocess.run(["./postBuild"], cwd=source, env=_clean(bin), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(f"postBuild failed: {done.stdout[-500:]} {done.stderr[-1500:]}")
    return "postBuild"


def executed(bin: Path, source: Path) -> str:
    """Run the first notebook in that environment, where its folder is the notebook's own."""
    code = (
        "import nbformat, sys; from nbclient import NotebookClient; notebook = nbformat.read(sys.argv[1], 4);"
        "NotebookClient(notebook, timeout=120).execute();"
        "import p2plab; print(p2plab.__file__)"
    )
    began = time.monotonic()
    run = [bin / "python", "-c", code, FIRST]
    done = subprocess.run(run, cwd=source / "notebooks", env=_clean(bin), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(f"{FIRST} does not run: {done.stderr[-1500:]}")
    if "site-packages" not in done.stdout:
        raise Wrong(f"the notebook used {done.stdout.strip()} and not what postBuild installed")
    return f"{FIRST} ran in {time.monotonic() - began:.1f} s"


def answered(bin: Path, source: Path) -> str:
    """Start the server as Binder does, and open the links' paths with its login behind them, as Binder does."""
    login = secrets.token_urlsafe(16)
    place = Place("gh/OWNER/REPO")
    with _server(bin, source, login) as url:
        for link in (place.notebook(FIRST), place.app(), place.app("p2p1.none")):
            path = parse_qs(urlsplit(link).query)["urlpath"][0]
            page = _page(f"{url}/{path}{'&' if '?' in path else '?'}token={login}")
            if "voila" in path and ("spinner" not in page or "widget-view" not in page or "from p2plab" in page):
                raise Wrong(f"{path} is not the app's page")
            if "voila" in path and re.search(r'(src|href)="https?://(?!127)', page):
                raise Wrong(f"{path} names another server")
    return "the notebook's and the app's links answer behind a login; their pages name no other server"


@contextmanager
def _server(bin: Path, source: Path, login: str) -> Iterator[str]:
    options = ["--ip=127.0.0.1", "--no-browser", f"--IdentityProvider.token={login}", "--port=0", "--allow-root"]
    runtime = source.parent / "runtime"
    environment = _clean(bin) | {"JUPYTER_RUNTIME_DIR": str(runtime)}
    with (source.parent / "server.log").open("wb") as log:
        server = subprocess.Popen([bin / "jupyter-lab", *options], cwd=source, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while not (found := list(runtime.glob("jpserver-*.json"))):
                if time.monotonic() > deadline or server.poll() is not None:
                    raise Wrong(f"no server: {(source.parent / 'server.log').read_text()[-1500:]}")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{json.loads(found[0].read_text())['port']}"
        finally:
            server.terminate()
            server.wait(30)


def _page(url: str) -> str:
    for _ in range(50):
        try:
            with urllib.request.urlopen(url, timeout=120) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise Wrong(f"{error.code} from {url}") from None
        except urllib.error.URLError:
            time.sleep(0.2)
    raise Wrong(f"no answer from {url}")


def _clean(bin: Path) -> dict[str, str]:
    """The environment of a fresh login: nothing of this project's own tools, and no journal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "P2PLAB", "PYTHON"))}
    return kept | {"PATH": f"{bin}{os.pathsep}{os.environ.get('PATH', '')}", "P2PLAB_JOURNAL": ""}


def main() -> int:
    """All checks, each with its line; exit 1 at the first that fails."""
    with tempfile.TemporaryDirectory(prefix="p2plab-binder-") as made:
        folder = Path(made)
        source = tree(folder / "src")
        bin = folder / "binder" / "bin"
        steps: list[Callable[[], str]] = [
            lambda: detected(new_environment(folder / "repo2docker", "jupyter-repo2docker"), source),
            lambda: installed(folder / "binder"),
            lambda: post_built(bin, source),
            lambda: executed(bin, source),
            lambda: answered(bin, source),
        ]
        for step in steps:
            try:
                print(f"ok   {step()}", flush=True)
            except Wrong as error:
                print(f"BAD  {error}")
                return 1
    print("not checked here: conda's own channel and solver, the image itself (docs/binder.md)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
