"""The same search in one process, shared out among processes of this machine, and on a Dask cluster on its loopback.

Run ``python benchmarks/bench_search_workers.py [--rows N] [--cluster]``. Rows are importers, maps each, moves of the
handshake (``handshake.py``), everything right, every order. Peak memory is of the asking process and of one worker.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = [(3, 2, 2), (3, 3, 3), (4, 2, 1), (2, 3, 3)]
HERE = Path(__file__).resolve().parent


def one(row: tuple[int, ...], workers: int, cluster: str | None, share: bool) -> dict[str, float]:
    """Seconds of the search alone (imports are done), states, steps, and peak MB; in this process."""
    sys.path.insert(0, str(HERE))
    import numpy  # noqa: F401  what is measured is the search
    from handshake import NoStale, build

    from p2plab.core.scenario import Scenario
    from p2plab.rules import RULES
    from p2plab.search import Pass, check
    from p2plab.search.parallel import share as sharing

    RULES["no-stale"] = NoStale
    if share:
        sharing.PAYS = 0
    scene = Scenario("handshake", "", lambda world, _knobs: build(*row)(world), rules=("no-stale",))
    began = time.perf_counter()
    found = check(scene, budget=None, states=50_000_000, workers=workers, cluster=cluster, symmetry=False)
    seconds = time.perf_counter() - began
    assert isinstance(found, Pass)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    effort = found.effort
    return {"seconds": seconds, "states": effort.states, "steps": effort.transitions, "peak": peak, "worker": children}


def measured(row: tuple[int, ...], workers: int, cluster: str | None = None, share: bool = False) -> dict[str, float]:
    """:func:`one` in a process of its own."""
    command = [sys.executable, __file__, "--one", json.dumps([row, workers, cluster, share])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def with_cluster(rows: list[tuple[int, ...]], alone: dict[tuple[int, ...], dict[str, float]]) -> None:
    """Two workers of a Dask cluster here, and the same rows."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "scheduler.json")
        dask = [sys.executable, "-m", "dask"]
        common = ["--host", "127.0.0.1", "--scheduler-file", str(file), "--no-dashboard"]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        processes = [subprocess.Popen([*dask, "scheduler", "--port", "0", *common], cwd=folder, **quiet)]
        worker = [*dask, "worker", "--nthreads", "1", "--no-nanny", *common]
        processes += [subprocess.Popen(worker, cwd=folder, **quiet) for _ in range(2)]
        try:
            while not file.exists() or not file.read_text():
                time.sleep(0.1)
            address = json.loads(file.read_text())["address"]
            time.sleep(3)
            for row in rows:
                found = measured(row, 1, address, share=True)
                assert (found["states"], found["steps"]) == (alone[row]["states"], alone[row]["steps"])
                print(
                    f"{row}  cluster of 2: {found['seconds']:6.2f} s, asking process {found['peak']:.0f} MB", flush=True
                )
        finally:
            for process in reversed(processes):
                process.kill()
                process.wait()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3)
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        row, workers, cluster, share = json.loads(arguments.one)
        print(json.dumps(one(tuple(row), workers, cluster, share)))
        return
    print(f"{os.cpu_count()} processors")
    alone = {}
    for row in ROWS[: arguments.rows]:
        alone[row] = measured(row, 1)
        print(f"{row}  {alone[row]['states']:>10,.0f} states, {alone[row]['steps']:>11,.0f} steps")
        print(f"    1 process:  {alone[row]['seconds']:6.2f} s, {alone[row]['peak']:5.0f} MB", flush=True)
        for workers in (2, 3):
            found = measured(row, workers, share=True)
            assert (found["states"], found["steps"]) == (alone[row]["states"], alone[row]["steps"])
            gain = alone[row]["seconds"] / found["seconds"]
            print(
                f"    {workers} workers:  {found['seconds']:6.2f} s ({gain:.2f} times as fast), "
                f"{found['peak']:5.0f} MB + {found['worker']:.0f} MB a worker",
                flush=True,
            )
    if arguments.cluster:
        with_cluster(ROWS[: arguments.rows], alone)


if __name__ == "__main__":
    main()
