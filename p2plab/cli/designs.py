"""``p2plab designs``: what the kernel did instead, design by design, each answer from a run."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from p2plab.cli.frame import kernel_option, print_json
from p2plab.core.errors import BadInput
from p2plab.designs import DESIGNS
from p2plab.designs.classes import classes
from p2plab.designs.matrix import changes, matrix
from p2plab.designs.struct_page import uses
from p2plab.views.designs_text import changes_text, classes_text, lists_text, matrix_text, uses_text


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser(
        "designs", help="the designs beside each other: each answer from a run, or its source"
    )
    kernel_option(command, "what was true in that kernel (default: each design's newest)", default=None)
    command.add_argument(
        "--changes", action="store_true", help="what differs between a design's kernels, both with tokens"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Always exits 0, unless there is no such kernel."""
    kernel = arguments.kernel or ""
    if arguments.changes:
        if kernel:
            raise BadInput("--changes compares kernels: --kernel does not go with it")
        found = changes()
        if arguments.json:
            print_json("designs-changes", {"changes": [change.as_json() for change in found]})
        else:
            print("\n".join(changes_text(found)))
        return 0
    if arguments.json:
        print_json("designs", as_json(kernel))
        return 0
    lists = () if kernel else lists_text()
    pages = () if kernel else uses_text(uses())
    for line in (*matrix_text(matrix(kernel), kernel), *lists, *classes_text(classes(kernel)), *pages):
        print(line)
    return 0


def as_json(kernel: str = "") -> dict[str, object]:
    """The designs, a cell for each question and design, the importer classes, and the uses of struct page."""
    designs = [
        {
            "name": design.name,
            "title": design.title,
            "years": design.years,
            "since": design.since,
            "kernel": design.label(design.newest),
            "kernels": list(design.kernels),
            "merged": not design.posted,
            "scene": design.scene,
            "source": design.source,
            "simplified": design.simplified,
            "rules": list(design.rules),
        }
        for design in DESIGNS.values()
    ]
    cells = [{"question": name, "answers": [cell.as_json() for cell in row]} for name, row in matrix(kernel).items()]
    fates = [{"importer": name, "answers": [asdict(fate) for fate in row]} for name, row in classes(kernel).items()]
    return {
        "kernel": kernel or None,
        "designs": designs,
        "cells": cells,
        "classes": fates,
        "struct_page": [asdict(use) for use in uses()],
    }
