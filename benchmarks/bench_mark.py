"""Ordinary hand-ins among hostile ones: how long marking takes, and whether everybody is marked right.

``python benchmarks/bench_mark.py [SECONDS] [JOBS]``: the time for one hand-in (default 20), and how many at a time (default 1).
The peer is the same ordinary ones in a folder of their own: what the hostile ones cost is the difference.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from p2plab.course.marking import Limits, Marked, mark_folder
from tests.course.hostile import HandIn, hostile, ordinary, write


def marked(hand_ins: list[HandIn], folder: Path, seconds: int, jobs: int) -> tuple[list[Marked], float]:
    """The rows, by the order of the hand-ins, and the seconds they took."""
    folder.mkdir()
    for hand_in in hand_ins:
        write(folder, hand_in)
    begun = time.perf_counter()
    rows = {row.file.removesuffix(".json"): row for row in mark_folder(folder, Limits(seconds), jobs=jobs)}
    return [rows[hand_in.name] for hand_in in hand_ins], time.perf_counter() - begun


def main(seconds: int = 20, jobs: int = 1) -> int:
    """Print the table; 1 if somebody got a wrong mark."""
    with tempfile.TemporaryDirectory() as place, socket.create_server(("127.0.0.1", 0)) as somebody:
        treasure = Path(place) / "treasure.txt"
        treasure.write_text("precious")
        good, bad = ordinary(), hostile(treasure, seconds, somebody.getsockname()[1])
        _, alone = marked(good, Path(place) / "ordinary", seconds, jobs)
        rows, both = marked([*good, *bad], Path(place) / "class", seconds, jobs)
        kept = treasure.read_text() == "precious"
    right = [row.marks == made.marks and made.note in row.note for row, made in zip(rows, [*good, *bad], strict=True)]
    print(f"{len(rows)} hand-ins, {seconds} s each at most, {jobs} at a time; protection: {rows[0].means}")
    for row, made, well in zip(rows, [*good, *bad], right, strict=True):
        print(
            f"  {made.name:<32} {'right' if well else 'WRONG'}  {row.passed} of {len(row.marks)}  {row.note[:60]}".rstrip()
        )
    print(f"{f'the {len(good)} ordinary ones alone, s':<44}{alone:>8.1f}")
    print(f"{f'all {len(rows)}, s':<44}{both:>8.1f}")
    print(f"{f'bound ({len(rows)} x (limit + 15)), s':<44}{len(rows) * (seconds + 15) / jobs:>8.1f}")
    print(f"{'marked right':<44}{sum(right):>5} of {len(right)}")
    print(f"{'the file outside is whole':<44}{'yes' if kept else 'NO':>8}")
    return 0 if all(right) and kept else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
