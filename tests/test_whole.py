"""The run of the tests hides nothing: what failed once has failed, and a run that was lost did not pass."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Passes every second time it is asked.
LATE = """
import pathlib, pytest
{mark}
def test_late(ago=pathlib.Path(__file__).with_name("asked")):
    first = not ago.exists()
    ago.touch()
    assert not first
"""
TIMED = LATE.format(mark="@pytest.mark.timed")
#: Fails after another test only; alone it passes.
ORDER = """
import builtins
def test_spoils(): builtins.spoiled = True
def test_spoilt(): assert not hasattr(builtins, "spoiled")
"""


@pytest.mark.parametrize(
    ("files", "status", "sentence"),
    [
        ({"a": "def test(): pass"}, 0, ""),
        ({"a": TIMED, "b": "def test(): pass"}, 0, "asked once more: test_a.py::test_late\n"),
        ({"a": TIMED.replace("assert not first", "assert 0")}, 1, "asked once more"),
        ({"a": TIMED, "b": "def test(): assert 0"}, 1, ""),
        ({"a": TIMED, "b": "def test(:"}, 2, ""),
        ({"a": LATE.format(mark="")}, 1, ""),
        ({"a": ORDER}, 1, ""),
        ({"a": "import os\ndef test(): os._exit(0)", "b": "def test(): pass"}, 70, "was lost (exit status 0)"),
        ({"a": "import os\ndef test(): os.kill(os.getpid(), 9)"}, 70, "was lost (exit status -9)"),
        ({"a": "import pytest\ndef test(): pytest.exit('enough', 0)", "b": "def test(): pass"}, 70, "was lost"),
        ({"a": "x = 1"}, 5, ""),
    ],
    ids=(
        *(
            "passes",
            "late",
            "always late",
            "late beside another",
            "late beside a broken file",
            "wrong every second time",
        ),
        *("depends on the order", "left", "killed", "cut short", "nothing there"),
    ),
)
def test_a_run_says_what_became_of_it(tmp_path, files, status, sentence):
    """Only what measures time, and nothing else with it, gets a second chance."""
    for name, text in files.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = timed: measures time\n")
    words = [sys.executable, "-m", "tests.whole", "-q", "-p", "no:cacheprovider"]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(words, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert sentence in done.stdout
    assert ("asked once more" in done.stdout) == ("asked once more" in sentence)


@pytest.mark.parametrize(
    ("files", "status", "sentence"),
    [
        ({"a": TIMED, "b": "def test(): pass"}, 0, "asked once more: test_a.py::test_late\n"),
        ({"a": "import os\ndef test(): os._exit(0)", "b": "def test(): assert 0"}, 1, "2 failed"),
        ({"a": "import pytest\ndef test(): pytest.exit('enough', 0)", "b": "def test(): pass"}, 3, "INTERNALERROR"),
    ],
    ids=("late", "left", "cut short"),
)
def test_a_run_among_processes_says_it_too(tmp_path, files, status, sentence):
    """Shared out with pytest-xdist, nothing is hidden either."""
    for name, text in files.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = timed: measures time\n")
    words = [sys.executable, "-m", "tests.whole", "-q", "-p", "no:cacheprovider", "-p", "xdist", "-n", "2"]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(words, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert sentence in done.stdout


def test_make_and_ci_ask_nothing_twice_but_by_that():
    """No recipe repeats what failed."""
    for name in ("Makefile", ".ci/run"):
        assert "--last-failed" not in (ROOT / name).read_text()
