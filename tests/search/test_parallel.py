"""A search that several workers share finds what one process finds: the same states, the same smallest story."""

import gc
import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from p2plab import find
from p2plab.core.errors import BadInput
from p2plab.search import Incomplete, Pass, Violation, check
from p2plab.search.arrays.graph import ArrayGraph
from p2plab.search.arrays.search import ArrayLayers, Breadth
from p2plab.search.checking import Checking
from p2plab.search.liveness import lasso
from p2plab.search.model import Model
from p2plab.search.monitors import Monitors
from p2plab.search.parallel import processes, share, wire
from p2plab.search.parallel.graph import SharedGraph
from p2plab.search.parallel.part import Part
from p2plab.search.parallel.team import Lost
from p2plab.search.recorder import Recorder
from p2plab.search.watchdog import Watchdog
from p2plab.search.world import maker
from tests.search.gate import RULES, difference, explored_wide, memoised
from tests.search.programs import program, source

#: Large enough to be searched in arrays, small enough for a test.
SCENE = "e16-frees-a-slot-for-ram"


class InThisProcess:
    """A team without processes. ``dies``: how many questions are heard before a part is lost; six times, and no more."""

    def __init__(self, parts, dies=0):
        self.parts = parts
        self.members = [Part() for _ in range(parts)]
        self.dies, self.answers = dies, 0

    def ask(self, kind, messages):
        self.answers += 1
        if self.dies and self.answers % self.dies == 0 and self.answers <= 6 * self.dies:
            self.members[self.answers % self.parts] = None
        lost = [part for part in messages if self.members[part] is None]
        found = {part: self.members[part].answer(kind, dict(m)) for part, m in messages.items() if part not in lost}
        if lost:
            raise Lost(lost)
        return found

    def exchange(self, messages):
        if None in self.members:
            raise Lost([self.members.index(None)])
        for part, message in messages.items():
            for other in range(self.parts):
                message[f"words{other}"] = self.members[other].letter(part, message["round"])
        return self.ask("insert", messages)

    def replace(self, parts):
        for part in parts:
            self.members[part] = Part()

    def close(self):
        pass


def graph_of(build, dog):
    return ArrayGraph(Model(Recorder(maker(build, {}), dog), Monitors(RULES)))


def everything(graph):
    """Expand all, broken promises or not."""
    breadth = Breadth(graph)
    while not breadth.complete:
        breadth.one_chunk()


def small_story(build, dog, parts):
    """(switches, choices) of the smallest story, in one process or by a team."""
    graph = graph_of(build, dog) if not parts else SharedGraph(graph_of(build, dog), InThisProcess(parts))
    layers = ArrayLayers(graph)
    layers.advance(60)
    if parts:
        graph.close()
    return layers.found and (layers.found.switches, layers.found.choices)


@pytest.mark.parametrize("block", range(6))
def test_a_team_finds_the_states_and_the_story_that_one_process_finds(block, monkeypatch):
    """Random programs, one to four parts, rounds of any size; no order of numbers decides which story is shown."""
    monkeypatch.setattr("p2plab.search.parallel.graph.CHUNK", 1 + 3 * block)
    monkeypatch.setattr("p2plab.search.arrays.graph.CHUNK", 1 + 3 * block)
    monkeypatch.setattr("p2plab.search.arrays.search.CHUNK", 2 + 5 * block)
    for seed in range(6 * block, 6 * block + 6):
        build = program(seed)
        small = memoised(build, limit=300)
        if not small.complete:
            continue
        parts = 1 + seed % 4
        with Watchdog() as dog:
            graph = SharedGraph(graph_of(build, dog), InThisProcess(parts))
            everything(graph)
            assert difference(small, explored_wide(graph)) == "", source(seed)
            graph.close()
            assert small_story(build, dog, parts) == small_story(build, dog, 0), source(seed)


def crashing(world):
    """Five who all do the same, each for itself; a sixth comes to grief once one of them has ended."""
    from tests.search.test_verdicts import Box, step, wait_event

    done = Box()
    for number in range(5):
        box = Box()

        async def counts(box=box):
            for _ in range(4):
                await step("counts", lambda: setattr(box, "value", box.value + 1))
            done.flag = True

        world.actor(f"a{number}", counts)

    async def looks():
        await wait_event(lambda: done.flag, "one of them")
        raise ZeroDivisionError

    world.actor("z", looks)


@pytest.mark.parametrize("parts", [2, 3, 4, 5])
def test_of_equally_small_stories_the_same_one_is_shown(parts):
    """The first in the order of actors, whatever numbers their states have."""
    with Watchdog() as dog:
        assert small_story(crashing, dog, parts) == small_story(crashing, dog, 0) == (1, ("a0",) * 4 + ("z",))


def test_every_part_has_its_share_of_the_states():
    """Each of four has about a quarter: hashes decide, and they are even."""
    with Watchdog() as dog:
        graph = SharedGraph(graph_of(crashing, dog), team := InThisProcess(4))
        everything(graph)
        shares = [member.visited.count / len(graph) for member in team.members]
        graph.close()
    assert sum(shares) == 1
    assert all(0.2 < share < 0.3 for share in shares), shares


def endless(world):
    """Two that look for ever, after having turned a dial that a third one turns too."""
    from tests.search.test_verdicts import Box, step

    box = Box()

    def turns(by):
        async def turn():
            for _ in range(4):
                await step("turns", lambda: setattr(box, "value", (box.value + by) % 7))
            while by < 3:
                await step("looks")

        return turn

    for by in (1, 2, 3):
        world.actor(f"by{by}", turns(by))


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_the_loop_that_never_rests_is_the_same_one(parts):
    """Which is shown is decided by the order of actors and not by numbers."""
    ways = []
    for team in (None, InThisProcess(parts)):
        with Watchdog() as dog:
            graph = graph_of(endless, dog)
            graph = graph if team is None else SharedGraph(graph, team)
            everything(graph)
            state = graph.cannot_terminate()
            ways.append((graph.path(state), lasso(graph, state), len(graph)))
            if team is not None:
                graph.close()
    assert ways[0] == ways[1]
    assert ways[0][2] > 100


@pytest.mark.parametrize("dies", [3, 5, 8, 13])
def test_nothing_is_lost_when_parts_die_in_the_middle(dies, monkeypatch):
    """Wherever in a round: what they had is loaded into another, and the round is done again."""
    monkeypatch.setattr("p2plab.search.parallel.graph.LOSSES", 20)
    monkeypatch.setattr("p2plab.search.arrays.search.CHUNK", 20)
    for seed in range(8, 14):
        build = program(seed)
        small = memoised(build, limit=300)
        if not small.complete:
            continue
        with Watchdog() as dog:
            graph = SharedGraph(graph_of(build, dog), InThisProcess(2, dies))
            everything(graph)
        assert difference(small, explored_wide(graph)) == "", source(seed)
        graph.close()


@pytest.fixture
def soon(monkeypatch):
    """Workers are asked as soon as a search has grown."""
    monkeypatch.setattr(share, "PAYS", 0)
    monkeypatch.setattr("p2plab.search.search.SMALL", 300)
    started = []

    class Counted(processes._Worker):
        def __init__(self, boxes):
            super().__init__(boxes)
            started.append(self.process.pid)

    monkeypatch.setattr(processes, "_Worker", Counted)
    return started


def alive(process_id: int) -> bool:
    try:
        with open(f"/proc/{process_id}/stat") as file:
            return file.read().split()[2] != "Z"
    except OSError:
        return False


def gone_in(process_ids, seconds=5.0) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(alive, process_ids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(alive, process_ids))


def numbers(answer):
    return answer.effort.states, answer.effort.transitions


@pytest.mark.parametrize("workers", [2, 3])
def test_processes_give_the_answer_of_one_process(soon, workers):
    """A proof with the same states and steps; the same smallest story, to the step."""
    one, more = (check(find(SCENE), knobs={"driver": "good"}, budget=60, workers=n) for n in (1, workers))
    assert isinstance(more, Pass)
    assert (more, numbers(more)) == (one, numbers(one))
    assert len(soon) == workers
    one, more = (check(find(SCENE), budget=60, workers=n, shrink=False) for n in (1, workers))
    assert isinstance(more, Violation)
    assert more == one
    assert len(soon) == 2 * workers
    assert gone_in(soon)


def begun(workers=2, **options):
    """A check that has handed its search over."""
    checking = Checking(find(SCENE), knobs={"driver": "good"}, budget=60, workers=workers, **options)
    while checking.sharing.team is None:
        assert checking.advance(0.01) is None
    return checking, checking.sharing.team.process_ids


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(soon, monkeypatch):
    """The final numbers are those of one process."""
    monkeypatch.setattr("p2plab.search.arrays.search.CHUNK", 200)
    checking, process_ids = begun()
    os.kill(process_ids[1], signal.SIGKILL)
    while checking.advance(0.5) is None:
        pass
    assert numbers(checking.verdict) == numbers(check(find(SCENE), knobs={"driver": "good"}))
    assert isinstance(checking.verdict, Pass)
    assert len(soon) == 3
    assert gone_in(soon)


def test_a_worker_that_is_stopped_ends_the_search_with_its_budget(soon, monkeypatch):
    """It neither dies nor answers; a few seconds after the budget it is given up, and nobody is left."""
    monkeypatch.setattr("p2plab.search.arrays.search.CHUNK", 200)
    monkeypatch.setattr(share, "GRACE", 0.2)
    checking, process_ids = begun()
    checking.search.budget = checking.progress.seconds + 0.5
    checking.sharing.team.limit(0.5)
    os.kill(process_ids[1], signal.SIGSTOP)
    while checking.advance(0.5) is None:
        pass
    assert isinstance(checking.verdict, Incomplete)
    assert "did not answer by the end of the budget" in checking.verdict.why or "budget" in checking.verdict.why
    assert gone_in(process_ids)


def test_workers_that_die_again_and_again_are_given_up(soon, monkeypatch):
    """A sentence, and not for ever."""
    monkeypatch.setattr("p2plab.search.arrays.search.CHUNK", 20)
    checking, _ = begun()
    while checking.verdict is None:
        for process_id in checking.sharing.team.process_ids:
            os.kill(process_id, signal.SIGKILL)
        checking.advance(0.001)
    assert isinstance(checking.verdict, Incomplete)
    assert checking.verdict.why.startswith("workers died ")


def test_no_process_is_left_when_a_search_ends_or_is_cancelled(soon, monkeypatch):
    """However it ends: by itself, by cancel, by its budget."""
    monkeypatch.setattr("p2plab.search.arrays.search.CHUNK", 50)
    checking, process_ids = begun()
    assert isinstance(checking.cancel(), Incomplete)
    assert gone_in(process_ids)
    checking, process_ids = begun()
    checking.search.budget = 0.001
    while checking.advance(0.5) is None:
        pass
    assert "budget" in checking.verdict.why
    assert gone_in(process_ids)
    checking, process_ids = begun()
    del checking
    gc.collect()
    assert gone_in(process_ids)


def test_no_process_is_left_when_the_one_who_asked_is_killed(soon):
    """They hear that nobody talks to them any more."""
    code = (
        "import time\nfrom p2plab.search.parallel.processes import Processes\n"
        "team = Processes(2)\nprint(*team.process_ids, flush=True)\ntime.sleep(60)\n"
    )
    asker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    process_ids = [int(word) for word in asker.stdout.readline().split()]
    assert all(map(alive, process_ids))
    asker.kill()
    asker.wait()
    assert gone_in(process_ids)


def test_a_class_of_a_notebook_can_be_shared_out(soon):
    """Driver code stays here; a class that no file has is no hindrance."""
    names = {"__name__": "nowhere"}
    code = "from p2plab.drivers.nic import ObedientNic\nclass Mine(ObedientNic):\n    pass\n"
    exec(code, names)  # noqa: S102  as a notebook's cell does
    options = {"importer": names["Mine"], "budget": 60}
    one, more = (check(find("defrag-obedient"), workers=n, **options) for n in (1, 2))
    assert (more, numbers(more)) == (one, numbers(one))
    assert len(soon) == 2


def test_messages_are_numbers_and_arrays_of_integers():
    """What comes back is what was sent; objects, halves and nonsense are refused."""
    stream = io.BytesIO()
    rows = np.arange(12, dtype=np.uint16).reshape(3, 4)
    wire.send(stream, {"kind": "load", "base": 3, "rows": rows, "none": np.zeros((0, 2), np.int64)})
    whole = stream.getvalue()
    found = wire.receive(io.BytesIO(whole))
    assert (found["kind"], found["base"], found["none"].shape) == ("load", 3, (0, 2))
    assert np.array_equal(found["rows"], rows)
    for broken in (b"", whole[:5], whole[:-1], b"\xff" * 40, whole.replace(b"<u2", b"|O8")):
        with pytest.raises(wire.Ended):
            wire.receive(io.BytesIO(broken))


@pytest.mark.parametrize("workers", [0, -1, 10**30, 257])
def test_a_number_of_workers_that_makes_no_sense_gets_a_sentence(workers):
    """Before anything is started."""
    with pytest.raises(BadInput, match=r"workers=.* is not possible; allowed: 1 to 256"):
        check(find(SCENE), workers=workers)


def test_a_small_search_starts_no_process(monkeypatch):
    """Below the size from which workers pay, one process does it."""
    monkeypatch.setattr(processes, "_Worker", None)
    assert isinstance(check(find(SCENE), knobs={"driver": "good"}, workers=2, budget=120), Pass)
