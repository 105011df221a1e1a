"""A class on this machine: what 5, 10, 20 and 30 students wait for who all arrive in the same second, and what it costs.

Real hub, servers, kernels and protocols; only the browsers are simulated, and they share the processors with the class. Each
student does the first lesson's presses with a second between them, twice: while others still arrive, and when all are there.
``python benchmarks/bench_class.py [--together] [NUMBER …]``; ``--together`` starts all servers at the same time, not in turn.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ways.classroom.hub import hub
from ways.classroom.rehearsal import Report, rehearse
from ways.classroom.usage import DRIVER, KERNEL, SERVER, by_student, percentile

SIZES = (5, 10, 20, 30)
COLUMNS = (
    "students", "lost", "mixed", "server 50 %", "95 %", "picture 50 %", "95 %", "answer 50 %", "95 %", "arriving 50 %", "95 %",
    "server MB", "kernel MB", "all GB", "busy",
)  # fmt: skip


def measured(count: int, in_turn: bool) -> Report:
    """One rehearsal in a hub of its own."""
    with hub(in_turn=in_turn) as running:
        return asyncio.run(rehearse(running, count))


def line(count: int, report: Report) -> list[str]:
    """A row of the table: seconds of server and picture, milliseconds of answers, PSS in MB."""
    parts = [mine for _, mine in by_student(report.used)]
    seconds = [
        f"{percentile(report.seconds_to(mark), p):.1f}" for mark in ("server", "first picture") for p in (0.5, 0.95)
    ]
    answers = [
        f"{percentile(each, p) * 1000:.0f}"
        for each in (report.answers_settled, report.answers_arriving)
        for p in (0.5, 0.95)
    ]
    memory = [
        f"{sum(mine[part].pss for mine in parts if part in mine) / max(1, len(parts)) / 1e6:.0f}"
        for part in (SERVER, KERNEL)
    ]
    whole = f"{sum(each.pss for each in report.used) / 1e9:.2f}"
    busy = f"{report.arriving.busy:.0%}" if report.arriving else ""
    return [str(count), str(len(report.lost)), str(len(report.mixed)), *seconds, *answers, *memory, whole, busy]


def main(words: list[str]) -> int:
    """Print a row as soon as it is measured; exit 1 if anybody was lost or saw another's work."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a hub ends with whoever started it
    in_turn = "--together" not in words
    sizes = [int(word) for word in words if word.isdigit()] or list(SIZES)
    how = "in turn" if in_turn else "together"
    print(f"{os.cpu_count()} processors; servers start {how}; server and picture: seconds from arrival; answers: ms")
    print("  ".join(COLUMNS))
    wrong = []
    for count in sizes:
        report = measured(count, in_turn)
        print("  ".join(word.rjust(len(name)) for word, name in zip(line(count, report), COLUMNS, strict=True)))
        assert report.arriving is not None
        spent = report.arriving.seconds()
        shares = ", ".join(f"{part} {spent[part] / count:.2f}" for part in sorted(spent) if part != DRIVER)
        print(
            f"   seconds of processor a student until all are there: {shares}; simulation {spent[DRIVER] / count:.2f}",
            flush=True,
        )
        wrong += [*report.lost, *report.mixed]
    print("\n".join(wrong))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
