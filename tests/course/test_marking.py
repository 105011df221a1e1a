"""Marking a class: everything gets its row, also hostile hand-ins, nothing outside of them changes, and none forges a mark."""

import csv
import inspect
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2plab.cli import main
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.schedule import straight
from p2plab.course.exercises import EXERCISES, Exercise
from p2plab.course.keep import FORMAT, source_of
from p2plab.course.marking import Csv, Grades, Json, Limits, Marked, handin, jail, mark_folder, scene_data
from p2plab.course.marking import mark as marking
from p2plab.course.marking.judge import Marker
from p2plab.course.marking.orders import orders_of
from p2plab.course.marking.process import Gone
from p2plab.course.marking.reading import hand_ins
from p2plab.course.marking.talk import NotAllowed, Talk
from p2plab.course.solutions import RIGHT, WRONG, rules, scenes
from p2plab.p2p.exporter import Exporter
from p2plab.search.drivers import cast
from tests.course.hostile import GOOD, HandIn, hostile, ordinary, write

SECONDS = 60
WORKS = not jail.protection().missing
REQUIRED = os.environ.get("P2PLAB_JAIL") == "required"
shut_in = pytest.mark.skipif(
    not WORKS and not REQUIRED, reason=f"NO JAIL HERE: {jail.protection().missing}; {jail.HOW_TO}"
)


def one(name, source, mark="pass", note=""):
    return HandIn(name, {"obey": ("Obeys", source)}, {"obey": mark}, note)


#: Who is no enemy: right, wrong, clumsy.
OTHERS = (
    one("good", GOOD),
    one("wrong", GOOD.replace("await self.engine.clear(range.start, range.end)", "pass"), "obedience"),
    one("talks", f"import os\nos.write(1, b'x' * 2_000_000)\nprint('y' * 2_000_000)\n{GOOD}"),
    one("syntax", "def class(:\n", "fail", "line 1"),
    one("no-class", "Obeys = 3\n", "fail", "has no class Obeys"),
    one("no-driver", "class Obeys:\n    pass\n", "fail", "derive it from"),
    one(
        "not-async", GOOD.replace("async def invalidate_range_end", "def invalidate_range_end"), "fail", "is not async"
    ),
    one("=formula", GOOD),
    one("escapes", "raise ValueError('\\x1b[2Jx.json: 8 of 8\\n')", "fail", "\\x1b[2Jx.json: 8 of 8"),
    one("half-a-pair", "raise ValueError('\\ud800')", "fail", "\\ud800"),
)
ENEMIES = [enemy.name for enemy in hostile(Path("x/treasure.txt"), SECONDS, 0)]


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """One folder with everybody in it, marked once, by the command."""
    folder = tmp_path_factory.mktemp("class")
    treasure = tmp_path_factory.mktemp("others") / "treasure.txt"
    treasure.write_text("precious")
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        somebody.settimeout(0)
        class_ = {made.name: made for made in (*hostile(treasure, SECONDS, somebody.getsockname()[1]), *OTHERS)}
        for made in class_.values():
            write(folder, made)
        out = folder.parent / "marks.csv"
        words = [sys.executable, "-m", "p2plab", "mark", str(folder), "--csv", str(out)]
        words += ["--seconds", str(SECONDS), "--jobs", "2", "--random", "2"]
        done = subprocess.run(
            words, env={**os.environ, "SECRET": "password"}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        with pytest.raises(BlockingIOError):
            somebody.accept()  # nobody reached it
    with out.open(newline="") as file:
        rows = {row["file"].lstrip("'").removesuffix(".json"): row for row in csv.DictReader(file)}
    return class_, rows, treasure, done.stderr


@shut_in
@pytest.mark.parametrize("name", [*ENEMIES, *(made.name for made in OTHERS)])
def test_each_gets_its_mark_and_a_word(marked, name):
    """Whatever the neighbours do."""
    class_, rows, _, _ = marked
    row = rows[name]
    assert row["obey"] == class_[name].marks["obey"], row
    assert class_[name].note in row["note"]
    assert row["passed"] == str(int(row["obey"] == "pass"))
    assert row["protection"] == "bubblewrap, seccomp"
    assert (row["confirmed"] != "") == (row["obey"] == "pass")


@shut_in
def test_nothing_outside_has_changed_and_nothing_is_left_running(marked):
    """Neither removed nor overwritten, the same owner and mode; no process of a hand-in."""
    _, _, treasure, _ = marked
    assert treasure.read_text() == "precious"
    assert (treasure.stat().st_mode & 0o777, treasure.stat().st_uid) == (0o644, os.getuid())
    assert list(running()) == []


@shut_in
def test_nothing_of_a_hand_in_is_obeyed_by_a_terminal_or_a_spreadsheet(marked):
    """Escape sequences are text; a name that begins with = is one too."""
    _, rows, _, said = marked
    assert rows["=formula"]["name"] == "'=formula"
    assert all(letter.isprintable() or letter == "\n" for letter in said)
    assert all(text.isprintable() for row in rows.values() for text in row.values())


@shut_in
def test_a_pass_says_in_how_many_orders_it_was_confirmed(marked):
    """Those of the wrong answers, and two random ones."""
    assert marked[1]["good"]["confirmed"] == f"obey:{len(orders_of('obey')) + 2}"


DRIVERS = [wrong for wrong in WRONG if isinstance(EXERCISES[wrong.exercise], Exercise)]


@pytest.mark.parametrize("wrong", DRIVERS, ids=lambda wrong: f"{wrong.exercise}-{wrong.answer.__name__}")
def test_an_order_is_known_that_breaks_each_wrong_answer(wrong):
    """It is what a pass is confirmed with."""
    assert orders_of(wrong.exercise)
    assert len(orders_of(wrong.exercise)) <= sum(each.exercise == wrong.exercise for each in WRONG)


def alone(random=0):
    """A marker whose hand-ins are limited and no more: quick, for those that mean no harm."""
    command = jail.Protection("").command(60, 1024)
    return Marker(command, {name: orders_of(name) for name in EXERCISES}, random, 60.0)


@pytest.mark.parametrize(
    "name",
    [
        *("obey", "remap-after-defrag", "two-engines", "write-the-exporter", "predictable-under-pressure"),
        *("survive-unplug", "find-the-bug", "fewest-lines"),
    ],
)
def test_reference_answers_pass_also_at_the_other_end_of_a_pipe(name):
    """Importers and exporters."""
    said = alone().mark(name, {"class": RIGHT[name].__name__, "source": source_of(RIGHT[name])})
    assert said["passed"], said


@pytest.mark.parametrize("name", ["obey", "no-stale-map", "two-engines", "write-the-exporter", "find-the-bug"])
def test_a_skeleton_is_marked_with_the_rule_that_it_breaks(name):
    """Classes that an exercise gives are there at the other end, too."""
    task = EXERCISES[name]
    said = alone().mark(name, {"class": task.answer, "source": f"from p2plab.course.kit import *\n{task.skeleton}"})
    assert said["rule"], said


def test_an_order_of_events_is_marked_without_running_anything():
    """As find-the-bug takes it; and what is none fails with a word."""
    marks = [
        alone().mark("find-the-bug", {"class": "", "source": source})
        for source in ("ORDER = 'app*2 gpu fate'", "ORDER = 'app*2 fate gpu'", "import os\nos.abort()", "ORDER = (")
    ]
    assert [mark["passed"] for mark in marks] == [True, False, False, False]
    assert "nothing breaks" in marks[1]["said"]
    assert "no order" in marks[2]["said"]


def rule(name):
    """An answer to own-rule, with what it is derived from."""
    text = Path(inspect.getfile(rules)).read_text().replace("from __future__ import annotations", "")
    return {"class": name, "source": text}


@pytest.mark.parametrize(
    ("name", "passed", "word"),
    [
        ("EndsWithTheInvalidation", True, "silent on 16 runs"),
        ("KeepsTriples", True, "silent on 16 runs"),
        ("EndsAtTheStart", False, "speaks on the good twin of"),
        ("TrustsTheDriver", False, "silent on the broken driver of"),
        ("LooksAtPages", False, "silent on the broken driver of F2"),
        ("NeverForgets", False, "speaks on the good twin of"),
        ("KeepsTriples = 3", False, "has no class"),
    ],
)
def test_a_rule_reads_its_runs_in_the_process_that_is_shut_in(name, passed, word):
    """It gets logs, and says where it speaks; which of them are good is not said."""
    said = alone().mark("own-rule", rule(name))
    assert said["passed"] is passed
    assert word in said["said"]
    assert bool(said["confirmed"]) is passed


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("while True: pass", "does not come to an end"),
        ("return 3", "TypeError"),
        ("yield 3", "and nothing else"),
        ("yield self.broken(entry, '', entry.event.nobody)", "AttributeError"),
        ("import os; os._exit(0)", "ended by itself"),
    ],
)
def test_a_rule_that_misbehaves_gets_a_word(body, word):
    """It raises, loops, ends its process, or yields what is no finding."""
    source = f"from p2plab.course.kit import *\nclass Mine(Rule):\n    def see(self, entry):\n        {body}\n"
    said = alone().mark("own-rule", {"class": "Mine", "source": source})
    assert not said["passed"]
    assert word in said["said"]


@pytest.mark.parametrize(
    ("made", "passed", "word"),
    [
        (scenes.unmaps_in_two_parts, True, "breaks vma-alive"),
        (scenes.gpu_follows, True, "breaks vma-alive"),
        (scenes.unmaps_all, False, "the broken driver holds"),
        (scenes.maps_nothing, False, "in no order p2p_map is called"),
        (scenes.out_of_reach, False, "-EREMOTEIO"),
        (scenes.breaks_it_itself, False, "breaks told-before-moved"),
        (scenes.on_the_course_s, False, "and not on yours"),
    ],
    ids=lambda made: getattr(made, "__name__", ""),
)
def test_a_scene_is_marked_as_the_data_that_its_process_makes_of_it(made, passed, word):
    """With the same word as in a notebook, though none of its code runs in the world."""
    said = alone().mark("own-scene", {"class": made.__name__, "source": source_of(made)})
    assert said["passed"] is passed
    assert word in said["said"]
    assert bool(said["confirmed"]) is passed


def scene_with(body, **changes):
    """The skeleton with this in its job, after the second page is gone; ``changes`` replace words of it."""
    source = EXERCISES["own-scene"].skeleton.replace("2 * PAGE_SIZE)", f"PAGE_SIZE)\n        {body}")
    for before, after in changes.items():
        assert before in source
        source = source.replace(before, after)
    return {"class": "my_scene", "source": f"from p2plab.course.kit import *\n{source}"}


@pytest.mark.parametrize(
    "body",
    [
        "for n in (1,):\n            await self.mm.munmap(BASE + n * PAGE_SIZE, PAGE_SIZE)",
        "await super().munmap()",
        "await self.rest(self.plan.pages)\n    async def rest(self, n):\n        await self.mm.munmap(BASE, n * PAGE_SIZE)",
        "async with self.gpu.lock:\n            await step('w', lambda: None)\n"
        "        await self.gpu.invalidate(self.memory.objects['A'])",
        "await self.mm.mmap(BASE + 64 * PAGE_SIZE, PAGE_SIZE, 3, 1, self.gpu.open_file('A'))\n        await self.munmap()",
    ],
)
def test_a_job_s_calls_may_be_written_in_any_way(body):
    """Loops over what is known, helpers, inherited jobs, locks, steps."""
    said = alone().mark("own-scene", scene_with(body))
    assert said["passed"], said


@pytest.mark.parametrize(
    ("answer", "ended", "word"),
    [
        (scene_with("if self.mm.vmas: return"), True, "looks at self.mm.vmas"),
        (scene_with("self.seen = 1"), True, "sets self.seen"),
        (scene_with("self.mm.remove(None)"), True, "calls self.mm.remove"),
        (scene_with("await self.importer.p2p_map()"), True, "calls self.importer.p2p_map"),
        (scene_with("try:\n            await self.munmap()\n        except KernelError: pass"), True, "(try)"),
        (scene_with("while True: await self.munmap()"), True, "more than 400 calls"),
        (scene_with("while True: pass"), False, "does not come to an end"),
        (scene_with("self.munmap()"), False, "the broken driver holds"),
        (scene_with("import os; os._exit(0)"), True, "ended by itself"),
        (scene_with("await self.munmap()", q35_switch1="/etc/passwd"), True, "from a file"),
        (scene_with("await self.munmap()", **{"bench=MyBench": "bench=MyBench, turn=None"}), True, "has turn"),
        (scene_with("await self.munmap()", **{"pages=2,": "pages=10**9,"}), False, "is allowed here"),
        (scene_with("pass\n    def prepare(self, settings): pass"), True, "changes prepare"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_scene_that_is_more_than_data_gets_a_word(answer, ended, word):
    """Then its check has to be run by hand; what is simply wrong is marked as wrong."""
    said = alone().mark("own-scene", answer)
    assert not said["passed"]
    assert said.get("ended", False) is ended
    assert word in said["said"]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"where": 3},
        {"where": ["recorded", "q35_switch1", "03:00.0", ["04:00.0"], None], "plan": [], "jobs": []},
        {
            "where": ["recorded", "q35_switch1", "03:00.0", ["04:00.0"], None],
            "plan": {},
            "jobs": [["a", "app", "b", 3]],
        },
        {
            "where": ["recorded", "q35_switch1", "03:00.0", ["04:00.0"], None],
            "plan": {"pages": {"path": []}},
            "jobs": [],
        },
        *(
            {
                "where": ["recorded", "q35_switch1", "03:00.0", ["04:00.0"], None],
                "plan": {},
                "jobs": [["a", "app", "a", [["call", path, args, [], True]]]],
            }
            for path, args in (
                ([["get", "__class__"], ["get", "mro"]], []),
                ([["get", "mm"], ["get", "__init__"]], []),
                ([["get", "gpu"], ["get", "fabric"], ["get", "attach"]], []),
                ([["get", "munmap"]], [{"path": [["get", "importer"]]}]),
                ([["get", "munmap"]], [{"call": [[["get", "stations"], ["get", "clear"]], [], []]}]),
                ([["get", "munmap"]], [{"nobody": 1}]),
                ([], []),
            )
        ),
    ],
)
def test_nothing_but_a_scene_is_made_of_what_a_process_sends(data):
    """Whatever it sends: no name that is not on the lists is looked up."""
    with pytest.raises((BadInput, scene_data.NeedsAHand, TypeError, ValueError, KeyError, AttributeError)):
        scene_data.scene_from(data)


def test_a_mark_says_how_many_lines_were_changed():
    """Beside the smallest number that is known."""
    answer = {"class": "FourLines", "source": source_of(RIGHT["fewest-lines"])}
    assert "4 are known to be enough" in alone().mark("fewest-lines", answer)["remark"]


def test_wrong_answers_are_caught_by_the_same_rules_as_in_a_notebook():
    """A quarter of them here; the benchmark marks all."""
    for made in ordinary()[-5:]:
        ((name, (wanted, source)),) = made.answers.items()
        assert {name: alone().mark(name, {"class": wanted, "source": source})["rule"]} == made.marks


LINES = GOOD.splitlines()
#: Lines of methods, with their indentation: an exception may be raised before each.
PLACES = [at for at, line in enumerate(LINES) if line.startswith("        ") and not line.strip().startswith('"""')]
RAISES = (
    "ValueError('x')",
    "KernelError('ENOSPC', 'x')",
    "SystemExit(0)",
    "KeyboardInterrupt",
    "GeneratorExit",
    "StopIteration",
)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PLACES), st.sampled_from(RAISES))
def test_a_hand_in_may_raise_anything_anywhere(place, error):
    """It gets a mark, and the marker none of it. An errno alone, an answer that `map` may give, breaks nothing."""
    indent = LINES[place][: len(LINES[place]) - len(LINES[place].lstrip())]
    source = "\n".join([*LINES[:place], f"{indent}raise {error}", *LINES[place:]])
    said = alone().mark("obey", {"class": "Obeys", "source": source})
    assert said["said"] != ""
    assert not said["passed"] or "KernelError" in error


@pytest.mark.parametrize(
    "answer", [None, 3, [], {}, {"class": "Obeys"}, {"class": [], "source": {}}, {"source": "x" * 300_000}]
)
def test_what_is_no_answer_fails_with_a_word(answer):
    """Whatever the JSON says instead."""
    said = alone().mark("obey", answer)
    assert not said["passed"]
    assert said["said"]


# -- what lies in a folder ---------------------------------------------------------------------------------------------


def a_hand_in(source=GOOD, name="somebody"):
    return json.dumps({"format": FORMAT, "name": name, "sources": {"obey": {"class": "Obeys", "source": source}}})


def a_notebook():
    cells = [
        ("code", ["%matplotlib inline\n", "from p2plab.course import exercise\n", "from p2plab.course.kit import *"]),
        ("markdown", ["# obey"]),
        ("code", "class MyNic(Importer):\n    half = 1"),
        ("code", "class Obeys(MyNic):\n    whole = 2\n\nexercise('obey').check(Obeys)"),
        ("code", "this is no Python"),
        ("code", "class Obeys(MyNic):\n    later = 3"),
    ]
    return json.dumps({"cells": [{"cell_type": kind, "source": source} for kind, source in cells]})


def test_everything_in_a_folder_is_read_or_listed(tmp_path):
    """Folders of students, notebooks, a byte-order mark, capitals; pipes, links, other files, a name that is no text."""
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "hand-in.json").write_text(a_hand_in())
    (tmp_path / "BOB.JSON").write_bytes(b"\xef\xbb\xbf" + a_hand_in().encode())
    (tmp_path / "cy.ipynb").write_text(a_notebook())
    (tmp_path / "dan.json.txt").write_text(a_hand_in())
    (tmp_path / "eve.json").symlink_to("ann/hand-in.json")
    (tmp_path / "fay.json").write_text("{")
    (tmp_path / "gus.json").write_text("[]")
    (tmp_path / "hal.json").write_text("[" * 100_000)
    os.mkfifo(tmp_path / "ida.json")
    (tmp_path / ".git").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/jo\xe9.json")).write_text(a_hand_in(name="\ud800"))
    (tmp_path / "kim.ipynb").write_text('{"cells": []}')
    found = {one.file: (one.name, sorted(one.answers), one.skipped) for one in hand_ins(tmp_path)}
    assert found == {
        "ann/hand-in.json": ("somebody", ["obey"], ""),
        "BOB.JSON": ("somebody", ["obey"], ""),
        "cy.ipynb": ("cy", ["obey"], ""),
        "dan.json.txt": ("", [], "skipped: not a hand-in (*.json, *.ipynb)"),
        "eve.json": ("", [], "skipped: a link"),
        "fay.json": ("", [], "cannot be read: JSONDecodeError"),
        "gus.json": ("", [], f"not a hand-in: its format is not {FORMAT!r}"),
        "hal.json": ("", [], "cannot be read: RecursionError"),
        "ida.json": ("", [], "skipped: not a file"),
        ".git": ("", [], "skipped: a hidden folder"),
        "jo\\udce9.json": ("\\ud800", ["obey"], ""),
        "kim.ipynb": ("", [], 'skipped: it checks no class; a notebook is read for exercise("…").check(…)'),
    }


def test_a_notebook_gives_the_class_that_it_checks_with_what_came_before(tmp_path):
    """Not what was defined later."""
    (tmp_path / "cy.ipynb").write_text(a_notebook())
    (found,) = hand_ins(tmp_path)
    assert found.answers["obey"]["class"] == "Obeys"
    source = found.answers["obey"]["source"]
    assert "half = 1" in source
    assert "whole = 2" in source
    assert "later" not in source
    assert "matplotlib" not in source


def test_three_thousand_folders_in_each_other_are_one_row(tmp_path):
    """No path reaches the lowest ones, and nothing recurses."""
    (tmp_path / "ann.json").write_text(a_hand_in())
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("down", dir_fd=here)
        below = os.open("down", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        rows = hand_ins(tmp_path)
        assert [bool(one.answers) for one in rows] == [True, False]
        assert rows[1].skipped == "skipped: more than 12 folders deep"
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "down")], check=True)


def test_a_folder_without_hand_ins_is_said(tmp_path):
    """And one that is not there."""
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(BadInput, match=str(folder)):
            hand_ins(folder)


# -- tables ------------------------------------------------------------------------------------------------------------

ROW = Marked(
    "ann/x.json",
    "Ann\x1b[2J",
    {"obey": "pass", "no-deadlock": "fail"},
    "no-deadlock: \x07\ud800\nx",
    "means",
    {"obey": 7},
)


def test_tables_are_whole_after_each_row(tmp_path):
    """As CSV, as JSON, as nbgrader's grades; nothing in them is a control character."""
    out, grades, path = io.StringIO(), io.StringIO(), tmp_path / "marks.json"
    tables = (Csv(out), Grades(grades), Json(path))
    for table in tables:
        table.add(ROW)
    (row,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert (row["name"], row["passed"], row["obey"]) == ("Ann\\x1b[2J", "1", "pass")
    assert row["note"] == "no-deadlock: \\x07\\ud800 x"
    assert row["confirmed"] == "obey:7"
    (row,) = csv.DictReader(io.StringIO(grades.getvalue()))
    assert (row["student_id"], row["raw_score"], row["score"], row["max_score"]) == (
        "ann",
        "1",
        "1",
        str(len(EXERCISES)),
    )
    data = json.loads(path.read_text())
    assert (data["max_points"], data["rows"][0]["points"], data["rows"][0]["student"]) == (len(EXERCISES), 1, "ann")
    assert data["rows"][0]["marks"] == {"obey": "pass", "no-deadlock": "fail"}


def test_thousands_of_files_that_are_only_listed_do_not_write_the_whole_table_each(tmp_path, monkeypatch):
    """A hand-in of 10,000 files took hours. What is marked is written at once, and in the end everything is there."""
    writes, whole = [], Path.write_text
    monkeypatch.setattr(Path, "write_text", lambda path, *a, **b: writes.append(path) or whole(path, *a, **b))
    table = Json(path := tmp_path / "marks.json")
    for number in range(3_000):
        table.add(Marked(f"{number}.txt", "", note="skipped"))
    assert len(writes) < 150
    table.add(ROW)
    assert len(json.loads(path.read_text())["rows"]) == 3_001
    table.add(Marked("last.txt", ""))
    table.finish()
    assert json.loads(path.read_text())["rows"][-1]["file"] == "last.txt"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_ends_a_marking_with_its_status(tmp_path, capsys):
    """It does not go on for an hour to write nothing."""
    (tmp_path / "notes.txt").write_text("x")
    assert main(["mark", str(tmp_path), "--csv", "/dev/full", "--unprotected"]) == 4
    assert capsys.readouterr().err == "p2plab: /dev/full cannot be written: No space left on device\n"


# -- what may go wrong -------------------------------------------------------------------------------------------------


def test_without_protection_it_refuses_or_says_so_on_every_line(tmp_path, monkeypatch, capsys):
    """Whoever says --unprotected knows it, and so does whoever reads the table."""
    bare = jail.Protection("UNPROTECTED: limits only", "there is no bubblewrap here")
    monkeypatch.setattr(marking, "protection", lambda: bare)
    write(tmp_path, one("no-class", "Obeys = 3\n"))
    (tmp_path / "notes.txt").write_text("x")
    assert main(["mark", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == "" or len(said.out.splitlines()) == 1
    assert "cannot be sandboxed here: there is no bubblewrap here. Either install bubblewrap" in said.err
    assert main(["mark", str(tmp_path), "--unprotected"]) == 0
    said = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["protection"] for row in rows] == ["UNPROTECTED: limits only"] * 2
    assert all("UNPROTECTED" in line for line in said.err.splitlines())


@shut_in
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_stops_a_marking_the_rows_so_far_are_there_and_nothing_runs_on(tmp_path, how):
    """Ctrl-C and kill: also a row for each that was not reached. kill -9: what was written."""
    folder, out = tmp_path / "class", tmp_path / "marks.csv"
    folder.mkdir()
    (folder / "a.txt").write_text("first of all")
    for name in ("b", "c"):
        write(folder, one(name, GOOD.replace("times = 0", "import time; time.sleep(7)")))
    words = [sys.executable, "-m", "p2plab", "mark", str(folder), "--csv", str(out)]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, preexec_fn=_listens)
    while not (out.exists() and "skipped" in out.read_text()):  # a process before that only tries the jail
        time.sleep(0.05)
    while not (own := list(running())):
        time.sleep(0.05)
    process.send_signal(how)
    process.wait(timeout=60)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["note"].startswith("skipped")
    if how != signal.SIGKILL:
        assert process.returncode == 130
        assert [(row["file"], row["obey"]) for row in rows[1:]] == [("b.json", "not marked"), ("c.json", "not marked")]
    until = time.monotonic() + 30
    while any(map(_is_there, own)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(_is_there, own))


@shut_in
def test_what_marks_may_be_killed_and_costs_one_row(tmp_path, monkeypatch):
    """The rest of the class is marked."""
    write(tmp_path, one("a", GOOD.replace("times = 0", "import time; time.sleep(7)")))
    write(tmp_path, one("b", "Obeys = 3\n"))
    begun = marking._Marking._mark

    def kills(self, hand_in):
        if hand_in.file == "a.json":
            plain = subprocess.Popen.communicate

            def communicate(process, *args, **options):
                os.kill(process.pid, signal.SIGKILL)
                return plain(process, *args, **options)

            with monkeypatch.context() as patched:
                patched.setattr(subprocess.Popen, "communicate", communicate)
                return begun(self, hand_in)
        return begun(self, hand_in)

    monkeypatch.setattr(marking._Marking, "_mark", kills)
    rows = mark_folder(tmp_path, Limits(SECONDS, random=0))
    assert [(row.file, row.marks["obey"]) for row in rows] == [("a.json", "not marked"), ("b.json", "fail")]
    assert rows[0].note == "what marks it was killed (signal 9)"


def _is_there(process_id):
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _listens():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def running():
    """Processes of this machine in which hand-ins run, as far as this test's own marking started them."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                words = Path(f"/proc/{entry}/cmdline").read_bytes()
                if b"/child.py" in words and _is_mine(int(entry)):
                    yield int(entry)
            except OSError:
                continue


def _is_mine(process_id):
    """Whether this process is among its ancestors."""
    while process_id > 1:
        process_id = int(Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[1])
        if process_id == os.getpid():
            return True
    return False


def _talk(name):
    """The conversation about the right answer to an exercise, at the end of its run, and that driver."""
    exercise = EXERCISES[name]
    run = Run(cast(exercise.scene, **{exercise.role: RIGHT[name]})).driven(straight)
    owner = next(thing for thing in run.world.objects if isinstance(thing, RIGHT[name]))
    return Talk(owner, SimpleNamespace(dropped=[])), owner, run


def test_an_importer_reaches_nothing_of_what_lends_to_it():
    """Neither by its pointer to a vma nor by its bus: not the exporter with its memory, nor the kernel's list of vmas."""
    talk, nic, run = _talk("obey")
    gpu = next(thing for thing in run.world.objects if isinstance(thing, Exporter))
    file = next(iter(gpu.files.values()))
    for thing, name in (
        (gpu, "power_off"),
        (gpu, "lock"),
        (gpu.aperture, "take"),
        (gpu.memory, "destroy"),
        (gpu.fabric, "link"),
        (nic.peer, "bus"),
        (file.f_mapping, "unlink"),
        (file.f_mapping, "i_mmap_rwsem"),
    ):
        with pytest.raises(NotAllowed):
            talk._callable(thing, name)
        with pytest.raises(NotAllowed):
            talk._get(thing, name)
    assert talk._get(nic, "engine") is nic.engine


def test_an_exporter_cannot_hide_a_vma_from_the_kernel():
    """It has its aperture and fabric; who maps a file the kernel keeps, and calls."""
    talk, gpu, _ = _talk("write-the-exporter")
    assert talk._get(gpu, "aperture") is gpu.aperture
    assert talk._get(gpu, "fabric") is gpu.fabric
    with pytest.raises(NotAllowed, match="the kernel's business"):
        talk._callable(next(iter(gpu.files.values())).f_mapping, "unlink")


@pytest.mark.parametrize(
    "said",
    [
        {"methods": 7},
        {"methods": {"map": 1}},
        {"methods": {"map": ["async", 3, 0, False]}},
        {"base": "Importer", "methods": {"map": ["async", ["self"], float("inf"), False]}},
        {"values": "abc"},
    ],
    ids=str,
)
def test_what_a_process_says_of_its_class_may_be_nonsense(said):
    """Then it is no answer; what marks goes on with the next exercise."""
    with pytest.raises((Gone, BadInput)):
        handin.driver(SimpleNamespace(said=said))
