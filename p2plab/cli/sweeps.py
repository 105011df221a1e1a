"""``p2plab sweep``: what the contract costs, over many runs, with the spread over seeds."""

from __future__ import annotations

import argparse

from p2plab.cli.frame import number, print_json
from p2plab.cli.progress import ProgressLine
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

    progress = ProgressLine()
    found = SWEEPS[arguments.name](seeds=arguments.seeds, progress=progress.count)
    progress.end()
    if arguments.json:
        print_json("sweep", found.as_json())
    else:
        print("\n".join(found.text()))
    return 0
