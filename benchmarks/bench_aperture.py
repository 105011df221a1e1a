"""Defragmenting an aperture of 1,000,000 blocks, as a ratio to copying the same bytes once with numpy in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from p2plab.sweeps.compact import compact, plan

BLOCKS, BYTES, FILL, ROUNDS = 1_000_000, 64, 0.7, 7


def best(job: Callable[[], object]) -> float:
    """The shortest of some runs, in milliseconds."""
    found = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        job()
        found.append((time.perf_counter() - begun) * 1e3)
    return min(found)


def main() -> None:
    """Print the table."""
    random = np.random.default_rng(2019)
    shows = np.where(random.random(BLOCKS) < FILL, np.arange(BLOCKS), -1)
    content = random.integers(0, 256, (BLOCKS, BYTES), dtype=np.uint8)
    owner = np.arange(BLOCKS) // 16
    moved = len(np.flatnonzero(shows >= 0))
    source, target = content[:moved].copy(), np.empty((moved, BYTES), dtype=np.uint8)
    floor = best(lambda: np.copyto(target, source))
    planning = best(lambda: plan(shows))
    telling = best(lambda: plan(shows, owner))
    moving = []
    for _ in range(ROUNDS):
        here, there = shows.copy(), content.copy()
        begun = time.perf_counter()
        compact(here, there)
        moving.append((time.perf_counter() - begun) * 1e3)
    expected = content[shows >= 0]
    assert np.array_equal(there[:moved], expected), "the bytes are not where they should be"
    print(f"{BLOCKS:,} blocks of {BYTES} bytes (illustrative), {FILL:.0%} in use, in random places; best of {ROUNDS}")
    print(f"{'':<40}{'ms':>8}{'ratio':>8}")
    for name, ms in (
        ("numpy copy of the same bytes, once", floor),
        ("plan", planning),
        ("plan, with the objects to be told", telling),
        ("defragmentation in place: plan and bytes", min(moving)),
    ):
        print(f"{name:<40}{ms:>8.1f}{ms / floor:>8.2f}")


if __name__ == "__main__":
    main()
