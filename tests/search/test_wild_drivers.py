"""Drivers that do what no driver should: the command ends in a sentence, and nothing of them gets between its lines."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from p2plab.cli import main

HEAD = """
import os, sys, time
from p2plab.drivers.nic import ObedientNic
print("this is loaded")
class Mine(ObedientNic):
"""
WRONG = """
    async def map(self, start, end):
        print("mapping" * 1000)
        print("mapping", file=sys.stderr)
        await super().map(start, end)
    async def invalidate_range_start(self, range):
        print("invalidating")
        return 0
"""


def command(tmp_path, body, *words, head=HEAD):
    (tmp_path / "mine.py").write_text(head + body)
    line = [sys.executable, "-m", "p2plab", "check", "defrag-obedient", "--importer", "mine.py:Mine", *words]
    return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def test_what_a_driver_prints_is_not_between_the_lines(tmp_path):
    """Neither while it is loaded, nor while it is searched, nor while its story is drawn."""
    done = command(tmp_path, WRONG)
    assert done.returncode == 1
    assert done.stdout.startswith("defrag-obedient with importer=Mine, pages=1 BREAKS obedience: 2")
    assert "mapping" not in done.stdout.replace("mappings", "")
    assert "invalidating" not in done.stdout
    assert done.stderr == ""


def test_json_stays_json_whatever_is_printed(tmp_path):
    """One object and nothing else."""
    done = command(tmp_path, WRONG, "--json", "--trace", "trace.json")
    found = json.loads(done.stdout)
    assert (found["rule"], found["shrunk_from"]["settings"]["pages"], found["settings"]["pages"]) == ("obedience", 4, 1)
    assert "traceEvents" in json.loads((tmp_path / "trace.json").read_text())


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ("async def map(self, start, end):\n        os._exit(7)", 2, "line 7 of mine.py (Mine.map) uses os._exit"),
        ("async def map(self, start, end):\n        os.abort()", 2, "line 7 of mine.py (Mine.map) uses os.abort"),
        ("async def map(self, start, end):\n        os.fork()", 2, "line 7 of mine.py (Mine.map) uses os.fork"),
        ("async def map(self, start, end):\n        yield 1", 2, "Mine.map has a `yield`"),
        ("def map(self, start, end):\n        pass", 2, "Mine.map is not async"),
        ("async def map(self):\n        pass", 2, "Mine.map takes (); it is called with (start, end)"),
        ("1 / 0", 2, "mine.py raised ZeroDivisionError"),
    ],
    ids=["exits", "aborts", "forks", "yields", "not-async", "signature", "raises"],
)
def test_it_is_said_in_one_sentence(tmp_path, body, status, sentence):
    """On stderr, with the status that goes with it."""
    done = command(tmp_path, f"    {body}\n")
    assert done.returncode == status, done
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyboardInterrupt", "nic crashed: KeyboardInterrupt (in Mine.map:"),
        ("raise SystemExit(0)", "nic crashed: SystemExit: 0 (in Mine.map:"),
        ("raise Silent()", "nic crashed: Silent: (its text cannot be made: ValueError in its"),
        ("number = Silent2(4)\n        raise ValueError(number)", "nic crashed: ValueError: (its text cannot be made"),
        ("time.sleep(300)", "a step of nic never comes to its next await: Mine.map, line "),
        ("while not self.held: pass", "a step of nic never comes to its next await: Mine.map, line "),
    ],
    ids=["interrupts", "exits", "text", "repr", "sleeps", "spins"],
)
def test_whatever_a_driver_raises_is_its_own_crash(tmp_path, body, said):
    """Exit 1 with the line: no traceback of ours, and no exit 0."""
    silent = "    class Silent(Exception):\n        def __str__(self): raise ValueError('no')\n"
    silent += "    class Silent2(int):\n        def __repr__(self): raise ValueError('no')\n"
    body = body.replace("Silent", "self.Silent")
    done = command(tmp_path, f"{silent}    async def map(self, start, end):\n        {body}\n")
    assert done.returncode == 1, done
    assert said in " ".join(done.stdout.split()), done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_an_importer_without_callbacks_is_a_driver_that_does_not_obey(tmp_path):
    """Not bad input: every callback of `mmu_notifier_ops` is optional in Linux, and that is the bug which the story shows."""
    body = "    async def map(self, start, end):\n        await ObedientNic.map(self, start, end)\n"
    head = HEAD.replace("Mine(ObedientNic)", "Mine(Importer)").replace(
        "import os", "from p2plab.p2p.importer import Importer\nimport os"
    )
    done = command(tmp_path, body, head=head)
    assert done.returncode == 1, done
    assert "BREAKS obedience" in done.stdout


def test_a_file_that_interrupts_is_bad_input(tmp_path):
    """It ended with exit 0 and without a word."""
    (tmp_path / "mine.py").write_text("raise KeyboardInterrupt\n")
    line = [sys.executable, "-m", "p2plab", "check", "defrag-obedient", "--importer", "mine.py:Mine"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "mine.py raised KeyboardInterrupt" in done.stderr


def test_a_call_of_c_that_never_returns_is_named(tmp_path):
    """Nothing inside the process can end it; from outside it is ended soon."""
    done = command(tmp_path, "    async def map(self, start, end):\n        10 ** 10 ** 9 if start else 0\n")
    assert done.returncode == 1
    assert "cannot be interrupted (it was in map, line 7 of mine.py)" in done.stderr


def test_writing_to_descriptor_1_does_not_spoil_the_json(tmp_path):
    """What is written by number goes nowhere, as what is printed does."""
    body = "    async def map(self, start, end):\n        os.write(1, b'raw')\n        await super().map(start, end)\n"
    done = command(tmp_path, body, "--json", "--knob", "pages=1")
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["verdict"] == "pass"


def test_a_file_that_prints_without_end_is_stopped(tmp_path, monkeypatch, capsys):
    """Its top level must only define things; what it printed is nowhere to be seen."""
    monkeypatch.setattr("p2plab.cli.check.LOADING", 0.3)
    (tmp_path / "endless.py").write_text("while True:\n    print('more')\n")
    assert main(["check", "defrag-obedient", "--importer", f"{tmp_path}/endless.py:Mine"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "endless.py does not finish" in said.err


def test_a_call_that_never_comes_back_is_given_up_with_its_line(tmp_path):
    """Nothing inside the process can stop it: the process itself is stopped."""
    code = (
        "import sys, time\nfrom p2plab.cli.apart import apart\n"
        "def sleeps_in_its_step():\n    time.sleep(60)\n"
        "sys.exit(apart(sleeps_in_its_step, 2.0))\n"
    )
    (tmp_path / "asleep.py").write_text(code)
    done = subprocess.run([sys.executable, "asleep.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "cannot be interrupted (it was in sleeps_in_its_step, line 4 of asleep.py)" in done.stderr


def listens():
    """A shell lets what it starts in the background ignore Ctrl-C, and these tests with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("whole_group", [True, False], ids=["terminal", "kill"])
def test_ctrl_c_says_what_was_found_and_leaves_nobody_behind(tmp_path, whole_group):
    """While a search goes on that would take a minute; from a terminal all hear it, from ``kill -INT`` one process."""
    counts = "    async def map(self, start, end):\n        self.n = 0\n        while True:\n            self.n += 1\n"
    counts += "            await step('counts')\n"
    head = "open('begun', 'w')\nfrom p2plab.core.actors import step\n" + HEAD
    (tmp_path / "mine.py").write_text(head + counts)
    line = [sys.executable, "-m", "p2plab", "check", "defrag-obedient", "--importer", "mine.py:Mine", "--budget", "60s"]
    running = subprocess.Popen(
        line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=listens
    )
    while not (tmp_path / "begun").exists():
        time.sleep(0.05)
    time.sleep(2)  # it is loaded; now it is searched
    (os.killpg if whole_group else os.kill)(running.pid, signal.SIGINT)
    out, error = running.communicate(timeout=20)
    assert (running.returncode, error) == (130, b"p2plab: interrupted\n")
    assert out.startswith(b"defrag-obedient with importer=Mine: NOT DECIDED, it was")
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)
