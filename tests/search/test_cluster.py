"""A search on a Dask cluster: a real scheduler, real workers, over TCP; one of them is killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from p2plab import find
from p2plab.cli import main
from p2plab.core.errors import BadInput
from p2plab.search import Incomplete, Pass, Violation, check
from p2plab.search.checking import Checking
from p2plab.search.parallel import share

BROKEN = "e16-frees-a-slot-for-ram"
GOOD = {"driver": "good"}
DASK = [sys.executable, "-m", "dask"]


class DaskCluster:
    """A scheduler and workers on this machine."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.file = folder / "scheduler.json"
        self.start("scheduler", "--port", "0", "--no-dashboard")
        self.workers = []
        deadline = time.monotonic() + 60
        while not self.file.exists() or not self.file.read_text():
            assert time.monotonic() < deadline, "the scheduler did not start"
            time.sleep(0.05)
        self.address = json.loads(self.file.read_text())["address"]

    def start(self, *words):
        with open(self.folder / f"{words[0]}{len(self.processes)}.log", "w") as log:
            command = [*DASK, *words, "--host", "127.0.0.1", "--scheduler-file", str(self.file)]
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            process = subprocess.Popen(command, cwd=self.folder, **streams)
        self.processes.append(process)
        return process

    def worker(self):
        self.workers.append(self.start("worker", "--no-nanny", "--nthreads", "1", "--no-dashboard"))

    def wait_for(self, count):
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)

    def stop(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    running = DaskCluster(tmp_path_factory.mktemp("dask"))
    try:
        running.worker()
        running.worker()
        running.wait_for(2)
        yield running
    finally:
        running.stop()


@pytest.fixture
def soon(monkeypatch):
    """Workers are asked as soon as a search has grown."""
    monkeypatch.setattr(share, "PAYS", 0)
    monkeypatch.setattr("p2plab.search.search.SMALL", 300)


def test_a_cluster_gives_the_answer_of_one_process(cluster, soon):
    """The same smallest story, to the step."""
    one = check(find(BROKEN), shrink=False)
    more = check(find(BROKEN), shrink=False, cluster=cluster.address, budget=60)
    assert isinstance(more, Violation)
    assert more == one


def test_a_worker_of_the_cluster_is_killed_and_nothing_is_lost(cluster, soon, monkeypatch):
    """What it had is loaded into the one that is left; the numbers are those of one process."""
    monkeypatch.setattr("p2plab.search.arrays.search.CHUNK", 700)
    checking = Checking(find(BROKEN), knobs=GOOD, cluster=cluster.address, budget=120)
    while checking.progress.states < 1_000:
        assert checking.advance(0.01) is None
    assert checking.sharing.team is not None
    os.kill(cluster.workers[0].pid, signal.SIGKILL)
    while checking.advance(1.0) is None:
        pass
    one = check(find(BROKEN), knobs=GOOD, budget=60)
    assert isinstance(checking.verdict, Pass)
    assert checking.verdict == one
    assert checking.verdict.effort.states == one.effort.states
    assert checking.verdict.effort.transitions == one.effort.transitions
    assert checking.sharing.lost == 1


def test_a_scheduler_that_dies_ends_the_search_with_a_sentence(tmp_path, soon, monkeypatch):
    """Not with an error of Dask's, and not after minutes."""
    monkeypatch.setattr("p2plab.search.arrays.search.CHUNK", 200)
    own = DaskCluster(tmp_path)
    try:
        own.worker()
        own.wait_for(1)
        checking = Checking(find(BROKEN), knobs=GOOD, cluster=own.address, budget=60)
        while checking.progress.states < 1_000:
            assert checking.advance(0.01) is None
        own.processes[0].kill()
        while checking.advance(1.0) is None:
            pass
    finally:
        own.stop()
    assert isinstance(checking.verdict, Incomplete)
    assert "scheduler does not answer any more" in checking.verdict.why


def test_the_command_takes_the_scheduler_s_address(cluster, capsys):
    """And a small search is answered without it."""
    assert main(["check", "defrag-ignorant", "--cluster", cluster.address]) == 1
    assert "BREAKS obedience" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("tcp://127.0.0.1:1", "no Dask scheduler answers at tcp://127.0.0.1:1"),
        ("tcp://127.0.0.1:99999", "no Dask scheduler answers at tcp://127.0.0.1:99999"),
        ("127.0.0.1:8786", "is not a scheduler's address; write tcp://HOST:PORT"),
        ("tcp://" + "9" * 5000, "is not a scheduler's address"),
        ("file:///etc/passwd", "is not a scheduler's address"),
    ],
)
def test_an_address_where_nobody_is_gets_a_sentence(address, sentence, capsys):
    """Exit 2, one line."""
    assert main(["check", "defrag-ignorant", "--cluster", address]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1


def test_a_cluster_without_workers_gets_a_sentence(tmp_path):
    """There is a scheduler, and nobody who works."""
    empty = DaskCluster(tmp_path)
    try:
        with pytest.raises(BadInput, match="the cluster has no workers"):
            check(find(BROKEN), cluster=empty.address)
    finally:
        empty.stop()


def test_without_dask_it_is_said_what_to_install(monkeypatch):
    """One sentence."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BadInput, match=r"pip install 'p2plab\[cluster\]'"):
        check(find(BROKEN), cluster="tcp://127.0.0.1:8786")
