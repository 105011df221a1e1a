"""``p2plab doctor``: what is wrong with this installation and what to do, on one screen."""

from __future__ import annotations

import argparse

from p2plab.cli.frame import print_json
from p2plab.doctor import doctor


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("doctor", help="what is installed here, and whether the lab will draw")
    command.add_argument("--json", action="store_true", help="the same for a program")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 if nothing is wrong, else 1."""
    report = doctor()
    if arguments.json:
        print_json("doctor", report.as_json())
    else:
        print(report)
    return 1 if report.bad else 0
