"""``p2plab lockdep``: the order of lock classes over many runs, and lockdep's report of a cycle."""

from __future__ import annotations

import argparse

from p2plab.cli.apart import apart
from p2plab.cli.frame import knobs_of, number, print_json
from p2plab.core.errors import BadInput
from p2plab.core.kernels import TODAY
from p2plab.core.lock_classes import ANNOTATIONS
from p2plab.everything import find
from p2plab.search.drivers import load_any
from p2plab.search.lockdep import SEEDS, Learned, of_driver, of_scenes
from p2plab.search.watchdog import Watchdog

#: Seconds that your file may take to define its classes, and that all of its runs may take.
LOADING, RUNNING = 5.0, 60.0
MOST_SEEDS = 10_000


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser(
        "lockdep", help="what lockdep would report of scenes, or of a driver in all its scenes"
    )
    command.add_argument(
        "scene",
        nargs="+",
        metavar="SCENE | FILE.py:CLASS",
        help="scenes by name or code (all in one graph), or your driver's class: then every scene that takes it",
    )
    command.add_argument(
        "--knob", action="append", default=[], metavar="NAME=VALUE", help="set a knob of the scenes; may be repeated"
    )
    command.add_argument(
        "--kernel",
        choices=tuple(ANNOTATIONS),
        default=TODAY,
        metavar="NAME",
        help=f"whose annotations: {', '.join(ANNOTATIONS)} (default {TODAY})",
    )
    command.add_argument(
        "--seeds", type=number, default=SEEDS, metavar="N", help=f"orders of each scene (default {SEEDS})"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 where lockdep is silent, 1 where it reports."""
    if not 0 <= arguments.seeds <= MOST_SEEDS:
        raise BadInput(f"--seeds {arguments.seeds}: allowed are 0 to {MOST_SEEDS}")
    if any(".py:" in text for text in arguments.scene):
        return apart(lambda: _run(arguments), LOADING + RUNNING)
    return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    learned = _learned(arguments)
    if arguments.json:
        print_json("lockdep", learned.as_json())
    else:
        print("\n".join(learned.lines()))
    return 0 if learned.report is None else 1


def _learned(arguments: argparse.Namespace) -> Learned:
    knobs = knobs_of(arguments.knob)
    own = next((text for text in arguments.scene if ".py:" in text), "")
    if not own:
        scenes = [find(text) for text in arguments.scene]
        return of_scenes(
            ((scene.name, scene, scene.settings(knobs)) for scene in scenes), arguments.kernel, arguments.seeds
        )
    if len(arguments.scene) > 1 or knobs:
        raise BadInput(f"{own[-60:]} runs in every scene that takes it: give no scene and no knob")
    with Watchdog(LOADING) as dog:
        found = load_any(own, dog)
    if not isinstance(found, type):
        return of_scenes([(found.name, found, {})], arguments.kernel, arguments.seeds)
    return of_driver(found, arguments.kernel, arguments.seeds)
