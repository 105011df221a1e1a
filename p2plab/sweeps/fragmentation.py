"""Fragmentation and the largest free run of an aperture, against the share and the lifetime of pinned mappings.

Jérôme Glisse's argument against pins, 30 January 2019 (<20190130155543.GC3177@redhat.com>): what is pinned in the BAR
cannot be moved, so the holes between pinned objects cannot be joined.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from p2plab.sweeps.table import Point, Progress, Sweep, point, silent

SLOTS = 512
LARGEST = 16  #: pages of the largest object
FILL = 0.7  #: share of the aperture in use
ROUNDS = 300
LIFETIMES = (1, 4, 16)
SHARES = (0.0, 0.05, 0.1, 0.2, 0.4)
Owners = npt.NDArray[np.int64]


def fragmentation(
    seeds: int = 20,
    shares: tuple[float, ...] = SHARES,
    lifetimes: tuple[int, ...] = LIFETIMES,
    progress: Progress = silent,
) -> Sweep:
    """For each share of pinned objects (x) and each lifetime factor of theirs (series): the share of the largest free run."""
    points: list[Point] = []
    total, done = len(shares) * len(lifetimes) * seeds, 0
    for factor in lifetimes:
        for share in shares:
            found = []
            for seed in range(seeds):
                found.append(one(seed, share, factor))
                done += 1
                progress(done, total)
            name = f"lifetime x{factor}"
            points.append(point(name, share, "largest free run / free slots", (run for run, _ in found)))
            points.append(point(name, share, "largest free run, slots", (float(slots) for _, slots in found)))
    return Sweep("fragmentation", "share pinned", tuple(points))


def one(seed: int, share: float, factor: int) -> tuple[float, int]:
    """One aperture after some rounds of coming and going, defragmented: (largest run / free, largest run in slots).

    Pinned objects are never moved and live ``factor`` times as long; the others slide down into the first gap that fits.
    """
    random = np.random.default_rng((seed, round(share * 1000), factor))
    slots = np.full(SLOTS, -1, dtype=np.int64)
    pinned: dict[int, bool] = {}
    ends: dict[int, int] = {}
    for now in range(ROUNDS):
        for thing in [thing for thing, end in ends.items() if end <= now]:
            slots[slots == thing] = -1
            del ends[thing], pinned[thing]
        while np.count_nonzero(slots >= 0) < FILL * SLOTS:
            number = len(ends) and max(ends) + 1
            at = first_fit(slots, size := int(random.integers(1, LARGEST + 1)))
            if at is None:
                break
            slots[at : at + size] = number
            pinned[number] = bool(random.random() < share)
            life = 1 + random.geometric(1 / 20)
            ends[number] = now + int(life * (factor if pinned[number] else 1))
    packed = defragment(slots, pinned)
    longest = max((length for _, length in free_runs(packed)), default=0)
    return longest / max(1, int(np.count_nonzero(packed < 0))), longest


def defragment(slots: Owners, pinned: dict[int, bool]) -> Owners:
    """The aperture with everything movable placed again, first fit in its present order; -1 is a free slot."""
    packed = np.where([owner >= 0 and pinned.get(int(owner), False) for owner in slots], slots, -1)
    movable = [
        int(owner) for owner in dict.fromkeys(slots.tolist()) if owner >= 0 and not pinned.get(int(owner), False)
    ]
    for thing in movable:
        size = int(np.count_nonzero(slots == thing))
        at = first_fit(packed, size)
        if at is None:  # no gap between the pinned is large enough: everything stays as it was
            return slots
        packed[at : at + size] = thing
    return packed


def free_runs(slots: Owners) -> list[tuple[int, int]]:
    """The holes, as (first slot, length)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], (slots < 0).astype(np.int8), [0]))))
    return [(int(start), int(end - start)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def first_fit(slots: Owners, size: int) -> int | None:
    """The first slot of the first hole that is large enough."""
    return next((start for start, length in free_runs(slots) if length >= size), None)
