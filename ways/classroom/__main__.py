"""``python -m ways.classroom``: a class on this machine, with simulated students; a table of what they waited for."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from ways.classroom.hub import NoHub, hub
from ways.classroom.lesson import STEPS
from ways.classroom.rehearsal import PAUSE, Report, rehearse
from ways.classroom.usage import KERNEL, SERVER, by_student, percentile


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 if nobody was lost and nobody saw another's work, 1 otherwise, 2 where no hub can be started."""
    options = argparse.ArgumentParser(prog="classroom", description=__doc__)
    options.add_argument("--students", type=_one_or_more, default=30, help="how many (default 30)")
    options.add_argument(
        "--over", type=float, default=0.0, help="seconds within which they arrive (default 0: at once)"
    )
    options.add_argument("--pause", type=float, default=PAUSE, help="seconds between a student's presses (default 1)")
    options.add_argument("--together", action="store_true", help="let all servers start at the same time, not in turn")
    options.add_argument("--log", action="store_true", help="print the hub's log at the end")
    given = options.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the hub ends with whoever started it
    try:
        with hub(in_turn=not given.together) as running:
            print(f"hub at {running.url}, folder {running.folder}; {given.students} students", flush=True)
            report = asyncio.run(rehearse(running, given.students, given.over, given.pause))
            if given.log:
                print(running.log())
    except NoHub as error:
        print(f"classroom: {error}", file=sys.stderr)
        return 2
    print("\n".join(told(report)))
    return 1 if report.lost or report.mixed else 0


def _one_or_more(text: str) -> int:
    number = int(text)
    if not 1 <= number <= len(STEPS):
        raise argparse.ArgumentTypeError(f"between 1 and {len(STEPS)} students have lessons of their own, not {number}")
    return number


def told(report: Report) -> list[str]:
    """The report as lines of text."""
    lines = [f"{'seconds from arrival to':<32}{'median':>10}{'95 %':>10}{'last':>10}"]
    for mark in ("logged in", "server", "notebook", "kernel", "first picture"):
        lines.append(_line(mark, report.seconds_to(mark)))
    lines.append(_line("click to answer, others arriving", report.answers_arriving, 3))
    lines.append(_line("click to answer, all there", report.answers_settled, 3))
    servers, kernels = (
        [mine[part] for _, mine in by_student(report.used) if part in mine] for part in (SERVER, KERNEL)
    )
    for name, used in (("server", servers), ("kernel", kernels)):
        mean = sum(each.pss for each in used) / len(used) / 1e6 if used else 0
        lines.append(
            f"memory of a {name}: PSS {mean:.0f} MB (RSS {sum(u.rss for u in used) / max(1, len(used)) / 1e6:.0f} MB)"
        )
    lines.append(f"memory of all: PSS {sum(each.pss for each in report.used) / 1e9:.2f} GB")
    for name, load in (("arriving", report.arriving), ("clicking", report.clicking)):
        if load is not None:
            parts = ", ".join(f"{part} {seconds:.1f}" for part, seconds in sorted(load.seconds().items()))
            lines.append(f"processor while {name}: busy {load.busy:.0%} of the time; seconds: {parts}")
    lines += [f"LOST   {sentence}" for sentence in report.lost] + [f"MIXED  {sentence}" for sentence in report.mixed]
    got_on = len(report.students) - len(report.lost)
    lines.append(
        f"verdict: {got_on} of {len(report.students)} got on, {len(report.lost)} lost, {len(report.mixed)} mix-ups"
    )
    return lines


def _line(name: str, values: list[float], digits: int = 1) -> str:
    shown = [percentile(values, 0.5), percentile(values, 0.95), max(values, default=float("nan"))]
    return f"{name:<32}" + "".join(f"{value:>10.{digits}f}" for value in shown)


if __name__ == "__main__":
    sys.exit(main())
