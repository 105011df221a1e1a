"""``p2plab …`` and ``python -m p2plab …``: the same things as in a notebook, in a terminal.

Each module of this package offers a command: ``add(commands)`` declares its arguments and names its handler with
``set_defaults(handler=…)``; the handler takes the parsed arguments, prints, and returns the exit status. Bad input is
raised as :class:`~p2plab.core.errors.BadInput` and becomes exit status 2 and one sentence on stderr, in ``frame``.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from p2plab import __version__
from p2plab.cli.frame import framed
from p2plab.core.plain import plain

#: Each command, and the module of this package that declares it, in the order of the help text. A module that is not listed
#: comes last, and is found because it has an ``add``.
COMMANDS = {
    "scenes": "scenes",
    "run": "run",
    "replay": "run",
    "export": "export",
    "check": "check",
    "lockdep": "lockdep",
    "catalog": "catalog",
    "designs": "designs",
    "sweep": "sweeps",
    "machine": "machine",
    "reach": "reach",
    "whatif": "whatif",
    "conform": "conform",
    "events": "events",
    "quiz": "quiz",
    "lab": "lab",
    "mark": "mark",
    "doctor": "doctor",
}


def parser(command: str = "") -> argparse.ArgumentParser:
    """The command line: of one command alone, whose module only is then imported, or of all."""
    top = _Parser(prog="p2plab", description="Peer-to-peer mappings between PCI devices, step by step.")
    top.add_argument("--version", action="version", version=f"p2plab {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    here = [found.name for found in pkgutil.iter_modules(__path__)] if command not in COMMANDS else []
    wanted = [COMMANDS[command]] if command in COMMANDS else list(dict.fromkeys([*COMMANDS.values(), *here]))
    for name in wanted:
        module = importlib.import_module(f"{__name__}.{name}")
        if name in COMMANDS.values() or hasattr(module, "add"):
            module.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: see :mod:`p2plab.cli.frame`."""
    words = list(sys.argv[1:] if argv is None else argv)
    return framed(lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    arguments = parser(words[0] if words else "").parse_args(words)
    status: int = arguments.handler(arguments)
    return status


class _Parser(argparse.ArgumentParser):
    """Says errors in plain text; takes options before, after and among words of which there may be none."""

    _among = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """A ``*`` would be satisfied with the words before the first option, and the others be strangers."""
        if self._among or not any(action.nargs == "*" for action in self._get_positional_actions()):
            return super().parse_known_args(args, namespace)
        self._among = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._among = False

    def error(self, message: str) -> NoReturn:
        super().error(plain(message))
