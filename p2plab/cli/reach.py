"""``p2plab reach``: which device can reach which, by the rules of 2019 and of a later kernel, with the reasons."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace

from p2plab.cli.frame import NOT_DECIDED, kernel_option, number, print_json
from p2plab.cli.machine import SOURCE
from p2plab.core.errors import BadInput
from p2plab.pci import (
    RFC2019,
    Machine,
    MapType,
    PciKernel,
    Reachability,
    kernel_named,
    reach_matrix,
    reach_verdict,
    read_machine,
    with_acs,
    with_boot_options,
    with_cpu,
    with_ids,
)
from p2plab.pci.whitelist import CPUS
from p2plab.views.pci_json import matrix_json, reach_json
from p2plab.views.pci_text import headline, matrix_text, reach_text

_ACS = re.compile(r"([0-9a-fA-F:.]{7,20})=(?:0x)?([0-9a-fA-F]{1,2})")
_IDS = re.compile(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("reach", help="who can reach whom: one pair step by step, or every pair")
    command.add_argument("source", metavar="SOURCE", help=SOURCE)
    command.add_argument("pair", metavar="A B", nargs="*", help="provider and client, such as 03:00.0 04:00.0")
    command.add_argument("--cpu", choices=CPUS, help="the CPU, where the source does not show it")
    command.add_argument("--iommu", choices=("on", "off"), help="whether an IOMMU translates")
    command.add_argument(
        "--acs",
        action="append",
        default=[],
        metavar="BDF=HEX",
        help="set a port's ACS control register, say 02:00.0=1c",
    )
    command.add_argument("--boot", metavar="OPTIONS", help="what if booted with these, say 'intel_iommu=on'")
    command.add_argument("--host-bridge", metavar="VENDOR:DEVICE", help="what if every host bridge had these ids")
    kernel_option(command, "whose rules are shown beside those of 2019")
    command.add_argument("--mask", type=number, default=64, metavar="BITS", help="the client's DMA mask (default 64)")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exits 0, also for a pair that is not reachable; 3 if the verdict of some pair depends on what is not shown."""
    if len(arguments.pair) not in (0, 2):
        raise BadInput(f"{len(arguments.pair)} functions given; allowed: two (A B), or none for every pair")
    if not 1 <= arguments.mask <= 64:
        raise BadInput(f"a DMA mask of {arguments.mask} bits; allowed: 1 to 64")
    kernel = kernel_named(arguments.kernel)
    machine = _changed(read_machine(arguments.source, pipes=True), arguments, kernel)
    if arguments.pair:
        provider, client = arguments.pair
        if arguments.json:
            print_json("reach", reach_json(machine, provider, client, arguments.mask, kernel))
        else:
            print("\n".join(reach_text(machine, provider, client, arguments.mask, kernel)))
        verdicts = [reach_verdict(machine, provider, client, rules) for rules in (RFC2019, kernel)]
        return 0 if all(verdict.known for verdict in verdicts) else NOT_DECIDED
    old, new = (reach_matrix(machine, kernel=rules) for rules in (RFC2019, kernel))
    if arguments.json:
        print_json("reach-matrix", matrix_json(machine, old, new), indent=None)
    else:
        print("\n".join([headline(machine), "", *matrix_text(old, new)]))
    return NOT_DECIDED if any(_not_known(cell) for matrix in (old, new) for row in matrix.rows for cell in row) else 0


def _not_known(cell: Reachability) -> bool:
    return cell.distance is None or cell.map_type is MapType.NOT_KNOWN


def _changed(machine: Machine, arguments: argparse.Namespace, kernel: PciKernel) -> Machine:
    """The machine with what the options say, boot options first."""
    if arguments.boot is not None:
        machine = with_boot_options(machine, arguments.boot, kernel)
    for text in arguments.acs:
        found = _ACS.fullmatch(text)
        if not found or int(found[2], 16) > 0x7F:
            raise BadInput(f"--acs {text[:40]!r}; allowed: BDF=HEX with HEX from 0 to 7f, say 02:00.0=1c")
        machine = with_acs(machine, {found[1]: int(found[2], 16)})
    if arguments.host_bridge is not None:
        ids = _IDS.fullmatch(arguments.host_bridge)
        if not ids:
            raise BadInput(f"--host-bridge {arguments.host_bridge[:40]!r}; allowed: VENDOR:DEVICE, say 8086:2030")
        firsts = [first[0].bdf for bridge in machine.host_bridges if (first := machine.on_root_bus(bridge.name))]
        machine = with_ids(machine, dict.fromkeys(firsts, (int(ids[1], 16), int(ids[2], 16))))
    if arguments.cpu is not None:
        machine = with_cpu(machine, arguments.cpu)
    return machine if arguments.iommu is None else replace(machine, iommu=arguments.iommu == "on")
