"""The whole catalogue: every scene told, every good twin in its story and some random orders."""

from __future__ import annotations

import time

from p2plab.catalog import CASES
from p2plab.catalog.verdict import seed_run, verdicts

SEEDS = 20


def main() -> None:
    """Print the table."""
    begun = time.perf_counter()
    found = list(verdicts(CASES.values(), SEEDS))
    seconds = time.perf_counter() - begun
    runs = len(found) * (SEEDS + 2)
    begun = time.perf_counter()
    steps = sum(len(seed_run(case, seed)) for case in CASES.values() for seed in range(5))
    bare = time.perf_counter() - begun
    print(f"{len(found)} scenes, {runs} runs with all rules")
    print(f"{'whole catalogue, s':<40}{seconds:>10.2f}")
    print(f"{'runs a second':<40}{runs / seconds:>10.0f}")
    print(f"{'steps a second, without rules':<40}{steps / bare:>10.0f}")
    slowest = max(found, key=lambda result: result.seconds)
    print(f"{'slowest scene: ' + slowest.case.scenario.name:<40}{slowest.seconds:>10.2f}")
    print(f"{'sound':<40}{sum(result.sound for result in found):>7} of {len(found)}")


if __name__ == "__main__":
    main()
