"""The reference drivers, each in all scenes that take it: seconds by the clock and of computing, and what was not decided.

    python -m benchmarks.bench_all_scenes [CLASS ...]

``P2PLAB_WORKERS``: processes (2). ``P2PLAB_BUDGET`` is by the clock, for a machine that has other things to do.
Exit status 1 if one is not HOLDS.
"""

from __future__ import annotations

import os
import sys
import time

import p2plab
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.drivers.odp import OdpNic
from p2plab.search.allscenes import AllScenes

DRIVERS = (ObedientNic, OdpNic, Gpu)
#: Seconds for all scenes of one driver.
BUDGET = float(os.environ.get("P2PLAB_BUDGET", "60"))
#: Processes that share the scenes out.
WORKERS = int(os.environ.get("P2PLAB_WORKERS", "2"))


def computed() -> float:
    """Seconds of computing so far, of this process and of those that it has ended."""
    return sum(os.times()[:4])


def main(names: list[str]) -> int:
    """A row a driver; below it the scenes that were not decided, and the three that took longest."""
    whole = True
    for driver in DRIVERS:
        if names and driver.__name__ not in names:
            continue
        began, before = time.perf_counter(), computed()
        answer = p2plab.check(driver, budget=BUDGET, shrink=False, workers=WORKERS)
        assert isinstance(answer, AllScenes)
        whole &= answer.word == "HOLDS"
        seconds, computing = time.perf_counter() - began, computed() - before
        what = f"{len(answer.rows)} scenes, {answer.effort.states:,} states"
        print(f"{driver.__name__:12} {answer.word:12} {what}, {seconds:.1f} s, computing {computing:.1f} s", flush=True)
        for name, word in answer.table:
            if word != "HOLDS":
                print(f"    {name}: {word}")
        longest = sorted(answer.rows, key=lambda row: -row[1].effort.seconds)[:3]
        print("    longest: " + ", ".join(f"{trial.name} {one.effort.seconds:.1f} s" for trial, one in longest))
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
