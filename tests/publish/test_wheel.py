"""The package as pip installs it: alone in an empty environment, outside of the checkout."""

from __future__ import annotations

import email
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import time
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from p2plab.cli import COMMANDS

ROOT = Path(__file__).parents[2]


def built(folder: Path, repository: str = "") -> tuple[Path, Path]:
    """Wheel and sdist, by the pinned build backend and nobody else."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=ROOT, env={**os.environ, "P2PLAB_REPOSITORY": repository}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(file.read(name))


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return built(tmp_path_factory.mktemp("dist"))


class Environment:
    """An empty environment with p2plab's wheel, and a folder to work in that is no checkout."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
        self.folder, self.work = folder, folder / "work"
        self.work.mkdir()
        self.python = folder / "bin" / "python"
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(self.python),
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
        ]
        subprocess.run([*pip, "--disable-pip-version-check", str(wheel)], check=True)
        self.env = {"HOME": str(self.work), "PATH": f"{folder / 'bin'}:{os.defpath}", "P2PLAB_JOURNAL": ""}

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.work, env=self.env, input=stdin, capture_output=True, text=True, check=False, timeout=120
        )


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, packages: tuple[Path, Path]) -> Environment:
    return Environment(tmp_path_factory.mktemp("empty"), packages[0])


#: Every command, as a person would type it, with its exit status; what is missing in it needs no package.
TYPED = {
    "scenes": (["scenes"], 0),
    "run": (["run", "defrag-ignorant"], 1),
    "replay": (["replay", "-"], 1),
    "export": (["export", "defrag-obedient", "--html", "run.html", "--text", "run.txt"], 0),
    "check": (["check", "defrag-obedient"], 0),
    "catalog": (["catalog", "F1", "--seeds", "1"], 0),
    "designs": (["designs"], 0),
    "sweep": (["sweep", "refusals", "--seeds", "1"], 2),
    "machine": (["machine", "q35_switch2"], 0),
    "reach": (["reach", "q35_switch2", "03:00.0", "04:00.0"], 0),
    "whatif": (["whatif", "q35_switch2", "--iommu", "on"], 0),
    "conform": (["conform", "mm", "two_race.linux-6.12"], 0),
    "events": (["events", "munmap"], 0),
    "lockdep": (["lockdep", "defrag-obedient", "--seeds", "1"], 0),
    "quiz": (["quiz", "--seed", "1"], 0),
    "story": (["story", "06", "--beat", "2"], 0),
    "lab": (["lab"], 2),
    "mark": (["mark", "hand-ins", "--unprotected"], 0),
    "doctor": (["doctor"], 0),
    "completion": (["completion", "bash"], 0),
}
#: What the commands that need more say.
MISSING = {
    "sweep": "p2plab: this needs numpy, which is not installed here: pip install 'p2plab[lab]'\n",
    "lab": "p2plab: the notebooks need jupyterlab, which is not installed here: pip install 'p2plab[lab]'\n",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works_from_the_wheel_alone(empty: Environment, command: str):
    """Without one package and outside of the checkout; what cannot says in one sentence what to type."""
    (empty.work / "hand-ins").mkdir(exist_ok=True)
    (empty.work / "hand-ins" / "ada.json").write_text("{}")
    words, status = TYPED[command]
    stdin = empty.run("p2plab", "run", "defrag-ignorant").stdout if command == "replay" else ""
    done = empty.run("p2plab", *words, stdin=stdin)
    assert done.returncode == status, done.stderr[-2000:]
    if status == 2:
        assert done.stderr == MISSING[command]
    elif command != "mark":
        assert done.stdout
    assert "Traceback" not in done.stderr


def test_an_explorer_says_in_one_sentence_what_to_type(empty: Environment):
    """In Python too; the rest of the front door works."""
    code = "import p2plab; print(p2plab.check('defrag-obedient').complete); p2plab.Lab('F1')"
    done = empty.run(str(empty.python), "-c", code)
    assert done.stdout == "True\n"
    last = done.stderr.splitlines()[-1]
    assert last.endswith(
        "NotInstalled: the explorers need ipywidgets, which is not installed here: pip install 'p2plab[lab]'"
    ) or ("NotInstalled: the explorers need " in last and last.endswith("pip install 'p2plab[lab]'"))


def test_the_doctor_knows_a_terminal_without_explorers(empty: Environment):
    """Nothing is wrong with it."""
    said = empty.run("p2plab", "doctor").stdout
    assert "BAD" not in said
    assert "pip install 'p2plab[lab]'" in said
    assert said.splitlines()[-1] == "verdict: ready, for the terminal"


def test_the_course_is_copied_and_never_over_what_a_person_changed(empty: Environment):
    """All notebooks with what they lead to; a changed one stays, an untouched one of an earlier version is updated."""
    folder = empty.work / "my course"
    first = json.loads(empty.run("p2plab", "lab", str(folder), "--copy", "--json").stdout)
    assert first["kept"] == first["updated"] == []
    names = {f"notebooks/{file.name}" for file in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    assert names <= set(first["copied"])
    assert (folder / "docs" / "glossary.md").read_bytes() == (ROOT / "docs" / "glossary.md").read_bytes()
    mine, old = folder / "notebooks" / "01-address-spaces.ipynb", folder / "examples" / "my_nic.py"
    mine.write_text("mine")
    old.write_text("of an earlier version")
    note = json.loads((folder / ".p2plab-course.json").read_text())
    note["files"]["examples/my_nic.py"] = hashlib.sha256(old.read_bytes()).hexdigest()
    (folder / ".p2plab-course.json").write_text(json.dumps(note))
    again = empty.run("p2plab", "lab", str(folder), "--copy").stdout
    assert "left as you changed them: notebooks/01-address-spaces.ipynb" in again
    assert "1 brought up to date" in again
    assert mine.read_text() == "mine"
    assert old.read_bytes() == (ROOT / "examples" / "my_nic.py").read_bytes()


def test_links_of_the_copied_course_lead_to_a_file(empty: Environment):
    """Documents and notebooks among each other; pictures stay in the repository."""
    from tests.test_links import links

    folder = empty.work / "linked"
    empty.run("p2plab", "lab", str(folder), "--copy")
    dead = []
    for page in [*folder.rglob("*.md"), *folder.rglob("*.ipynb")]:
        inside = (target.partition("#")[0] for target in links(page) if ":" not in target)
        dead += [f"{page.name}: {target}" for target in inside if target and not (page.parent / target).exists()]
    assert [line for line in dead if "assets/pictures" not in line] == []


def test_the_lab_opens_the_notebooks_from_anywhere(empty: Environment, tmp_path: Path):
    """With the packages of the extra beside it, JupyterLab serves the copied folder and runs this p2plab's kernel."""
    here = Path(next(path for path in sys.path if path.endswith("site-packages")))
    site = next((empty.folder / "lib").glob("python*/site-packages"))
    beside = site / "beside.pth"
    beside.write_text(f"{here}\n")
    port = 18_000 + os.getpid() % 10_000
    environment = {**empty.env, "JUPYTER_TOKEN": "open", "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter")}
    program = [str(empty.folder / "bin" / "p2plab"), "lab", str(tmp_path / "course"), "--no-browser", f"--port={port}"]
    server = subprocess.Popen(
        program,
        cwd=empty.work,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        until, found = time.monotonic() + 60, b""
        while b"00-start-here.ipynb" not in found:
            assert server.poll() is None, server.stdout and server.stdout.read()
            assert time.monotonic() < until
            time.sleep(0.3)
            try:
                address = f"http://127.0.0.1:{port}/api/contents/notebooks?token=open"
                found = urllib.request.urlopen(address, timeout=5).read()
            except OSError:
                continue
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)
        beside.unlink()


def test_the_metadata_is_complete_and_names_no_address_without_a_repository(packages: tuple[Path, Path]):
    """No dependency; extras; authors, keywords, types; no dead link in the page of an index."""
    said = metadata(packages[0])
    required = said.get_all("Requires-Dist")
    assert required is not None
    assert all("extra ==" in line for line in required)
    assert {"lab", "app"} <= set(said.get_all("Provides-Extra") or ())
    assert said["Author"] == "the p2plab developers"
    assert "mmu-notifier" in said["Keywords"]
    assert "Typing :: Typed" in (said.get_all("Classifier") or ())
    assert said.get_all("Project-URL") is None
    text = said.get_payload()
    assert isinstance(text, str)
    assert "](docs/" not in text
    assert "assets/pictures" not in text
    assert "](http" not in text


def test_a_repository_gives_addresses_and_absolute_pictures(tmp_path: Path):
    """`make dist REPO=gh/OWNER/REPO`."""
    said = metadata(built(tmp_path, "gh/OWNER/REPO")[0])
    urls = dict(line.split(", ") for line in said.get_all("Project-URL") or ())
    assert urls["Source"] == "https://github.com/OWNER/REPO"
    assert urls["Issues"] == "https://github.com/OWNER/REPO/issues"
    text = str(said.get_payload())
    assert "https://raw.githubusercontent.com/OWNER/REPO/v0.1.0/assets/pictures/" in text
    assert "https://github.com/OWNER/REPO/blob/v0.1.0/docs/" in text


def test_the_source_has_no_screenshot_and_all_that_a_wheel_is_built_of(packages: tuple[Path, Path]):
    """Recordings with their licence, notebooks, the citation; small."""
    with tarfile.open(packages[1]) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert not [name for name in names if name.endswith(".png")]
    wanted = {"CITATION.cff", "LICENSE", "assets/recordings/LICENSE", "ways/publish/metadata.py", "requirements.lock"}
    assert wanted <= names
    assert any(name.startswith("notebooks/00") for name in names)
    assert packages[1].stat().st_size < 3_000_000
