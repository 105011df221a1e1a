"""``p2plab machine``: the tree, BARs and windows of a machine, yours for one."""

from __future__ import annotations

import argparse
import json

from p2plab.core.errors import BadInput
from p2plab.pci import LINUX_6_12, Machine, assign_resources, kernel_named, read_machine, without_addresses
from p2plab.views.pci_json import machine_json
from p2plab.views.pci_text import assignment_text, machine_text

SOURCE = (
    "a recording (.json), a file with what lspci printed, - for the same on standard input, a sysfs directory such as "
    "/sys/bus/pci/devices or a copy of one, or the name of a recorded machine such as q35_switch1"
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("machine", help="show a machine's PCI tree, BARs and windows")
    command.add_argument("source", metavar="SOURCE", help=SOURCE)
    command.add_argument(
        "--assign", action="store_true", help="give all addresses anew, as Linux would after a firmware that gave none"
    )
    command.add_argument(
        "--kernel",
        metavar="NAME",
        help="with --assign: which Linux gives them, 6.1, 6.12 (default: recorded) or 7.3 (read from its source)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Always exits 0."""
    machine = read_machine(arguments.source, pipes=True)
    words: list[str] = []
    if arguments.kernel is not None and not arguments.assign:
        raise BadInput("--kernel decides how addresses are given, so it needs --assign")
    if arguments.assign:
        kernel = kernel_named(arguments.kernel or LINUX_6_12.name)
        done = assign_resources(_blank(machine), kernel=kernel)
        machine, words = done.machine, ["", *assignment_text(done, kernel)]
    if arguments.json:
        print(json.dumps(machine_json(machine), indent=1))
    else:
        print("\n".join(machine_text(machine) + words))
    return 0


def _blank(machine: Machine) -> Machine:
    """The machine without addresses. Raises BadInput if it is not known what there is to give."""
    if not any(bridge.windows for bridge in machine.host_bridges):
        raise BadInput(f"{machine.name} does not show the address ranges of its host bridges; a recording does")
    return without_addresses(machine)
