"""``p2plab …`` and ``python -m p2plab …``: the same things as in a notebook, in a terminal.

Each module of this package offers a command: ``add(commands)`` declares its arguments and names its handler with
``set_defaults(handler=…)``; the handler takes the parsed arguments, prints, and returns the exit status. Bad input is
raised as :class:`~p2plab.core.errors.BadInput` and becomes exit status 2 and one sentence on stderr, here.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from p2plab import __version__
from p2plab.core.errors import P2PError

#: Each command, and the module of this package that declares it, in the order of the help text.
COMMANDS = {
    "scenes": "scenes",
    "run": "run",
    "replay": "run",
    "export": "export",
    "check": "check",
    "catalog": "catalog",
    "designs": "designs",
    "sweep": "sweeps",
    "machine": "machine",
    "reach": "reach",
    "conform": "conform",
    "events": "events",
    "mark": "mark",
    "doctor": "doctor",
}

BAD_INPUT = 2
#: As a shell says it of a program that Ctrl-C ended.
INTERRUPTED = 130


def parser(command: str = "") -> argparse.ArgumentParser:
    """The command line: of one command alone, whose module only is then imported, or of all."""
    top = argparse.ArgumentParser(prog="p2plab", description="Peer-to-peer mappings between PCI devices, step by step.")
    top.add_argument("--version", action="version", version=f"p2plab {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    wanted = [COMMANDS[command]] if command in COMMANDS else list(dict.fromkeys(COMMANDS.values()))
    for name in wanted:
        importlib.import_module(f"{__name__}.{name}").add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 2 for bad input, else what the command says."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parser(words[0] if words else "").parse_args(words)
    try:
        status: int = arguments.handler(arguments)
    except P2PError as error:
        print(f"p2plab: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("p2plab: interrupted", file=sys.stderr)
        return INTERRUPTED
    except ModuleNotFoundError as missing:
        if (missing.name or "p2plab").partition(".")[0] == "p2plab":
            raise
        print(f"p2plab: this needs {missing.name}, which is not here; `p2plab doctor` says what to do", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status
