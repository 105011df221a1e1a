"""``p2plab mark FOLDER``: mark a class's hand-ins, each in a limited process of its own, to a table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from p2plab.core.errors import BadInput
from p2plab.course.marking import Limits, Marked, mark_folder, write_csv


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("mark", help="mark a folder of hand-ins: every answer, in every order of events")
    command.add_argument("folder", type=Path, help="with the files that hand_in() wrote (*.json)")
    command.add_argument("--csv", type=Path, metavar="OUT", help="write the table there instead of to standard output")
    command.add_argument("--seconds", type=int, default=60, metavar="N", help="for one hand-in (default 60)")
    command.add_argument("--megabytes", type=int, default=1536, metavar="N", help="for one hand-in (default 1536)")
    command.add_argument("--jobs", type=int, default=1, metavar="N", help="hand-ins at a time (default 1)")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 once every file has its row, whatever the files did."""
    if not 1 <= arguments.seconds <= 86_400 or not 256 <= arguments.megabytes <= 1 << 20:
        raise BadInput("allowed: --seconds 1 to 86400, --megabytes 256 to 1048576")
    if not 1 <= arguments.jobs <= 256:
        raise BadInput("allowed: --jobs 1 to 256")
    rows = mark_folder(arguments.folder, Limits(arguments.seconds, arguments.megabytes), _told, arguments.jobs)
    if arguments.csv is None:
        write_csv(rows, sys.stdout)
        return 0
    try:
        with arguments.csv.open("w", encoding="utf-8", newline="") as out:
            write_csv(rows, out)
    except OSError as error:
        raise BadInput(f"{arguments.csv} cannot be written: {error.strerror}") from None
    return 0


def _told(row: Marked) -> None:
    print(f"{row.file}: {row.passed} of {len(row.marks)} {row.note[:100]}".rstrip(), file=sys.stderr)
