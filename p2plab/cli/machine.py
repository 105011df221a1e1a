"""``p2plab machine``: the tree, BARs and windows of a machine (yours, for one), and why something found no room."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

from p2plab.cli.frame import print_json
from p2plab.core.errors import BadInput
from p2plab.pci import (
    LINUX_6_12,
    Machine,
    assign_resources,
    kernel_named,
    read_machine,
    resize_bar,
    with_decode,
    without_addresses,
)
from p2plab.pci.beside import with_boot_log
from p2plab.pci.lspci import MAX_CHARACTERS
from p2plab.pci.machine import HostBridge
from p2plab.pci.paste import decode, lines_of
from p2plab.pci.resource import IORESOURCE_MEM, IORESOURCE_WINDOW, Resource
from p2plab.views.pci_json import machine_json
from p2plab.views.pci_text import assignment_text, machine_text
from p2plab.views.room_text import resized_text, room_json, room_text

SOURCE = (
    "a recording (.json), a file with what lspci printed (boot messages and /proc/iomem may follow in it), - for the same on "
    "standard input, a sysfs directory such as /sys/bus/pci/devices or a copy of one, or the name of a recorded machine such "
    "as q35_switch1"
)
_SIZE = re.compile(r"([0-9]{1,15})([KMGTkmgt]?)(?:i?[Bb])?")
_WINDOW = re.compile(r"((?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2})=0x([0-9a-fA-F]{1,16})-0x([0-9a-fA-F]{1,16})")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("machine", help="show a machine's PCI tree, BARs and windows; why there was no room")
    beside_options(command)
    command.add_argument(
        "--assign",
        action="store_true",
        help="assign all addresses again, as Linux would after a firmware that assigned none",
    )
    command.add_argument(
        "--kernel",
        metavar="NAME",
        help="with --assign: which Linux gives them, 6.1, 6.12 (default: recorded) or 7.3 (read from its source)",
    )
    command.add_argument(
        "--resize", nargs=3, metavar=("BDF", "BAR", "SIZE"), help="resize a BAR, as a driver would, say 03:00.0 0 16G"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def beside_options(command: argparse.ArgumentParser) -> None:
    """The machine, and what else is known of it."""
    command.add_argument("source", metavar="SOURCE", help=SOURCE)
    command.add_argument("--dmesg", metavar="FILE", help="the machine's boot messages (dmesg, journalctl -k)")
    command.add_argument("--iomem", metavar="FILE", help="the machine's /proc/iomem, read by root")
    command.add_argument(
        "--host-window",
        action="append",
        default=[],
        metavar="BUS=0xFIRST-0xLAST",
        help="a range that a host bridge passes on, say 00=0x4000000000-0x7fffffffff; again for each",
    )


def read_beside(arguments: argparse.Namespace) -> Machine:
    """The machine of the arguments. Raises BadInput."""
    machine = read_machine(arguments.source, pipes=True)
    if arguments.dmesg or arguments.iomem:
        dmesg, iomem = (_lines(path) if path else [] for path in (arguments.dmesg, arguments.iomem))
        read = with_boot_log(machine, dmesg, iomem)
        if arguments.iomem and not arguments.dmesg and read == machine:
            raise BadInput(f"{arguments.iomem} shows no range of a PCI bus; without root all its addresses read 0")
        if arguments.dmesg and not read.boot:
            raise BadInput(f"{arguments.dmesg} contains no message about a PCI function or bus")
        machine = read
    for text in arguments.host_window:
        machine = _with_window(machine, text)
    return machine


def size_of(text: str) -> int:
    """Bytes of ``256M`` or ``16G``, in units of 1024. Raises BadInput."""
    found = _SIZE.fullmatch(text)
    if not found or not int(found[1]):
        raise BadInput(f"size {text[:20]!r}; allowed: a number with K, M, G or T, say 16G")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[found[2].upper()]


def run(arguments: argparse.Namespace) -> int:
    """Exits 0. A resize that the kernel would refuse is bad input; one that is not known exits 3."""
    machine = read_beside(arguments)
    words: list[str] = []
    if arguments.assign and arguments.resize:
        raise BadInput("--assign and --resize exclude each other")
    if arguments.kernel is not None and not arguments.assign:
        raise BadInput("--kernel selects how addresses are assigned, so it needs --assign")
    if arguments.assign:
        kernel = kernel_named(arguments.kernel or LINUX_6_12.name)
        done = assign_resources(_blank(machine), kernel=kernel)
        machine, words = done.machine, ["", *assignment_text(done, kernel)]
    if arguments.resize:
        bdf, bar, size = arguments.resize
        if bar not in ("0", "1", "2", "3", "4", "5"):
            raise BadInput(f"BAR {bar[:20]!r}; allowed: 0 to 5")
        resized = resize_bar(with_decode(machine, bdf, False), bdf, int(bar), size_of(size))
        machine, words = resized, ["", *resized_text(machine, resized, bdf, int(bar))]
    room = [] if arguments.assign else room_text(machine)
    if arguments.json:
        print_json("machine", {**machine_json(machine), "no_room": room_json(machine)})
    else:
        print("\n".join(machine_text(machine) + (["", *room] if room else []) + words))
    return 0


def _lines(path: str) -> list[str]:
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path[:80]}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > MAX_CHARACTERS:
        raise BadInput(f"{path[:80]}: more than {MAX_CHARACTERS} bytes, the most that is read")
    return [line.text for line in lines_of(decode(data))]


def _with_window(machine: Machine, text: str) -> Machine:
    found = _WINDOW.fullmatch(text)
    if not found or int(found[2], 16) > int(found[3], 16):
        raise BadInput(f"--host-window {text[:60]!r}; allowed: BUS=0xFIRST-0xLAST, say 00=0x4000000000-0x7fffffffff")
    name = f"pci{found[1] if ':' in found[1] else '0000:' + found[1]}".lower()
    known = {bridge.name: bridge for bridge in machine.host_bridges}
    if name not in known:
        raise BadInput(f"{machine.name} has no root bus {name[3:]}; it has {', '.join(b[3:] for b in known)}")
    bridge = known[name]
    window = Resource(
        16 + len(bridge.windows), int(found[2], 16), int(found[3], 16), IORESOURCE_MEM | IORESOURCE_WINDOW
    )
    known[name] = HostBridge(name, (*bridge.windows, window), (), bridge.shown, bridge.first_shown)
    return replace(machine, host_bridges=tuple(known.values()))


def _blank(machine: Machine) -> Machine:
    """The machine without addresses. Raises BadInput if the available ranges are not known."""
    if not any(bridge.windows for bridge in machine.host_bridges):
        raise BadInput(f"{machine.name} does not show the address ranges of its host bridges; a recording does")
    return without_addresses(machine)
