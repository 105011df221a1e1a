"""The soundness gate at length: random programs and small scenes, memoised against plain, small against wide.

``python benchmarks/bench_search_soundness.py [FIRST LAST]``; the default takes some minutes, and 2,000 of its programs are
small enough to be compared.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from p2plab.everything import SCENES
from p2plab.rules import RULES as ALL_RULES
from p2plab.search.arrays import graph as wide_module
from p2plab.search.arrays import states as layout_module
from p2plab.search.arrays.graph import ArrayGraph
from p2plab.search.arrays.search import ArrayLayers, Breadth
from p2plab.search.freeze import Unfreezable
from p2plab.search.model import Model
from p2plab.search.monitors import Monitors
from p2plab.search.recorder import Recorder
from p2plab.search.watchdog import Watchdog
from p2plab.search.world import maker
from tests.search.equals import equals
from tests.search.gate import RULES, by_symmetry, difference, explored_wide, hidden, memoised, reference
from tests.search.places import PLACES
from tests.search.programs import program

#: Programs with more states are left out: the plain search would take minutes for each.
LARGEST = 300


def main() -> None:
    """Print how many were compared, and each difference."""
    first, last = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else (0, 2_040)
    wide_module.CHUNK = 7  # so that small programs are cut into many chunks
    began = time.perf_counter()
    counts: Counter[str] = Counter()
    for seed in range(first, last):
        if seed % 250 == 0:
            print(f"program {seed}, {counts['compared']} compared, {counts['DIFFERENT']} different", flush=True)
        layout_module.WORD, layout_module.SPARE = ((64, 1), (7, 0))[seed % 2]  # small states in several words, too
        build = program(seed)
        small = memoised(build, limit=LARGEST)
        if not small.complete:
            counts["too large"] += 1
            continue
        counts["compared"] += 1
        counts["states"] += len(small.states)
        for rule in {rule for _, _, rule, _ in small.broken}:
            counts[f"with {rule}"] += 1
        for name, other in (("plain", reference(build, limit=20 * LARGEST)), ("wide", wide(build))):
            if found := difference(small, other):
                counts["DIFFERENT"] += 1
                print(f"program {seed}, {name}: {found}")
    print(", ".join(f"{value} {name}" for name, value in counts.items()), f"in {time.perf_counter() - began:.0f} s")


def hidden_bits(first: int, last: int) -> None:
    """Random programs that keep a bit somewhere: both searches agree, or the program is refused."""
    counts: Counter[str] = Counter()
    for seed in range(first, last):
        place = PLACES[seed % len(PLACES)]
        how, found = hidden(seed, place, LARGEST)
        counts[f"with a bit {'in' if place.seen else 'out of'} sight {how}"] += 1
        if found:
            counts["DIFFERENT"] += 1
            print(f"program {seed} with a bit in {place.name}: {found}")
    print(", ".join(f"{value} {name}" for name, value in sorted(counts.items())))


def scenes() -> None:
    """Every scene that is small enough, broken and good."""
    counts: Counter[str] = Counter()
    for name, scene in SCENES.items():
        drivers = ({"driver": "broken"}, {"driver": "good"}) if "driver" in {k.name for k in scene.knobs} else ({},)
        rules = [ALL_RULES[rule] for rule in scene.rules]
        for knobs in drivers:
            settings = scene.settings(knobs)

            def build(world, scene=scene, settings=settings):  # type: ignore[no-untyped-def]
                scene.build(world, settings)

            try:
                small = memoised(build, rules, limit=LARGEST)
            except Unfreezable:
                counts["left to plain replay"] += 1
                continue
            if not small.complete:
                counts["too large"] += 1
                continue
            counts["scenes compared"] += 1
            if found := by_symmetry(build, rules, limit=LARGEST)[0]:
                counts["DIFFERENT"] += 1
                print(f"{name} {knobs} by symmetry: {found}")
            counts["states"] += len(small.states)
            if found := difference(small, reference(build, rules, limit=20 * LARGEST)):
                counts["DIFFERENT"] += 1
                print(f"{name} {knobs}: {found}")
    print(", ".join(f"{value} {name}" for name, value in counts.items()))


def equals_by_symmetry(first: int, last: int) -> None:
    """Random programs of equals: the orbits against the full search."""
    counts: Counter[str] = Counter()
    for seed in range(first, last):
        found, order, states = by_symmetry(equals(seed), limit=5 * LARGEST)
        counts["programs of equals" if order else "with nobody interchangeable" if states else "too large"] += 1
        counts["states"] += states if order else 0
        if found:
            counts["DIFFERENT"] += 1
            print(f"program of equals {seed}: {found}")
    print(", ".join(f"{value} {name}" for name, value in counts.items()))


def wide(build):  # type: ignore[no-untyped-def]
    """The wide search's answer, in the reference's terms."""
    with Watchdog() as dog:
        graph = ArrayGraph(Model(Recorder(maker(build, {}), dog), Monitors(RULES)))
        breadth = Breadth(graph)
        while not breadth.complete:
            breadth.one_chunk()
        ArrayLayers(graph).advance(60)
    return explored_wide(graph)


if __name__ == "__main__":
    scenes()
    equals_by_symmetry(0, 1_000)
    hidden_bits(0, 2_000)
    main()
