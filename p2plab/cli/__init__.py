"""``p2plab …`` and ``python -m p2plab …``: what notebooks do, in a terminal.

Each module of this package offers a command: ``add(commands)`` declares its arguments and names its handler with
``set_defaults(handler=…)``; the handler takes the parsed arguments, prints, and returns the exit status. Bad input is
raised as :class:`~p2plab.core.errors.BadInput` and becomes exit status 2 and one sentence on stderr, in ``frame``.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import platform
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from p2plab import __version__
from p2plab.cli.frame import SCHEMA, framed
from p2plab.cli.manual import epilog, overview
from p2plab.core.errors import BadInput
from p2plab.core.names import nearest, unknown
from p2plab.core.token import MARK

#: Each command, and the module of this package that declares it, in the order of the help text. A module that is not listed
#: comes last; it is found by its ``add``.
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
    "story": "story",
    "lab": "lab",
    "mark": "mark",
    "doctor": "doctor",
    "completion": "completion",
}
#: What ``--version`` prints: the versions of the package, of Python, and of the formats that others read.
VERSION = f"p2plab {__version__} (Python {platform.python_version()}, tokens {MARK}, JSON {SCHEMA})"


def parser(command: str = "") -> argparse.ArgumentParser:
    """The parser of one command, importing only its module, or of all commands."""
    top = _Parser(
        prog="p2plab",
        description="Peer-to-peer mappings between PCI devices, step by step.",
        usage="p2plab COMMAND ...",
    )
    top.add_argument("--version", action="version", version=VERSION)
    commands = top.add_subparsers(prog="p2plab", metavar="COMMAND", required=True, help=argparse.SUPPRESS)
    here = [found.name for found in pkgutil.iter_modules(__path__)] if command not in COMMANDS else []
    wanted = [COMMANDS[command]] if command in COMMANDS else list(dict.fromkeys([*COMMANDS.values(), *here]))
    for name in wanted:
        module = importlib.import_module(f"{__name__}.{name}")
        if name in COMMANDS.values() or hasattr(module, "add"):
            module.add(commands)
    lines = {action.dest: action.help or "" for action in commands._choices_actions}
    for name, made in commands.choices.items():
        made.description, made.epilog = f"{lines[name][:1].upper()}{lines[name][1:]}.", epilog(name)
    top.epilog = overview(lines)
    return top


def commands_of(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each command that was declared."""
    (found,) = (action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def _left_over(command: str, word: str, declared: argparse.ArgumentParser) -> str:
    """An error for a word that is no command."""
    option = word.partition("=")[0]
    if not option.startswith("-"):
        return f"{command}: there is no place for {word[:60]!r} (see: p2plab {command} --help)"
    options = [text for action in declared._actions for text in action.option_strings]
    return f"{command}: there is no option {option[:60]}{nearest(option, options)} (see: p2plab {command} --help)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: see :mod:`p2plab.cli.frame`."""
    words = list(sys.argv[1:] if argv is None else argv)
    return framed(lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    command = words[0] if words else ""
    if not command:
        raise BadInput("which command? `p2plab --help` lists them")
    declared = parser(command)
    if not command.startswith("-") and command not in commands_of(declared):
        raise BadInput(unknown("command", command, list(commands_of(declared)), "`p2plab --help`"))
    arguments, left = declared.parse_known_args(words)
    if left:
        raise BadInput(_left_over(command, left[0], commands_of(declared)[command]))
    status: int = arguments.handler(arguments)
    return status


class _Parser(argparse.ArgumentParser):
    """Options must be spelled out: an abbreviation could mean something else after the next option is added.

    They may come before, after and between positional words, even optional ones.
    """

    _among = False

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter, **settings})
        self.color = False  # Python 3.14 would colour its help; frame decides for all output alike

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """A ``*`` would take only the words before the first option and leave the others unknown."""
        if self._among or not any(action.nargs == "*" for action in self._get_positional_actions()):
            return super().parse_known_args(args, namespace)
        self._among = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._among = False

    def error(self, message: str) -> NoReturn:
        """One sentence; the usage is in the command's help."""
        raise BadInput(f"{self.prog.removeprefix('p2plab ')}: {message} (see: {self.prog} --help)")
