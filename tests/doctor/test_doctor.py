"""Each fault is made on purpose, and its line says what to do."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import sys
import types
from collections import namedtuple
from pathlib import Path

import pytest

from p2plab.cli import main
from p2plab.core import places
from p2plab.doctor import Check, InstallationReport, doctor, front_end, machine, software
from p2plab.doctor.check import BAD, COLUMNS, NOTE, OK


def test_a_working_installation_fits_on_one_screen(capsys):
    """80 columns, 24 lines, exit status 0; only what the environment itself may lack is noted."""
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= COLUMNS
    assert lines[-1] == "verdict: ready, the lab will draw here"


def test_json_says_the_same(capsys):
    """For a program: ready, and each check with its state and cure."""
    assert main(["doctor", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ready"] is True
    assert {"python", "packages", "widgets", "kernel", "journal", "a scene runs"} <= {c["name"] for c in said["checks"]}
    assert all(check["state"] in (OK, NOTE) for check in said["checks"])


def test_what_is_wrong_is_named_in_the_verdict_with_its_cure(capsys, monkeypatch):
    """Exit status 1."""
    monkeypatch.setattr(places, "_PACKAGE", Path("/nowhere/p2plab"))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "BAD  recordings       missing\n     -> no assets beside p2plab" in out
    assert out.splitlines()[-1].startswith("verdict: not ready, see recordings")


def test_a_look_that_fails_is_a_finding_and_stops_no_other():
    """Whatever it raises."""

    def broken() -> Check:
        raise ZeroDivisionError("of the look itself")

    report = doctor([broken, software.python])
    assert [check.state for check in report.checks] == [BAD, OK]
    assert "ZeroDivisionError: of the look itself" in str(report)


def test_a_notebook_shows_the_verdict_and_unfolds_what_is_wrong():
    """Markup in what was found is text."""
    fine, wrong = (
        InstallationReport([Check("a", OK, "x")]),
        InstallationReport([Check("a", OK, "x"), Check("b", BAD, "<img src=x>", "do this")]),
    )
    assert fine._repr_mimebundle_()["text/html"].startswith("<details><summary><b>verdict: ready")
    html = wrong._repr_mimebundle_()["text/html"]
    assert html.startswith("<details open><summary><b>verdict: not ready, see b")
    assert "&lt;img src=x&gt;" in html
    assert "do this" in html
    assert wrong._repr_mimebundle_()["text/plain"] == str(wrong)


def test_an_old_python_is_told(monkeypatch):
    """With the oldest that will do."""
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    check = software.python()
    assert check.state == BAD
    assert "needs Python 3.11 or newer" in check.cure


def _metadata(monkeypatch, **versions: str | None) -> None:
    """Other versions of packages than are here; None: not installed."""
    real = importlib.metadata.version

    def version(name: str) -> str:
        found = versions[name] if name in versions else real(name)
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_a_missing_and_an_old_package_are_named_with_their_ranges(monkeypatch):
    """One line each, with the command; the others stay on one line."""
    _metadata(monkeypatch, numpy=None, bokeh="2.4.3")
    checks = list(software.packages())
    assert [check.name for check in checks] == ["packages", "bokeh", "numpy"]
    assert checks[1].found == "2.4.3, wanted >=3.6,<4"
    assert checks[1].cure.startswith("pip install 'bokeh>=3.6,<4' in ")
    assert checks[2].found == "not installed"


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("3.6", ">=3.6,<4", True),
        ("4.0.0", ">=3.6,<4", False),
        ("3.5.9", ">=3.6,<4", False),
        ("3.0.17", "~=3.0.15", True),
        ("3.1.0", "~=3.0.15", False),
        ("3.0.14", "~=3.0.15", False),
        ("0.12.0", "~=0.11.0", False),
        ("1.0", "", True),
    ],
)
def test_ranges(version, wanted, fits):
    """The three signs that are used."""
    assert software.inside(version, wanted) is fits


def environment(folder: Path, *, without: str = "", **versions: str) -> Path:
    """Something that looks like an environment with JupyterLab and the browser's halves of the widgets."""
    for package, half in front_end.HALVES.items():
        if package != without:
            place = folder / "share" / "jupyter" / "labextensions" / half
            place.mkdir(parents=True)
            (place / "package.json").write_text('{"version": "1"}')
            version = versions.get(package, importlib.metadata.version(package))
            (folder / "lib" / "python3.11" / "site-packages" / f"{package}-{version}.dist-info").mkdir(parents=True)
    return folder


@pytest.mark.parametrize("half", ["jupyterlab_widgets", "anywidget"])
def test_a_front_end_that_is_not_there(tmp_path, monkeypatch, half):
    """Which package, and where to install it."""
    monkeypatch.setattr(sys, "prefix", str(environment(tmp_path, without=half)))
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    (check,) = front_end.front_ends()
    assert (check.state, check.found.startswith(f"no front end of {half} in ")) == (BAD, True)
    assert check.cure.startswith(f"pip install {half} in ")


def test_a_front_end_of_another_version(tmp_path, monkeypatch):
    """ipywidgets 8 with the front end of ipywidgets 7, and halves of anywidget from two versions."""
    monkeypatch.setattr(sys, "prefix", str(environment(tmp_path, jupyterlab_widgets="1.1.1", anywidget="0.2.0")))
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    found = [check.found for check in front_end.front_ends()]
    assert len(found) == 2
    assert found[0].startswith("front end of jupyterlab_widgets is of 1.1.1, wanted ~=3.0.")
    assert found[1].startswith("front end of anywidget is of 0.2.0, wanted ~=")


def _served_by(tmp_path: Path, monkeypatch, prefix: Path) -> None:
    """As if a Jupyter of that environment had started this process."""
    (tmp_path / "proc" / "77").mkdir(parents=True)
    words = f"{prefix}/bin/python3", f"{prefix}/bin/jupyter-lab", "--no-browser"
    (tmp_path / "proc" / "77" / "cmdline").write_bytes("\0".join(words).encode())
    real = front_end.server_prefix
    monkeypatch.setattr(front_end, "server_prefix", lambda: real({"JPY_PARENT_PID": "77"}, tmp_path / "proc"))


def test_another_environment_s_jupyter_serves_this_kernel(tmp_path, monkeypatch):
    """With the front ends there it is worth a note; without them it is what is wrong."""
    other = environment(tmp_path / "other")
    _served_by(tmp_path, monkeypatch, other)
    assert [check.state for check in front_end.front_ends()] == [OK]
    assert front_end.kernel().state == NOTE
    assert "served by" in front_end.kernel().found
    shutil.rmtree(other / "share" / "jupyter" / "labextensions" / "anywidget")
    (check,) = front_end.front_ends()
    assert check.state == BAD
    assert check.cure.startswith("pip install anywidget in the JupyterLab that serves this kernel, ")


def test_a_jupyter_that_was_started_with_a_relative_path(tmp_path):
    """`environment/bin/python -m jupyterlab`, or through a link: it is this environment all the same."""
    here = Path(sys.prefix)
    (tmp_path / "77").mkdir()
    (tmp_path / "link").symlink_to(here)
    (tmp_path / "77" / "cwd").symlink_to(tmp_path)
    for word in (f"{here}/bin/python", f"{tmp_path}/link/bin/python3", "link/bin/jupyter-lab"):
        (tmp_path / "77" / "cmdline").write_bytes(f"{word}\0-m\0jupyterlab".encode())
        assert front_end.server_prefix({"JPY_PARENT_PID": "77"}, tmp_path) == here
    (tmp_path / "77" / "cmdline").write_bytes(b"python3\0-m\0jupyterlab")
    assert front_end.server_prefix({"JPY_PARENT_PID": "77"}, tmp_path) is None  # nobody can know
    assert front_end.server_prefix({"JPY_PARENT_PID": "x"}, tmp_path) is None


def test_a_kernel_spec_that_starts_another_python(tmp_path, monkeypatch):
    """Or one that is gone: the file to remove is named."""
    monkeypatch.setattr(front_end, "server_prefix", lambda: None)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    file = tmp_path / "kernels" / "python3" / "kernel.json"
    file.parent.mkdir(parents=True)
    elsewhere = tmp_path / "old" / "bin" / "python"
    for there in (False, True):
        if there:
            elsewhere.parent.mkdir(parents=True)
            elsewhere.touch()
        file.write_text(json.dumps({"argv": [str(elsewhere), "-m", "ipykernel_launcher"]}))
        check = front_end.kernel()
        assert check.state == BAD
        assert check.found.startswith("'python3' starts ")
        assert check.found.endswith("not this environment" if there else "which is gone")
        assert "kernel.json" in check.cure


def test_no_kernel_at_all(tmp_path, monkeypatch):
    """Then JupyterLab opens the notebook and cannot run it."""
    monkeypatch.setattr(front_end, "server_prefix", lambda: None)
    monkeypatch.setattr(front_end, "_kernel_spec", lambda: None)
    assert front_end.kernel().cure.startswith("pip install ipykernel here")


def test_a_journal_that_cannot_be_written(tmp_path, monkeypatch):
    """A file where a folder should be, which holds for root too."""
    (tmp_path / "file").touch()
    for place in (str(tmp_path / "file"), "/proc/p2plab"):
        monkeypatch.setenv("P2PLAB_JOURNAL", f"{place}/journal.jsonl")
        check = machine.journal()
        assert check.state == BAD
        assert "cannot be written" in check.found
        assert "P2PLAB_JOURNAL" in check.cure


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into a read-only folder")
def test_a_read_only_folder(tmp_path, monkeypatch):
    """As a person has it whose home is full of somebody else's files."""
    tmp_path.chmod(0o500)
    monkeypatch.setenv("P2PLAB_JOURNAL", str(tmp_path / "journal.jsonl"))
    assert machine.journal().state == BAD


def test_a_full_disk(tmp_path, monkeypatch):
    """Runs would get lost."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setenv("P2PLAB_JOURNAL", str(tmp_path / "journal.jsonl"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage(1 << 30, 1 << 30, 1 << 20))
    check = machine.journal()
    assert (check.state, check.found.endswith("1 MB free")) == (BAD, True)


def test_no_journal_is_a_note(monkeypatch):
    """Somebody wanted it so."""
    monkeypatch.setenv("P2PLAB_JOURNAL", "")
    assert machine.journal().state == NOTE


@pytest.mark.parametrize(("free", "state"), [(8 << 30, OK), (400 << 20, NOTE), (100 << 20, BAD)])
def test_memory_of_a_container(tmp_path, free, state):
    """The share counts, not the machine."""
    (tmp_path / "meminfo").write_text("MemTotal: 99999999 kB\nMemAvailable: 88888888 kB\n")
    (tmp_path / "memory.max").write_text(f"{free + 1000}\n")
    (tmp_path / "memory.current").write_text("1000\n")
    check = machine.memory(tmp_path, tmp_path)
    assert check.state == state
    assert check.found == f"{free >> 20:,} MB free"


def test_memory_that_nobody_tells(tmp_path):
    """As on a Mac: no line is better than a wrong one."""
    assert machine.memory(tmp_path, tmp_path).state == OK


@pytest.mark.parametrize(("files", "processes", "cure"), [(64, 9999, "ulimit -n"), (9999, 10, "ulimit -u")])
def test_limits_that_are_too_low(monkeypatch, files, processes, cure):
    """A kernel would die of them with a traceback that nobody understands."""
    import resource

    answers = {resource.RLIMIT_NOFILE: (files, files), resource.RLIMIT_NPROC: (processes, processes)}
    monkeypatch.setattr(resource, "getrlimit", answers.get)
    check = machine.limits()
    assert check.state == BAD
    assert check.cure.startswith(cure)


def test_limits_that_nobody_tells(monkeypatch):
    """The browser's kernel has an empty module in the place of this one; Windows has none."""
    for module in (types.ModuleType("resource"), None):
        monkeypatch.setitem(sys.modules, "resource", module)
        assert (machine.limits().state, machine.limits().found) == (OK, "none known here")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "a terminal"),
        ({"JPY_PARENT_PID": "7"}, "a Jupyter kernel"),
        ({"JUPYTERHUB_USER": "ada", "JPY_PARENT_PID": "7"}, "a JupyterHub, as ada"),
        ({"BINDER_SERVICE_HOST": "x", "JUPYTERHUB_USER": "u"}, "Binder: what you do here is gone when you leave"),
    ],
)
def test_where_it_runs(variables, said):
    """Binder is a JupyterHub too, and says so first."""
    assert machine.place(variables).found.startswith(said)


def test_in_a_browser_nothing_is_wrong_that_a_browser_never_has(monkeypatch):
    """No numpy, no JupyterLab, no processes: notes; the front ends are the site's."""
    monkeypatch.setattr(sys, "platform", "emscripten")
    _metadata(monkeypatch, numpy=None, jupyterlab=None)
    states = {check.name: check.state for look in (software.packages, front_end.front_ends) for check in look()}
    assert states == {"packages": OK, "jupyterlab": NOTE, "numpy": NOTE, "widgets": OK}
    assert front_end.kernel().found == "Python in this page"
    assert machine.place().found.startswith("this browser: no threads")


def test_a_scene_that_does_not_run(monkeypatch):
    """The error is named; a token that replays another run is a fault of its own."""
    assert software.trial("no-such-scene").state == BAD
    from p2plab.core import token

    monkeypatch.setattr(token, "open_token", lambda _text, _find: _other())
    check = software.trial()
    assert (check.state, check.found) == (BAD, "defrag-obedient: its token replays another run")


def _other():
    from p2plab import find
    from p2plab.core.run import Run

    return Run(find("defrag-obedient"))


def test_a_slow_machine_is_noted(monkeypatch):
    """The lab works, and lags."""
    monkeypatch.setattr(software, "SLOW", 0.0)
    check = software.trial()
    assert (check.state, check.cure) == (NOTE, "slow: the machine is busy or small; the lab will lag")


def test_two_versions_mixed(monkeypatch):
    """What is imported is not what is installed."""
    monkeypatch.setattr(software, "__version__", "9.9")
    check = software.itself()
    assert check.state == BAD
    assert "two versions are mixed" in check.cure
