"""``p2plab sweep``: what the contract costs, over many runs, with the spread over seeds."""

from __future__ import annotations

import argparse
import json
import sys

from p2plab.cli.frame import number
from p2plab.core.errors import BadInput

NAMES = ("fragmentation", "refusals", "latency")
MOST_SEEDS = 10_000


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("sweep", help="costs over many runs: fragmentation, refusals, latency")
    command.add_argument("name", choices=NAMES, help="what to measure")
    command.add_argument("--seeds", type=number, default=10, metavar="N", help="runs for each point (default 10)")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Always exits 0: a cost is an answer."""
    if not 1 <= arguments.seeds <= MOST_SEEDS:
        raise BadInput(f"--seeds {arguments.seeds}: allowed are 1 to {MOST_SEEDS}")
    from p2plab.sweeps import SWEEPS  # numpy is imported only where it is needed

    found = SWEEPS[arguments.name](seeds=arguments.seeds, progress=_bar)
    print(json.dumps(found.as_json(), indent=1) if arguments.json else "\n".join(found.text()))
    return 0


def _bar(done: int, total: int) -> None:
    if sys.stderr.isatty():
        filled = 40 * done // total
        end = "\n" if done == total else ""
        print(f"\r[{'#' * filled}{'.' * (40 - filled)}] {done} of {total}", end=end, file=sys.stderr, flush=True)
