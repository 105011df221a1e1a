"""``p2plab check SCENE``: search every order of a scene's events, with the scene's driver or with yours."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from pathlib import Path

from p2plab.cli.apart import apart
from p2plab.cli.frame import NotWritten, knobs_of, print_json, write
from p2plab.cli.progress import ProgressLine
from p2plab.cli.run import lines_option
from p2plab.core.errors import BadInput
from p2plab.core.scenario import Scenario
from p2plab.everything import find
from p2plab.search.allscenes import CheckingAllScenes
from p2plab.search.checking import Checking
from p2plab.search.crew import processors
from p2plab.search.drivers import load, load_any
from p2plab.search.parallel.share import MOST
from p2plab.search.verdict import Verdict, Violation
from p2plab.search.watchdog import PATIENCE, STEP_SECONDS, Watchdog, silence
from p2plab.views.report import as_json, exit_status, text

_SECONDS = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,3})?)(ms|s|m|h)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}

#: Seconds between two updates of the progress line.
_SLICE = 0.5

#: States are numbered with 32 bits.
MOST_STATES = 2_000_000_000

#: Seconds that a user's file may take to define its classes.
LOADING = 5.0


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("check", help="search every order of a scene's events for a broken promise")
    command.add_argument(
        "scene",
        metavar="SCENE | FILE.py:NAME",
        help="a scene's name (see: p2plab scenes), a scene of yours, or your driver's class: then in every scene that takes it",
    )
    command.add_argument("--importer", metavar="FILE.py:CLASS", help="your importer's class")
    command.add_argument("--exporter", metavar="FILE.py:CLASS", help="your exporter's class")
    command.add_argument(
        "--knob", action="append", default=[], metavar="NAME=VALUE", help="set a knob; may be repeated"
    )
    command.add_argument("--rule", action="append", metavar="NAME", help="watch only this rule; may be repeated")
    command.add_argument("--bound", metavar="N", help="only orders with at most N switches")
    command.add_argument(
        "--budget", metavar="TIME", help="stop after that long: 10s, 2m (default 10s; all scenes: 60s)"
    )
    command.add_argument("--states", metavar="N", default="3000000", help="stop after N states (default 3000000)")
    command.add_argument(
        "--workers",
        metavar="N",
        help="let N processes share a large search (default 1), or all scenes (default: one a processor, 4 at most)",
    )
    command.add_argument(
        "--cluster", metavar="ADDRESS", help="let a Dask cluster do so: tcp://HOST:PORT of its scheduler"
    )
    command.add_argument("--must-reach", action="append", default=[], metavar="EVENT", help="must happen in some order")
    command.add_argument("--no-shrink", action="store_true", help="leave a counterexample in the scene as it is")
    lines_option(command)
    command.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    command.add_argument("--trace", type=Path, metavar="FILE", help="write the counterexample as a Perfetto trace")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: every order holds; 1: one breaks; 2: bad input; 3: not decided."""
    if arguments.importer is None and arguments.exporter is None and ".py:" not in arguments.scene:
        return _run(arguments)
    # Time for an endless step comes on top: the process itself stops one that can be stopped, this ends the process.
    return apart(lambda: _run(arguments), _budget(arguments) + 2 * LOADING + (1 + PATIENCE) * STEP_SECONDS)


def _run(arguments: argparse.Namespace) -> int:
    checking = _checking(arguments)
    no_room: NotWritten | None = None
    try:
        answer, interrupted = _answer(checking), False
    except KeyboardInterrupt:
        answer, interrupted = checking.cancel(), True
    with silence():  # drawing a story runs it once more
        found = as_json(answer, arguments.lines) if arguments.json else None
        said = text(answer, arguments.lines) if found is None else ""
    if arguments.trace and isinstance(answer, Violation):
        from p2plab.views.formats import chrome_trace

        with silence():
            trace = json.dumps(chrome_trace(answer.run))
        try:
            write(arguments.trace, trace)
        except NotWritten as error:
            no_room = error
    if found is None:
        print(said, end="")
    else:
        print_json("check-all" if isinstance(checking, CheckingAllScenes) else "check", found)
    if no_room is not None:
        raise no_room
    if interrupted:
        raise KeyboardInterrupt
    return exit_status(answer)


def _checking(arguments: argparse.Namespace) -> Checking | CheckingAllScenes:
    scene = _named(arguments.scene)
    if isinstance(scene, type):
        return _all_scenes(scene, arguments)
    knobs = knobs_of(arguments.knob)
    return Checking(
        scene,
        shrink=not arguments.no_shrink,
        workers=_workers(arguments.workers or "1"),
        cluster=arguments.cluster,
        importer=_class(arguments.importer),
        exporter=_class(arguments.exporter),
        knobs=knobs,
        rules=arguments.rule,
        bound=_bound(arguments.bound),
        budget=_budget(arguments),
        states=_states(arguments.states),
        must_reach=arguments.must_reach,
    )


def _named(text: str) -> Scenario | type:
    """A scene by name, or the scene or driver class that ``FILE.py:NAME`` names."""
    if ".py:" not in text:
        return find(text)
    with Watchdog(LOADING) as dog:
        found = load_any(text, dog)
    return found if isinstance(found, type) else dataclasses.replace(found, needs=text)


def _all_scenes(given: type, arguments: argparse.Namespace) -> CheckingAllScenes:
    """Your class in every scene. :exc:`BadInput` for an option that applies to one scene."""
    for option in ("importer", "exporter", "knob", "cluster", "must_reach"):
        if getattr(arguments, option):
            raise BadInput(
                f"--{option.replace('_', '-')} applies to one scene, but a class alone is tried in every scene"
            )
    return CheckingAllScenes(
        given,
        budget=_budget(arguments),
        rules=arguments.rule,
        shrink=not arguments.no_shrink,
        states=_states(arguments.states),
        bound=_bound(arguments.bound),
        workers=processors() if arguments.workers is None else _workers(arguments.workers),
    )


def _budget(arguments: argparse.Namespace) -> float:
    one = arguments.importer is not None or arguments.exporter is not None or ".py:" not in arguments.scene
    return _seconds(arguments.budget or ("10s" if one else "60s"))


def _answer(checking: Checking | CheckingAllScenes) -> Verdict:
    """The verdict; the terminal shows progress meanwhile."""
    progress = ProgressLine()
    while (answer := checking.advance(_SLICE)) is None:
        if progress.shows:
            now = checking.progress
            if isinstance(checking, CheckingAllScenes):
                doing = checking.doing
            else:
                doing = "making the story smaller" if checking.shrinking else f"{now.switches} switches"
            progress.say(f"{now.states:,} states, {now.rate:,.0f}/s, {doing}")
    progress.end()
    return answer


def _class(text: str | None) -> type | None:
    if text is None:
        return None
    with Watchdog(LOADING) as dog:
        return load(text, dog)


def _bound(word: str | None) -> int | None:
    if word is None:
        return None
    if not re.fullmatch(r"[0-9]{1,6}", word):
        raise BadInput(f"--bound {word[:40]}: write a number of switches, 0 to 999999")
    return int(word)


def _states(word: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", word) or not 1 <= int(word) <= MOST_STATES:
        raise BadInput(f"--states {word[:40]}: write a number of states, 1 to {MOST_STATES}")
    return int(word)


def _workers(word: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", word):
        raise BadInput(f"--workers {word[:40]}: write how many processes, 1 to {MOST}")
    return int(word)


def _seconds(word: str) -> float:
    match = _SECONDS.fullmatch(word)
    if match is None or not float(match[1]):
        raise BadInput(f"--budget {word[:40]}: write a time such as 10s, 500ms or 2m")
    return float(match[1]) * _UNITS[match[2]]
