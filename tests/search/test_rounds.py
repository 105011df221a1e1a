"""Scenes shared out among processes: the answer of one process, whoever was quick; deaths, refusals and Ctrl-C."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import p2plab
from p2plab.core import known
from p2plab.core.errors import BadInput
from p2plab.drivers.nic import ObedientNic
from p2plab.search.allscenes import CheckingAllScenes
from p2plab.search.rounds import Known, Task, in_order, lower, round_of, states_of
from p2plab.search.sent import packed, unpacked
from p2plab.search.verdict import Effort, Pass, Violation
from p2plab.views.report import as_json

FEW = ("f1-ignores-clear", "f3-takes-mmap-lock", "f5-sleeps-non-blocking", "f9-unmaps-twice", "e4-refuses-later")


class Right(ObedientNic):
    """Nothing of its own."""


class Deaf(ObedientNic):
    """It hears of nothing."""

    async def invalidate_range_start(self, range):
        return 0


@pytest.fixture
def few(monkeypatch):
    """Five small scenes stand for all."""
    chosen = {name: p2plab.find(name) for name in FEW}
    monkeypatch.setattr(known, "scenes", lambda: chosen)


def finish(checking):
    """Go on until there is a verdict."""
    while checking.advance(0.5) is None:
        pass
    return checking.verdict


def answer(scene, bound, story):
    """What a made-up scene answers: it breaks in a story of so many switches (None: it holds) after so many states."""
    switches, states = story
    states = states + 10 * scene if bound is None else states // (2 + scene)
    if switches is not None and (bound is None or switches <= bound):
        return Violation(f"s{scene}", "a-rule", "nic", "", None, switches, effort=Effort(states))
    return Pass(f"s{scene}", bound, bound is None, None, (), Effort(states))


def swept(stories, pick, workers):
    """All answers, found by workers that take what is wanted and end in an order that ``pick`` chooses."""
    known, running = {}, []
    while (order := in_order(len(stories), None, known)).wanted:
        running = [task for task in running if task in order.wanted]
        running += [task for task in order.wanted if task not in running][: workers - len(running)]
        task = running.pop(pick(len(running)))
        found = answer(task.scene, task.bound, stories[task.scene])
        if found.effort.states > states_of(order.wanted[task]):
            known[task] = Known(order.wanted[task] + 1)
        else:
            known[task] = Known(max(known.get(task, Known()).round, round_of(found.effort.states)), found)
    return [
        (scene, type(found), found.effort.states, lower(None, found)) for scene, found in sorted(order.rows.items())
    ]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.none() | st.integers(0, 5), st.integers(1, 70_000)), min_size=1, max_size=7),
    st.integers(2, 4),
    st.randoms(use_true_random=False),
)
def test_it_does_not_matter_who_is_quick(stories, workers, random):
    """Whatever order the answers come in, those that count are those of one process."""
    assert swept(stories, lambda _: 0, 1) == swept(stories, random.randrange, workers)


def test_after_a_break_the_rest_is_bounded_and_before_it_is_not():
    """The second scene breaks with two switches: the first holds in every order, the third up to two switches."""
    rows = swept([(None, 10), (2, 10), (None, 10)], lambda _: 0, 1)
    assert [(row[1], row[3]) for row in rows] == [(Pass, None), (Violation, 2), (Pass, None)]
    known = {Task(1, None): Known(0, answer(1, None, (2, 10)))}
    assert list(in_order(3, None, known).wanted)[:2] == [Task(0, None), Task(2, 2)]


@pytest.mark.parametrize("driver", [Right, Deaf])
def test_two_processes_say_what_one_says(few, driver):
    """Rows, stories, states: all but seconds, and what the second net did in them."""
    one, two = (as_json(p2plab.check(driver, workers=workers, shrink=False)) for workers in (1, 2))

    def without_seconds(value):
        if isinstance(value, dict):
            kept = {name: item for name, item in value.items() if name not in ("seconds", "second_net")}
            return {name: without_seconds(item) for name, item in kept.items()}
        return [without_seconds(item) for item in value] if isinstance(value, list) else value

    assert without_seconds(one) == without_seconds(two)


def test_a_verdict_comes_through_whole():
    """What a copy sends is what it found, its run executed once more."""
    scene = p2plab.find("f9")
    for found in (p2plab.check(scene, shrink=False), p2plab.check(scene, driver="good")):
        there = unpacked(json.loads(json.dumps(packed(found))), scene)
        same = {"run": None} if isinstance(found, Violation) else {}
        assert dataclasses.replace(there, **same) == dataclasses.replace(found, **same)
        assert there.effort == found.effort
        assert getattr(there.run, "log", None) == getattr(found.run, "log", None)


def test_a_copy_that_dies_is_replaced(few):
    """Killed, out of memory: what it was at is done here, and the answer is whole."""
    checking = CheckingAllScenes(Right, workers=2)
    assert checking.advance(0.01) is None
    for copy in checking._crew._copies:
        os.kill(copy.process_id, signal.SIGKILL)
    assert finish(checking).word == "HOLDS"


def test_what_a_copy_refuses_is_refused(few):
    """A place where no state may be kept, that shows in a step only; and no copy is left."""

    class Swaps(ObedientNic):
        async def map(self, start, end):
            await super().map(start, end)
            type(self).map = ObedientNic.map

    checking = CheckingAllScenes(Swaps, workers=2)
    with pytest.raises(BadInput, match=r"Swaps\.map"):
        finish(checking)
    assert checking._crew._copies == []


def test_a_cancel_keeps_what_is_known(few):
    """Each copy says what it has; the rest was not begun."""
    checking = CheckingAllScenes(Right, workers=2)
    while not checking.rows:
        checking.advance(0.05)
    answer = checking.cancel()
    words = [word for _, word in answer.table]
    assert "HOLDS" in words
    assert len(words) == len(checking.trials)
    assert checking._crew._copies == []


def test_a_number_of_workers_that_cannot_be_is_bad_input():
    """As for one scene."""
    with pytest.raises(BadInput, match="workers=0 is not possible; allowed: 1 to 256"):
        CheckingAllScenes(Right, workers=0)


def test_ctrl_c_tells_what_is_known_and_leaves_no_copy_behind(tmp_path):
    """All scenes with two processes: the interrupt is answered with a table, and both are gone."""
    (tmp_path / "mine.py").write_text(
        "from p2plab.drivers.nic import ObedientNic\nclass Mine(ObedientNic):\n    pass\n"
    )
    line = [sys.executable, "-m", "p2plab", "check", "mine.py:Mine", "--workers", "2"]
    running = subprocess.Popen(
        line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    until = time.monotonic() + 60
    while len(_children(running.pid, 2)) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    copies = _children(running.pid, 2)
    time.sleep(1.0)
    os.killpg(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=60)
    assert len(copies) == 2
    assert "Mine in " in said
    assert not [pid for pid in copies if os.path.exists(f"/proc/{pid}")]


def _children(pid, depth):
    """The processes so many forks below one."""
    found = [pid]
    for _ in range(depth):
        found = [int(child) for one in found for child in _read(f"/proc/{one}/task/{one}/children").split()]
    return found


def _read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
