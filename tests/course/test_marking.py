"""Marking a class: every hand-in gets its row, also the hostile ones, and nothing outside of their folder changes."""

import csv
import json
import os
import subprocess
import sys
import time

import pytest

from p2plab.core.errors import BadInput
from p2plab.course.keep import FORMAT, source_of
from p2plab.course.marking import Limits, mark_folder
from p2plab.course.marking.mark import mark_file
from p2plab.course.solutions import RIGHT

GOOD = source_of(RIGHT["obey"])
ENDS = "\nclass Obeys: pass\n"


def write(folder, name, source, wanted="Obeys", exercise="obey"):
    text = json.dumps({"format": FORMAT, "name": name, "sources": {exercise: {"class": wanted, "source": source}}})
    path = folder / f"{name}.json"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """One folder with everybody in it, marked once."""
    folder = tmp_path_factory.mktemp("class")
    treasure = folder.parent / "treasure.txt"
    treasure.write_text("precious")
    write(folder, "good", GOOD)
    write(folder, "wrong", GOOD.replace("await self.engine.clear(range.start, range.end)", "pass"))
    write(folder, "loops", f"while True:\n    pass{ENDS}")
    write(folder, "hangs", f"import time\ntime.sleep(600){ENDS}")
    write(folder, "forks", f"import os\nwhile True:\n    os.fork(){ENDS}")
    write(folder, "swallows", f"x = bytearray(1 << 33){ENDS}")
    write(folder, "deletes", f"import os\nos.remove({str(treasure)!r}){ENDS}")
    write(folder, "writes", f"open({str(treasure)!r}, 'w').write('mine'){ENDS}")
    talks = "import os\nos.write(1, b'x' * 2_000_000)\nprint('y' * 2_000_000)\n"
    write(folder, "talks", talks + GOOD)
    write(folder, "syntax", "def class(:\n")
    write(folder, "no-class", "Obeys = 3\n")
    write(folder, "exits", f"import os\nos._exit(0){ENDS}")
    write(folder, "=formula", GOOD)
    (folder / "broken.json").write_text("{")
    (folder / "other.json").write_text("[]")
    begun = time.monotonic()
    out = folder / "marks.csv"
    words = [sys.executable, "-m", "p2plab", "mark", str(folder), "--csv", str(out), "--seconds", "5"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    with out.open(newline="") as file:
        rows = {row["file"].lstrip("'").removesuffix(".json"): row for row in csv.DictReader(file)}
    return rows, time.monotonic() - begun, treasure


def test_it_ends_in_bounded_time_with_a_row_for_each(marked):
    """Fifteen files, most of them hostile, each with at most five seconds."""
    rows, seconds, _ = marked
    assert len(rows) == 15
    assert seconds < 60


def test_the_good_one_passes_and_the_wrong_one_is_told_its_rule(marked):
    """The neighbours do not matter."""
    rows, _, _ = marked
    assert rows["good"]["obey"] == "pass"
    assert rows["wrong"]["obey"] == "obedience"
    assert rows["talks"]["obey"] == "pass"
    assert rows["=formula"]["name"] == "'=formula"


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("loops", "does not come to its end"),
        ("hangs", "stopped after 5 s"),
        ("forks", "may not do this: os.fork"),
        ("swallows", "MemoryError"),
        ("deletes", "changes only its own folder"),
        ("writes", "writes only into its own folder"),
        ("syntax", "line 1"),
        ("no-class", "has no class Obeys"),
        ("exits", "ended before all was marked"),
        ("broken", "cannot be read"),
        ("other", "not a hand-in"),
    ],
)
def test_a_hostile_one_is_stopped_with_a_clear_word(marked, name, word):
    """None of them passes."""
    rows, _, _ = marked
    assert word in rows[name]["note"]
    assert rows[name]["passed"] == "0"


def test_nothing_outside_has_changed(marked):
    """Neither removed nor overwritten."""
    assert marked[2].read_text() == "precious"


def test_what_a_hand_in_starts_behind_the_hook_is_killed_with_it(tmp_path):
    """A process that was forked by way of C, where no audit hook hears it, in a session of its own."""
    source = (
        "import ctypes, time\nlibc = ctypes.pythonapi\n"
        "if libc.fork() == 0:\n    libc.setsid()\n    time.sleep(600)\n"
        f"time.sleep(600)\n{ENDS}"
    )
    before = set(_sleepers())
    row = mark_file(write(tmp_path, "sly", source), Limits(seconds=3))
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
