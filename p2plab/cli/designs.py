"""``p2plab designs``: what the kernel did instead, design beside design, each answer from a run."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from p2plab.designs import DESIGNS
from p2plab.designs.classes import classes
from p2plab.designs.matrix import matrix
from p2plab.designs.struct_page import uses
from p2plab.views.designs_text import classes_text, lists_text, matrix_text, uses_text


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser(
        "designs", help="the designs beside each other: each answer from a run, or its source"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Always exits 0."""
    if arguments.json:
        print(json.dumps(as_json(), indent=1))
        return 0
    for line in (*matrix_text(matrix()), *lists_text(), *classes_text(classes()), *uses_text(uses())):
        print(line)
    return 0


def as_json() -> dict[str, object]:
    """The designs, a cell for each question and design, the importer classes, and the uses of struct page."""
    designs = [
        {
            "name": design.name,
            "title": design.title,
            "years": design.years,
            "kernel": design.kernel,
            "scene": design.scene,
            "source": design.source,
            "simplified": design.simplified,
            "rules": list(design.rules),
        }
        for design in DESIGNS.values()
    ]
    cells = [{"question": name, "answers": [cell.as_json() for cell in row]} for name, row in matrix().items()]
    fates = [{"importer": name, "answers": [asdict(fate) for fate in row]} for name, row in classes().items()]
    return {"designs": designs, "cells": cells, "classes": fates, "struct_page": [asdict(use) for use in uses()]}
