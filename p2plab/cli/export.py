"""``p2plab export SCENE|TOKEN``: a run as a page that steps through it, as text, as a trace, as a test, as its log."""

from __future__ import annotations

import argparse
from pathlib import Path

from p2plab.cli.frame import typed, write
from p2plab.cli.run import PASTED, order_options, run_of
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.token import MARK, open_token, token_in
from p2plab.everything import find
from p2plab.views.formats import FORMATS


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("export", help="write a run to files, to show it or to keep it")
    command.add_argument(
        "scene", metavar="SCENE|TOKEN", help="a scene's name, a token, or '-' for the token in the text on stdin"
    )
    order_options(command)
    for name, form in FORMATS.items():
        command.add_argument(f"--{name}", type=Path, metavar="FILE", help=form.help)
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 once everything is written, whether or not a rule broke."""
    wanted = {name: path for name in FORMATS if (path := getattr(arguments, name)) is not None}
    if not wanted:
        raise BadInput(f"say what to write: {', '.join(f'--{name} FILE' for name in FORMATS)}")
    exported = _run(arguments)
    for name, path in wanted.items():
        text = FORMATS[name].write(exported)
        write(path, text)
        print(f"{path}: {len(text.encode()) / 1000:,.0f} kB, {len(exported)} steps")
    return 0


def _run(arguments: argparse.Namespace) -> Run:
    text = token_in(typed(PASTED)) if arguments.scene == "-" else arguments.scene
    if not text.lstrip().startswith(f"{MARK}."):
        return run_of(arguments)
    if arguments.knob or arguments.timed or (arguments.seed, arguments.schedule) != (None, None):
        raise BadInput("a token is a whole run: knobs and another order go with a scene's name")
    return open_token(text, find)
