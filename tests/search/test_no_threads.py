"""Python in a browser starts no threads: the search and the budget of a step do without."""

from __future__ import annotations

import sys
import threading

import pytest

from p2plab import find
from p2plab.drivers.nic import ObedientNic
from p2plab.search import Pass, Violation, check
from p2plab.search.watchdog import StepTooLong, Watchdog

needs_monitoring = pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring came with Python 3.12")


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


def test_a_search_gives_the_same_answers():
    """A proof and a counterexample, as with threads."""
    held, broke = check(find("defrag-obedient")), check(find("F2"))
    assert isinstance(held, Pass)
    assert held.complete
    assert isinstance(broke, Violation)
    assert broke.rule == "obedience"


class Spins(ObedientNic):
    """Never gets to its next await."""

    async def invalidate_range_start(self, range):
        while True:
            pass


@needs_monitoring
def test_a_step_without_end_is_stopped_from_inside():
    """With the line that it was on."""
    answer = check(find("defrag-obedient"), importer=Spins)
    assert isinstance(answer, Violation)
    assert answer.rule == "endless-step"


@needs_monitoring
def test_watchdogs_in_each_other_leave_nothing_behind():
    """The inner one finds the place taken, and does not give it back too early."""
    outer, inner = Watchdog(0.05), Watchdog(0.05)

    def spin() -> None:
        with outer.step():
            while True:
                pass

    with outer:
        with inner:
            pass
        with pytest.raises(StepTooLong):
            spin()
    assert sys.monitoring.get_tool(4) is None
