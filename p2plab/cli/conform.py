"""``p2plab conform``: replay recordings of a real kernel against the model and say where they differ."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p2plab.cli.frame import kernel_option, print_json
from p2plab.cli.progress import counted
from p2plab.core.errors import BadInput
from p2plab.core.names import nearest
from p2plab.core.places import recordings
from p2plab.pci.kernel import kernel_named

if TYPE_CHECKING:
    from p2plab.conform.report import Comparison

KINDS = {
    "mm": "address spaces and mmu notifiers (mmu/*.jsonl)",
    "pci": "trees, BARs and bridge windows (pci/*.json)",
    "p2pdma": "who can reach whom (p2pdma/*.json)",
    "scenes": "the scenes, played on a kernel with the two callbacks (scenes/*.json)",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("conform", help="compare the model with recordings of a real kernel")
    command.add_argument("kind", choices=KINDS, help="; ".join(f"{kind}: {text}" for kind, text in KINDS.items()))
    command.add_argument(
        "files",
        nargs="*",
        metavar="RECORDING",
        help="a shipped recording's name, or a file; without any, all of the kind",
    )
    kernel_option(command, "hold them against another kernel than the one recorded, for pci and p2pdma", None)
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 only when no operation differs."""
    against: dict[str, Any] = {}
    if arguments.kernel is not None:
        if arguments.kind in ("mm", "scenes"):
            raise BadInput(
                "--kernel is for pci and p2pdma; each file of mm and scenes is held against the kernel it names"
            )
        against["kernel"] = kernel_named(arguments.kernel)
    report: Comparison = importlib.import_module(f"p2plab.conform.{arguments.kind}").conform(
        counted(_paths(arguments.kind, arguments.files)), **against
    )
    if arguments.json:
        print_json("conform", report.as_json())
    else:
        print("\n".join(report.lines()))
    return report.status


def _paths(kind: str, named: list[str]) -> list[Path]:
    """The files that names and paths mean. :exc:`BadInput` for a name that no recording has."""
    shipped = recordings({"mm": "mmu"}.get(kind, kind))
    found = []
    for name in named or shipped:
        file = Path(name)
        if name in shipped:
            found.append(shipped[name])
        elif file.exists() or file.suffix in (".json", ".jsonl") or file.parent != Path("."):
            found.append(file)
        else:
            raise BadInput(f"there is no recording {name[:60]!r} of kind {kind}{nearest(name, shipped)}")
    return found
