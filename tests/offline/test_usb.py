"""The folder that sets a machine up without a network: what is in it, what it refuses, and (``P2PLAB_USB=all``) the real thing.

The real thing downloads a hundred wheels and installs them, so ``make usb-test`` does it and CI does not on every change.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OFFLINE = ROOT / "ways" / "offline"


@pytest.fixture
def closure(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """ways/offline/closure.py; its folder is no package."""
    monkeypatch.syspath_prepend(str(OFFLINE))
    import closure

    yield closure
    sys.modules.pop("closure", None)


def test_the_folder_holds_what_p2plab_needs_and_what_that_needs(closure):
    """All pinned; nothing that only developers need."""
    found = closure.closure()
    assert {"anywidget", "bokeh", "ipywidgets", "jupyterlab", "numpy", "notebook", "voila", "ipykernel"} <= found.keys()
    assert all(found.values()), [name for name, version in found.items() if not version]
    assert not {"p2plab", "mypy", "ruff", "playwright", "pytest", "jupyterhub"} & found.keys()


def test_another_system_gets_its_own_packages(closure):
    """Windows needs two that this machine has never seen."""
    windows = {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "python_version": "3.12"}
    found = closure.closure(target=windows)
    assert {"colorama", "pywinpty"} <= found.keys()
    assert "ptyprocess" not in found


@pytest.mark.parametrize("text", ["win_amd64", "solaris:3.12", "win_amd64:3", "x"])
def test_a_platform_that_cannot_be_read_is_refused(tmp_path: Path, text: str):
    """With two examples, before anything is downloaded."""
    done = run(["build.py", str(tmp_path / "stick"), "--also", text])
    assert done.returncode == 1
    assert "write PLATFORM:PYTHON, such as win_amd64:3.12" in done.stderr
    assert not (tmp_path / "stick").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path):
    """Somebody's stick has somebody's files."""
    (tmp_path / "thesis.tex").write_text("all of it")
    done = run(["build.py", str(tmp_path)])
    assert done.returncode == 1
    assert "has other things in it" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder as install.py expects it, with a wheel for this Python that is none."""
    wheel = f"numpy-1-cp{sys.version_info[0]}{sys.version_info[1]}-none-any.whl"
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / wheel).write_bytes(b"numpy")
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(b'numpy').hexdigest()}  wheels/{wheel}\n")
    shutil.copy(OFFLINE / "install.py", tmp_path)
    return tmp_path


def test_a_whole_folder_will_do(stick: Path):
    """--check changes nothing."""
    done = run([str(stick / "install.py"), "--check"])
    assert (done.returncode, done.stdout) == (0, "this machine will do, and the folder is whole\n")


def test_a_damaged_wheel_is_found_before_anything_is_done(stick: Path):
    """Named, with what to do."""
    (wheel,) = (stick / "wheels").iterdir()
    wheel.write_bytes(b"nunpy")
    done = run([str(stick / "install.py"), str(stick / "made")])
    assert done.returncode == 1
    assert f"wheels/{wheel.name} is missing or damaged. Copy the folder again." in done.stderr
    assert not (stick / "made").exists()


def test_a_folder_for_another_python_is_refused(stick: Path):
    """It says for which it was filled."""
    (wheel,) = (stick / "wheels").iterdir()
    other = wheel.rename(wheel.with_name("numpy-1-cp399-none-any.whl"))
    (stick / "SHA256SUMS").write_text(f"{hashlib.sha256(b'numpy').hexdigest()}  wheels/{other.name}\n")
    done = run([str(stick / "install.py")])
    assert done.returncode == 1
    assert "the folder was filled for Python 3.99, and this is 3." in done.stderr


def test_half_a_folder_is_refused(tmp_path: Path):
    """install.py alone is not enough."""
    shutil.copy(OFFLINE / "install.py", tmp_path)
    assert "there is no folder of wheels beside install.py" in run([str(tmp_path / "install.py")]).stderr


def test_a_home_with_other_things_in_the_way_is_left_alone(stick: Path):
    """~/p2plab may be somebody's own."""
    (stick / "home" / "p2plab").mkdir(parents=True)
    (stick / "home" / "p2plab" / "mine").touch()
    done = run([str(stick / "install.py")], HOME=str(stick / "home"))
    assert done.returncode == 1
    assert "p2plab has other things in it; give the name of a new folder" in done.stderr


RUN_NOTEBOOK = """
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read("notebooks/00-start-here.ipynb", as_version=4)
NotebookClient(notebook, timeout=120, resources={"metadata": {"path": "notebooks"}}).execute()
outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
assert not [output for output in outputs if output.output_type == "error"]
print(next(o["data"]["text/plain"] for o in outputs if "verdict" in str(o)))
"""


@pytest.mark.skipif(os.environ.get("P2PLAB_USB") != "all", reason="`make usb-test` downloads and installs")
def test_a_machine_is_set_up_without_a_network(tmp_path: Path):
    """In a network namespace with nothing but itself (as root), with an empty home: set up, doctor, first notebook."""
    stick, home = tmp_path / "stick", tmp_path / "home"
    home.mkdir()
    built = run(["build.py", str(stick)], **os.environ)
    assert built.returncode == 0, built.stderr[-2000:]
    alone = ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"] if os.geteuid() == 0 else []
    clean = {"HOME": str(home), "PATH": os.defpath + ":/usr/sbin:/sbin", "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    done = subprocess.run(
        [*alone, sys.executable, str(stick / "install.py")], env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "verdict: ready, the lab will draw here" in done.stdout
    assert [path.name for path in home.iterdir() if not path.name.startswith(".")] == ["p2plab"]
    python = home / "p2plab" / "environment" / "bin" / "python"
    played = subprocess.run(
        [*alone, str(python), "-c", RUN_NOTEBOOK],
        cwd=home / "p2plab", env=clean, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert played.returncode == 0, played.stderr[-2000:]
    assert played.stdout.rstrip().endswith("verdict: ready, the lab will draw here")


def run(words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    env = environment or {"HOME": "/nonexistent", "PATH": os.defpath}
    return subprocess.run([sys.executable, *words], cwd=OFFLINE, env=env, capture_output=True, text=True, check=False)
