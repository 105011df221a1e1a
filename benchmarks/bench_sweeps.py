"""Throughput of the three sweeps, in runs a second."""

from __future__ import annotations

import time

from p2plab.sweeps import SWEEPS

SEEDS = 3


def main() -> None:
    """Print the table."""
    print(f"{'sweep':<20}{'runs':>8}{'seconds':>10}{'runs/s':>10}")
    for name, sweep in SWEEPS.items():
        runs: list[int] = []
        begun = time.perf_counter()
        sweep(seeds=SEEDS, progress=lambda done, _total, runs=runs: runs.append(done))
        seconds = time.perf_counter() - begun
        print(f"{name:<20}{len(runs):>8}{seconds:>10.2f}{len(runs) / seconds:>10.1f}")


if __name__ == "__main__":
    main()
