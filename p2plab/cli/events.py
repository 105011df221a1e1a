"""``p2plab events``: which notifier calls an operation makes, for each kind of memory; answered by running the model."""

from __future__ import annotations

import argparse
import dataclasses

from p2plab.cli.frame import kernel_option, print_json
from p2plab.cli.progress import counted
from p2plab.core.errors import BadInput
from p2plab.mm.ask import ask
from p2plab.mm.ask_changes import RECORDED, change
from p2plab.mm.ask_operations import OPERATIONS
from p2plab.mm.ask_specimen import KINDS
from p2plab.mm.kernel import KERNELS, TODAY, kernel_named
from p2plab.views.mm_text import before_and_after, changes_text, table

_RECORDED = ", ".join(map(str, RECORDED))


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("events", help="which notifier calls an operation makes, the negatives too")
    command.add_argument("operation", nargs="?", help="an operation, or 'all'; without it, the list of them")
    command.add_argument("kind", nargs="?", help=f"a kind of memory ({', '.join(KINDS)}); without it, every kind")
    kernel_option(command, f"whose rules (default {TODAY}, today's)", default=None)
    command.add_argument("--changes", action="store_true", help=f"what differs between {_RECORDED}, with its source")
    command.add_argument("--picture", action="store_true", help="show the memory before and after")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Always exits 0, unless what was asked for does not exist."""
    kernel = kernel_named(arguments.kernel or TODAY.name)
    if arguments.changes:
        return _changes(arguments)
    if arguments.operation is None:
        _list(arguments.json)
        return 0
    operations = list(OPERATIONS) if arguments.operation == "all" else [arguments.operation]
    kinds = [arguments.kind] if arguments.kind else list(KINDS)
    pairs = [(operation, kind) for operation in operations for kind in kinds]
    answers = [ask(operation, kind, kernel) for operation, kind in counted(pairs)]
    if arguments.json:
        print_json("events", {"answers": [dataclasses.asdict(answer) for answer in answers]})
    elif arguments.picture:
        print("\n".join(before_and_after(answer) for answer in answers), end="")
    else:
        print(table(answers), end="")
    return 0


def _changes(arguments: argparse.Namespace) -> int:
    if arguments.kernel or arguments.picture:
        raise BadInput(f"--changes compares {_RECORDED}: neither --kernel nor --picture goes with it")
    operations = list(OPERATIONS) if arguments.operation in (None, "all") else [arguments.operation]
    kinds = [arguments.kind] if arguments.kind else list(KINDS)
    asked = (change(operation, kind) for operation, kind in counted([(o, k) for o in operations for k in kinds]))
    found = [each for each in asked if each is not None]
    if arguments.json:
        print_json("events-changes", {"changes": [dataclasses.asdict(each) for each in found]})
    else:
        print(changes_text(found), end="")
    return 0


def _list(as_json: bool) -> None:
    operations = {operation.name: operation.what for operation in OPERATIONS.values()}
    if as_json:
        print_json("events-list", {"operations": operations, "kinds": KINDS, "kernels": list(KERNELS)})
        return
    lines = ["operations:", *(f"  {name:<29} {what}" for name, what in operations.items())]
    lines += ["kinds of memory:", *(f"  {name:<29} {what}" for name, what in KINDS.items())]
    print("\n".join([*lines, f"kernels: {', '.join(KERNELS)}", "ask, for example: p2plab events munmap device"]))
