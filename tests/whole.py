"""Runs the tests so that nothing is hidden: ``python -m tests.whole`` with pytest's own arguments.

A test that fails has failed. Only those marked ``timed``, which measure time on purpose and may come too late on a busy
machine, are asked once more, by name, and only where nothing else failed; what is asked again has to pass. A run
that did not come to its end (killed, left by ``os._exit``, cut short) is a failure, whatever its exit status says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

#: Where the run within writes what became of it.
REPORT = "P2PLAB_TESTS_REPORT"
LOST = 70


class Told(NamedTuple):
    """What became of a run: its exit status, which tests failed, and which of these measure time."""

    status: int
    failed: frozenset[str] = frozenset()
    timed: frozenset[str] = frozenset()


def main(arguments: list[str]) -> int:
    """The exit status: 0 only where every test ran and passed, the timed ones at the second time perhaps."""
    told = run(arguments)
    if told.status != pytest.ExitCode.TESTS_FAILED or not told.failed or told.failed != told.timed:
        return told.status
    print(
        f"\nOnly tests that measure time failed; they are asked once more: {', '.join(sorted(told.timed))}", flush=True
    )
    return run(sorted(told.timed)).status


def run(arguments: list[str]) -> Told:
    """One run in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="p2plab-tests-") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pytest", "-p", "tests.whole", *arguments]
        status = subprocess.run(command, env={**os.environ, REPORT: str(report)}, check=False).returncode
        said = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    ended = said.get("status") == status and (status != 0 or said["ran"] == said["collected"])
    if ended:
        return Told(status, frozenset(said["failed"]), frozenset(said["timed"]))
    print(f"\nThe run of the tests was lost (exit status {status}): what it said above is not all.", flush=True)
    return Told(LOST)


class _Reporter:
    def __init__(self, path: str) -> None:
        self.path, self.process_id = Path(path), os.getpid()
        self.collected: set[str] = set()
        self.timed: set[str] = set()
        self.ran: set[str] = set()
        self.failed: set[str] = set()
        self.elsewhere = False  #: something failed that is no test: a file that could not be collected

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.collected = {item.nodeid for item in session.items}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Shared out among processes, each of them collects all tests."""
        self.collected.update(ids)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.elsewhere |= report.failed

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self.ran.add(report.nodeid)
        if report.failed:
            self.failed.add(report.nodeid)
        if "timed" in report.keywords:
            self.timed.add(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if os.getpid() != self.process_id:  # a test forked, and its child has no say
            return
        timed = [] if self.elsewhere else sorted(self.failed & self.timed)
        said = {"status": int(session.exitstatus), "collected": len(self.collected), "ran": len(self.ran)}
        self.path.write_text(json.dumps({**said, "failed": sorted(self.failed), "timed": timed}), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """As a plugin of the run within."""
    if REPORT in os.environ:
        config.pluginmanager.register(_Reporter(os.environ.pop(REPORT)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
