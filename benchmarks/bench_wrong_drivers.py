"""Wrong drivers, each in all scenes that take it: whether it is found, by which promise, and how long that takes.

    python -m benchmarks.bench_wrong_drivers [CLASS ...]

Seconds are of computing. ``P2PLAB_WORKERS``: processes (2). ``P2PLAB_BUDGET`` is by the clock on the wall, for a machine that
has other things to do.
Exit status 1 if one is not found, or if its smallest story breaks another promise than a reviewer would name.
"""

from __future__ import annotations

import os
import sys

import p2plab
from tests.search.wrong_drivers import WRONG

#: Seconds for all scenes of one driver.
BUDGET = float(os.environ.get("P2PLAB_BUDGET", "60"))
#: Processes that share the scenes out.
WORKERS = int(os.environ.get("P2PLAB_WORKERS", "2"))


def computed() -> float:
    """Seconds of computing so far, of this process and of those that it has ended."""
    return sum(os.times()[:4])


def main(names: list[str]) -> int:
    """A row a driver: the smallest story's promise, and all that broke in any scene."""
    wrong = 0
    for driver, rules, *_ in WRONG:
        if names and driver.__name__ not in names:
            continue
        began = computed()
        answer = p2plab.check(driver, budget=BUDGET, shrink=False, workers=WORKERS)
        found = answer.smallest.rule if answer.smallest is not None else answer.word
        broken = sorted({one.rule for _, one in answer.rows if hasattr(one, "rule")})
        wrong += found not in rules
        verdict = "found" if found in rules else "OTHER" if answer.smallest is not None else "MISSED"
        seconds = computed() - began
        print(
            f"{verdict:6} {driver.__name__:26} {found:20} {seconds:5.1f} s  in any scene: {', '.join(broken)}",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
