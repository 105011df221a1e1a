"""``p2plab export SCENE|TOKEN``: a run as a page that steps through it, as text, as a trace, as a test, as its log."""

from __future__ import annotations

import argparse
from pathlib import Path

from p2plab.cli.frame import number, typed, write
from p2plab.cli.run import PASTED, order_options, run_of
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.token import MARK, open_token, token_in
from p2plab.everything import SCENES, find
from p2plab.views.formats import FORMATS


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("export", help="write a run to files, to show it or to keep it")
    command.add_argument(
        "scene",
        metavar="SCENE|TOKEN",
        help="a scene's name, a token, '-' for the token in the text on standard input, or 'all': every story in one page",
    )
    order_options(command)
    for name, form in FORMATS.items():
        command.add_argument(f"--{name}", type=Path, metavar="FILE", help=form.help)
    command.add_argument(
        "--link", metavar="PAGE", help="print the address that opens the run in PAGE, a page that holds all stories"
    )
    command.add_argument(
        "--step", type=number, metavar="N", help="the step at which --link opens it (default: the last)"
    )
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 once everything is written, whether or not a rule broke."""
    wanted = {name: path for name in FORMATS if (path := getattr(arguments, name)) is not None}
    if not wanted and arguments.link is None:
        raise BadInput(f"name a file to write: {', '.join(f'--{name} FILE' for name in FORMATS)}, or --link PAGE")
    if arguments.step is not None and arguments.link is None:
        raise BadInput("--step is the step at which --link opens the run")
    if arguments.scene == "all":
        return _all(arguments, wanted)
    exported = _run(arguments)
    if arguments.step is not None and not 0 <= arguments.step <= len(exported):
        raise BadInput(f"--step {arguments.step}: the run has steps 0 to {len(exported)}")
    for name, path in wanted.items():
        _write(path, FORMATS[name].write(exported), f"{len(exported)} steps")
    if arguments.link is not None:
        from p2plab.views.links import fragment

        print(f"{arguments.link.partition('#')[0]}{fragment(exported, arguments.step)}")
    return 0


def _all(arguments: argparse.Namespace, wanted: dict[str, Path]) -> int:
    """The page of every story."""
    if wanted.keys() != {"html"} or arguments.link is not None or _ordered(arguments):
        raise BadInput("'all' is written as one page: p2plab export all --html FILE")
    from p2plab.views.links import stories_page

    _write(wanted["html"], stories_page(), f"{len(SCENES)} stories")
    return 0


def _write(path: Path, text: str, what: str) -> None:
    write(path, text)
    print(f"{path}: {len(text.encode()) / 1000:,.0f} kB, {what}")


def _ordered(arguments: argparse.Namespace) -> bool:
    return bool(arguments.knob or arguments.timed or (arguments.seed, arguments.schedule) != (None, None))


def _run(arguments: argparse.Namespace) -> Run:
    text = token_in(typed(PASTED)) if arguments.scene == "-" else arguments.scene
    if not text.lstrip().startswith(f"{MARK}."):
        return run_of(arguments)
    if _ordered(arguments):
        raise BadInput("a token fixes the whole run: give a scene's name to set knobs or another order")
    return open_token(text, find)
