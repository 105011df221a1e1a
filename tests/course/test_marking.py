"""Marking a class: every hand-in gets its row, also the hostile ones, and nothing outside of their folder changes."""

import csv
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from p2plab.core.errors import BadInput
from p2plab.course.marking import Limits, mark_folder
from p2plab.course.marking.mark import mark_file
from tests.course.hostile import ENDS, GOOD, HandIn, hostile, write

SECONDS = 15


def one(name, source, mark="pass", note=""):
    return HandIn(name, {"obey": ("Obeys", source)}, {"obey": mark}, note)


#: Who is no enemy: right, wrong, clumsy.
OTHERS = (
    one("good", GOOD),
    one("wrong", GOOD.replace("await self.engine.clear(range.start, range.end)", "pass"), "obedience"),
    one("talks", f"import os\nos.write(1, b'x' * 2_000_000)\nprint('y' * 2_000_000)\n{GOOD}"),
    one("syntax", "def class(:\n", "fail", "line 1"),
    one("no-class", "Obeys = 3\n", "fail", "has no class Obeys"),
    one("=formula", GOOD),
)
ENEMIES = [enemy.name for enemy in hostile(Path("x"), SECONDS, 0)]


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """One folder with everybody in it, marked once."""
    folder = tmp_path_factory.mktemp("class")
    treasure = folder.parent / "treasure.txt"
    treasure.write_text("precious")
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        somebody.settimeout(0)
        class_ = {made.name: made for made in (*hostile(treasure, SECONDS, somebody.getsockname()[1]), *OTHERS)}
        for made in class_.values():
            write(folder, made)
        (folder / "broken.json").write_text("{")
        (folder / "other.json").write_text("[]")
        before = set(_sleepers())
        begun = time.monotonic()
        out = folder / "marks.csv"
        words = [sys.executable, "-m", "p2plab", "mark", str(folder), "--csv", str(out)]
        words += ["--seconds", str(SECONDS), "--jobs", "2"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr
        seconds = time.monotonic() - begun
        with pytest.raises(BlockingIOError):
            somebody.accept()  # nobody reached it
    with out.open(newline="") as file:
        rows = {row["file"].lstrip("'").removesuffix(".json"): row for row in csv.DictReader(file)}
    return class_, rows, seconds, treasure, set(_sleepers()) - before


@pytest.mark.timed
def test_it_ends_in_bounded_time_with_a_row_for_each(marked):
    """Each has its seconds, and a few more to be started and ended."""
    _, rows, seconds, _, _ = marked
    assert len(rows) == 23
    assert seconds < len(rows) * (SECONDS + 4) / 2


@pytest.mark.parametrize("name", [*ENEMIES, *(made.name for made in OTHERS)])
def test_each_gets_its_mark_and_a_word(marked, name):
    """Whatever the neighbours do."""
    class_, rows, _, _, _ = marked
    row = rows[name]
    marks = {"not marked", class_[name].marks["obey"]}
    if name != "kills-its-parent" or "namespaces" in row["protection"]:
        marks = {class_[name].marks["obey"]}
    assert row["obey"] in marks, row
    assert class_[name].note in row["note"]
    assert row["passed"] == str(int(row["obey"] == "pass"))


@pytest.mark.parametrize(("name", "word"), [("broken", "cannot be read"), ("other", "not a hand-in")])
def test_what_is_no_hand_in_is_said(marked, name, word):
    """It has a row all the same."""
    assert word in marked[1][name]["note"]
    assert marked[1][name]["passed"] == "0"


def test_no_cell_is_taken_for_a_formula(marked):
    """A name that begins with = is written as text."""
    assert marked[1]["=formula"]["name"] == "'=formula"


def test_nothing_outside_has_changed_and_nothing_is_left_running(marked):
    """Neither removed nor overwritten; no daemon, no fork."""
    _, _, _, treasure, left = marked
    assert treasure.read_text() == "precious"
    assert left == set()


def test_what_a_hand_in_starts_behind_the_hook_is_killed_with_it(tmp_path):
    """A process that was forked by way of C, where no audit hook hears it, in a session of its own."""
    source = (
        "import ctypes, time\nlibc = ctypes.pythonapi\n"
        "if libc.fork() == 0:\n    libc.setsid()\n    time.sleep(600)\n"
        f"time.sleep(600)\n{ENDS}"
    )
    before = set(_sleepers())
    row = mark_file(write(tmp_path, one("sly", source)), Limits(seconds=3))
    assert row.marks == {"obey": "not marked"}
    assert set(_sleepers()) <= before


def test_a_folder_without_hand_ins_is_said(tmp_path):
    """And one that is not there."""
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(BadInput, match=str(folder)):
            mark_folder(folder)


def _sleepers():
    """Processes of this machine that run a hand-in."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    if b"p2plab.course.marking.runner" in file.read():
                        yield int(entry)
            except OSError:
                continue
