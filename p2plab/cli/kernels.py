"""The option that says whose rules count, the same in every command that has it."""

from __future__ import annotations

import argparse

from p2plab.core.kernels import NAMES, TODAY


def kernel_option(command: argparse.ArgumentParser, what: str, default: str | None = TODAY) -> None:
    """Declare ``--kernel NAME``; ``default`` is ``None`` where the command must see whether it was given."""
    unless = f" (default {default}, today's)" if default else ""
    command.add_argument("--kernel", metavar="NAME", default=default, help=f"{what}: {', '.join(NAMES)}{unless}")
