"""``p2plab run SCENE`` and ``p2plab replay TOKEN``: a run in the terminal, as text or JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from p2plab.catalog.rig import ELSEWHERE, elsewhere
from p2plab.cli.frame import NotWritten, knobs_of, number, print_json, typed, write
from p2plab.core.errors import BadInput
from p2plab.core.events import to_json
from p2plab.core.logfile import dump
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import Schedule, by_clock, by_seed, by_text
from p2plab.core.token import StaleToken, open_token, token_in, token_of
from p2plab.core.world import World
from p2plab.everything import find
from p2plab.pci import read_machine
from p2plab.rules.damage import damage
from p2plab.views.driver_lines import lines_as_json
from p2plab.views.formats import chrome_trace
from p2plab.views.text import board_of, story

#: Maximum number of characters of a mail or a story that are searched for a token.
PASTED = 10_000_000
#: Seconds that your file may take to define its scenes.
LOADING = 5.0


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare both commands."""
    command = commands.add_parser("run", help="run a scene and print what happened")
    command.add_argument("scene", help="its name (see: p2plab scenes)")
    order_options(command)
    _output(command)
    command.set_defaults(handler=run)
    replay = commands.add_parser("replay", help="run a token again")
    replay.add_argument("token", help="p2p1.…; '-' finds it in the text on standard input: a mail, what run printed")
    place_options(replay)
    _output(replay)
    replay.set_defaults(handler=run_token)


def order_options(command: argparse.ArgumentParser) -> None:
    """What :func:`run_of` reads besides the scene: its knobs, and the order."""
    command.add_argument(
        "--knob", action="append", default=[], metavar="NAME=VALUE", help="set a knob; may be repeated"
    )
    order = command.add_mutually_exclusive_group()
    order.add_argument("--seed", type=number, metavar="N", help="a random order of events, from this seed")
    order.add_argument("--timed", action="store_true", help="the actor that is ready first goes first")
    order.add_argument(
        "--schedule", metavar="TEXT", help="'gpu nic*3 !defrag ...': as far as it can, 3 steps, press, rest"
    )

    place_options(command)


def place_options(command: argparse.ArgumentParser) -> None:
    """The machine, and the functions in the scene's roles."""
    place = command.add_argument_group("on another machine than the scene's")
    place.add_argument("--machine", metavar="SOURCE", help="as of `p2plab machine`: a file with lspci's text, say")
    place.add_argument("--exporter-at", metavar="BDF", help="whose memory is lent, say 03:00.0")
    place.add_argument(
        "--importer-at", metavar="BDF", action="append", default=[], help="who maps it; again for a second importer"
    )
    place.add_argument("--bar", type=number, metavar="N", help="which BAR of the exporter (default: the largest)")


def placed(scene: Scenario, arguments: argparse.Namespace) -> Scenario:
    """The scene on the machine of the arguments, if they name one. Raises BadInput, NotKnown."""
    if arguments.machine is None:
        if arguments.exporter_at or arguments.importer_at or arguments.bar is not None:
            raise BadInput("--exporter-at, --importer-at and --bar need --machine SOURCE")
        return scene
    if not arguments.exporter_at or not arguments.importer_at:
        raise BadInput("--machine also needs --exporter-at BDF and --importer-at BDF")
    machine = read_machine(arguments.machine, pipes=True)
    return elsewhere(scene, machine, arguments.exporter_at, tuple(arguments.importer_at), arguments.bar)


def scene_named(text: str) -> Scenario:
    """A scene by its name, or your own as ``FILE.py:NAME``; its runs say what they need besides the token."""
    if ".py:" not in text:
        return find(text)
    from p2plab.search.drivers import load_any
    from p2plab.search.watchdog import Watchdog

    with Watchdog(LOADING) as dog:
        found = load_any(text, dog)
    if isinstance(found, type):
        raise BadInput(f"{text[-60:]} is a class: p2plab check {text[-60:]} tries it in every scene")
    return dataclasses.replace(found, needs=text)


def _output(command: argparse.ArgumentParser) -> None:
    lines_option(command)
    command.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    command.add_argument("--trace", type=Path, metavar="FILE", help="write a Chrome/Perfetto trace as well")
    command.add_argument("--log", type=Path, metavar="FILE", help="write the event log as JSON lines as well")


def lines_option(command: argparse.ArgumentParser) -> None:
    """Whether the story shows what each step ran of a driver."""
    command.add_argument(
        "--lines",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="below each step the driver's lines that it ran and the attributes that it changed (default: for your own)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 where all rules held, 1 where one broke. When interrupted, it shows the run so far."""
    try:
        return _show(run_of(arguments), arguments)
    except Interrupted as stopped:
        _show(stopped.run, arguments)
        raise


def run_of(arguments: argparse.Namespace) -> Run:
    """The run that scene, knobs and order describe: the scene's own story unless an order is given."""
    scene = placed(scene_named(arguments.scene), arguments)
    knobs = knobs_of(arguments.knob)
    order: Schedule = by_text(scene.story, strict=False)
    if arguments.seed is not None:
        order = by_seed(arguments.seed)
    elif arguments.timed:
        order = by_clock
    elif arguments.schedule is not None:
        order = by_text(arguments.schedule)
    begun = Run(scene, knobs)
    taken: list[str] = []

    def noted(world: World) -> Iterator[str]:
        for choice in order(world):
            yield choice
            taken.append(choice)  # the caller has taken it when it asks for the next one

    try:
        return begun.driven(noted)
    except KeyboardInterrupt:
        raise Interrupted(Run(scene, begun.settings, taken)) from None


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of a run: the run so far."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run


def run_token(arguments: argparse.Namespace) -> int:
    """As ``run``; a token of another version prints what can still be replayed, and exits 2."""
    text = token_in(typed(PASTED)) if arguments.token == "-" else arguments.token
    try:
        replayed = open_token(text, lambda name: _found(name, arguments))
    except StaleToken as stale:
        _show(stale.run, arguments)
        raise
    return _show(replayed, arguments)


def _found(name: str, arguments: argparse.Namespace) -> Scenario:
    """The scene of a token's name, on the machine of the arguments."""
    if name.endswith(ELSEWHERE) and arguments.machine is None:
        raise BadInput(
            "this run took place on another machine: name it with --machine, --exporter-at and --importer-at"
        )
    return placed(find(name.removesuffix(ELSEWHERE)), arguments)


def _show(run: Run, arguments: argparse.Namespace) -> int:
    board = board_of(run)
    no_room: NotWritten | None = None
    try:
        if arguments.trace:
            write(arguments.trace, json.dumps(chrome_trace(run)))
        if arguments.log:
            write(arguments.log, "\n".join(dump(run)) + "\n")
    except NotWritten as error:
        no_room = error
    if arguments.json:
        print_json("run", as_json(run, arguments.lines))
    else:
        print(story(run, arguments.lines), end="")
    if no_room is not None:
        raise no_room
    return 1 if board.findings else 0


def as_json(run: Run, lines: bool | None = None) -> dict[str, object]:
    """A run, its verdict and its log as one JSON object; addresses are hex text. ``lines`` as for the text."""
    board = board_of(run)
    hits = [
        vars(hit) | {"address": hex(hit.address), "before": hit.before.hex(), "after": hit.after.hex()}
        for hit in damage(run.log)
    ]
    return {
        "scene": run.scenario.name,
        "version": run.scenario.version,
        "settings": run.settings,
        "schedule": list(run.schedule),
        "token": token_of(run),
        "held": not board.findings,
        "rules": {rule.name: board.state(rule) for rule in board.rules},
        "findings": [vars(finding) for finding in board.findings],
        "damage": hits,
        "lines": lines_as_json(run, lines),
        "log": [to_json(entry) for entry in run.log],
    }
