"""``p2plab whatif``: a machine before and after moving cards, setting ACS, resizing BARs or booting with other options."""

from __future__ import annotations

import argparse
import re

from p2plab.cli.frame import NOT_DECIDED, kernel_option, print_json
from p2plab.cli.machine import beside_options, read_beside, size_of
from p2plab.core.errors import BadInput
from p2plab.pci import Machine, kernel_named, with_boot_options, with_cpu
from p2plab.pci.device import canonical
from p2plab.pci.kernel import PciKernel
from p2plab.pci.whatif import IOMMU_BOOT, moved, what_if, with_acs_words, with_iommu, with_rebar
from p2plab.pci.whitelist import CPUS
from p2plab.views.whatif_text import what_if_json, what_if_text

_REBAR = re.compile(r"([0-9a-fA-F:.]{7,20}):([0-5])=([0-9]{1,9}[KMGT]?)")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser(
        "whatif", help="a machine changed: who reaches whom, IOMMU groups, windows, before and after"
    )
    beside_options(command)
    command.add_argument("--cpu", choices=CPUS, help="the CPU, where the source does not show it")
    command.add_argument("--boot", metavar="OPTIONS", help="booted with these, say 'pci=disable_acs_redir=02:00.0'")
    command.add_argument("--iommu", choices=tuple(IOMMU_BOOT), help="booted with an IOMMU on, one to one (pt), or off")
    command.add_argument(
        "--acs", action="append", default=[], metavar="BDF=VALUE", help="a port's ACS: off, on or hex, say 02:00.0=off"
    )
    command.add_argument(
        "--move",
        action="append",
        default=[],
        nargs=2,
        metavar=("BDF", "SLOT"),
        help="a card to another slot, say 03:00.0 08:00.0",
    )
    command.add_argument(
        "--rebar", action="append", default=[], metavar="BDF:BAR=SIZE", help="a BAR of another size, say 03:00.0:0=16G"
    )
    kernel_option(command, "whose rules are used")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exits 0; 3 if an answer after the change depends on what is not shown."""
    kernel = kernel_named(arguments.kernel)
    before = read_beside(arguments)
    if arguments.cpu is not None:
        before = with_cpu(before, arguments.cpu)
    after, places = _changed(before, arguments, kernel)
    found = what_if(before, after, places, kernel)
    if arguments.json:
        print_json("whatif", what_if_json(found))
    else:
        print("\n".join(what_if_text(found)))
    unknown = any(
        cell.distance is None or str(cell.map_type) == "not known" for row in found.after.reach.rows for cell in row
    )
    return NOT_DECIDED if unknown or any(member.group is None for member in found.after.groups) else 0


def _changed(machine: Machine, arguments: argparse.Namespace, kernel: PciKernel) -> tuple[Machine, dict[str, str]]:
    """The machine after the options: boot first, then registers, cards, BARs. Functions are named as before."""
    if arguments.boot is not None:
        machine = with_boot_options(machine, arguments.boot, kernel)
    if arguments.iommu is not None:
        machine = with_iommu(machine, arguments.iommu, kernel)
    for text in arguments.acs:
        bdf, equals, word = text.partition("=")
        if not equals:
            raise BadInput(f"--acs {text[:40]!r}; allowed: BDF=off, BDF=on or BDF=HEX, say 02:00.0=off")
        machine = with_acs_words(machine, bdf, word)
    for text in arguments.rebar:
        found = _REBAR.fullmatch(text)
        if not found:
            raise BadInput(f"--rebar {text[:40]!r}; allowed: BDF:BAR=SIZE, say 03:00.0:0=16G")
        machine = with_rebar(machine, found[1], int(found[2]), size_of(found[3]))
    places: dict[str, str] = {}
    for source, target in arguments.move:
        now = places.get(canonical(source), source)
        machine, step = moved(machine, now, target)
        places = {old: step.get(new, new) for old, new in places.items()} | {
            old: new for old, new in step.items() if old not in places.values()
        }
    return machine, places
