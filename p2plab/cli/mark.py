"""``p2plab mark FOLDER``: mark a class's hand-ins, each in a sandboxed process, and write tables."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from pathlib import Path
from typing import TextIO

from p2plab.cli.frame import NotWritten, is_no_room, number, print_json
from p2plab.core.errors import BadInput
from p2plab.core.plain import plain, storable
from p2plab.course.marking import Csv, Grades, Json, Limits, Marked, mark_folder

#: Instead of a file: standard output.
STDOUT = Path("-")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("mark", help="mark a folder of hand-ins: every answer, in every order of events")
    command.add_argument(
        "folder", type=Path, help="what was handed in: *.json of hand_in(), *.ipynb, folders of students"
    )
    command.add_argument("--csv", type=Path, metavar="OUT", help="write the table there instead of to standard output")
    command.add_argument(
        "--json",
        nargs="?",
        type=Path,
        const=STDOUT,
        metavar="OUT",
        help="write the same as JSON as well; without OUT to standard output, in place of the table",
    )
    command.add_argument("--grades", type=Path, metavar="OUT", help="write points in nbgrader's columns as well (CSV)")
    command.add_argument("--seconds", type=number, default=180, metavar="N", help="for one hand-in (default 180)")
    command.add_argument("--megabytes", type=number, default=1024, metavar="N", help="for one hand-in (default 1024)")
    command.add_argument("--jobs", type=number, default=1, metavar="N", help="hand-ins at a time (default 1)")
    command.add_argument(
        "--random", type=number, default=25, metavar="N", help="random orders that confirm a pass (default 25)"
    )
    command.add_argument(
        "--unprotected",
        action="store_true",
        help="mark also where hand-ins cannot be shut in: they can read your files",
    )
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 once everything has its row, whatever the hand-ins did."""
    for name, low, high in (
        ("seconds", 1, 86_400),
        ("megabytes", 256, 1 << 20),
        ("jobs", 1, 256),
        ("random", 0, 10_000),
    ):
        if not low <= getattr(arguments, name) <= high:
            raise BadInput(f"--{name} {getattr(arguments, name)}: allowed are {low} to {high}")
    limits = Limits(arguments.seconds, arguments.megabytes, arguments.random)
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    with contextlib.ExitStack() as files:
        tables = _tables(arguments, files)

        def told(row: Marked) -> None:
            for path, table in tables:
                with _said(path):
                    table.add(row)
            _tell(row)

        try:
            mark_folder(arguments.folder, limits, told, arguments.jobs, arguments.unprotected)
        finally:
            for path, table in tables:
                if isinstance(table, Json):
                    with _said(path):
                        table.finish()
            if arguments.json == STDOUT:
                print_json("mark", next(table.value for _, table in tables if isinstance(table, Json)))
    return 0


def _tables(arguments: argparse.Namespace, files: contextlib.ExitStack) -> list[tuple[Path, Csv | Json]]:
    def opened(path: Path) -> TextIO:
        with _said(path):
            file = path.open("w", encoding="utf-8", newline="")
        files.callback(_close, file)
        return file

    tables: list[tuple[Path, Csv | Json]] = []
    for path, kind in ((arguments.csv, Csv), (arguments.grades, Grades)):
        if path is not None:
            with _said(path):
                tables.append((path, kind(opened(path))))
    if arguments.csv is None and arguments.json != STDOUT:
        tables.append((Path("standard output"), Csv(sys.stdout)))
    if arguments.json is not None:
        with _said(arguments.json):
            tables.append((arguments.json, Json(None if arguments.json == STDOUT else arguments.json)))
    return tables


@contextlib.contextmanager
def _said(path: Path):  # type: ignore[no-untyped-def]
    try:
        yield
    except OSError as error:
        kind = NotWritten if is_no_room(error) else BadInput
        raise kind(f"{storable(str(path))} cannot be written: {error.strerror}") from None


def _close(file: TextIO) -> None:
    """Each row was written already, and rows that could not be were reported."""
    with contextlib.suppress(OSError):
        file.close()


def _as_ctrl_c(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _tell(row: Marked) -> None:
    said = f"{row.file}: {row.passed} of {len(row.marks)} {row.note[:100]}".rstrip()
    means = f" [{row.means}]" if row.means.startswith("UNPROTECTED") else ""
    with contextlib.suppress(OSError, ValueError):
        print(plain(" ".join(storable(said).split()) + means), file=sys.stderr)
