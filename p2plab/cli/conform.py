"""``p2plab conform``: replay recordings of a real kernel against the model and say where they differ."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2plab.conform.report import Report

KINDS = {
    "mm": "address spaces and mmu notifiers (mmu/*.jsonl)",
    "pci": "trees, BARs and bridge windows (pci/*.json)",
    "p2pdma": "who can reach whom (p2pdma/*.json)",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("conform", help="compare the model with recordings of a real kernel")
    command.add_argument("kind", choices=KINDS, help="; ".join(f"{kind}: {text}" for kind, text in KINDS.items()))
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="recorded files")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 only when no operation differs."""
    report: Report = importlib.import_module(f"p2plab.conform.{arguments.kind}").conform(arguments.files)
    if arguments.json:
        print(json.dumps(report.as_json(), indent=1))
    else:
        print("\n".join(report.lines()))
    return report.status
