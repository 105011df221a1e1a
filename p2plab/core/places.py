"""Where p2plab's data files are: ``assets/`` beside the package in a checkout, inside the package once installed.

And where it writes: the journal of a person's runs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from p2plab.core.errors import BadInput

_PACKAGE = Path(__file__).resolve().parent.parent
#: Where the site without a server keeps files in the browser; the rest of its file system ends with the page.
DRIVE = Path("/drive")


def assets() -> Path:
    """The folder of pictures and recordings. BadInput if this installation came without them."""
    for folder in (_PACKAGE / "assets", _PACKAGE.parent / "assets"):
        if (folder / "recordings").is_dir():
            return folder
    raise BadInput(f"no assets beside {_PACKAGE.name}: this installation is incomplete; install it from the repository")


def course() -> dict[str, Path]:
    """The course's files by their place in its folder: notebooks, and what they lead to. BadInput as :func:`assets`."""
    within = assets() / "course"
    if within.is_dir():
        return {file.relative_to(within).as_posix(): file for file in sorted(within.rglob("*")) if file.is_file()}
    return course_in(_PACKAGE.parent)


def course_in(checkout: Path) -> dict[str, Path]:
    """The same in a checkout, for building the wheel."""
    wanted = (
        "notebooks/[0-9]*.ipynb",
        "docs/*.md",
        "docs/*/*.md",
        "examples/*",
        "examples/machines/*",
        "DESIGN.md",
        "CHANGES.md",
        "CONTRIBUTING.md",
    )
    found = (file for pattern in wanted for file in sorted(checkout.glob(pattern)))
    return {
        file.relative_to(checkout).as_posix(): file
        for file in found
        if file.is_file() and not file.is_relative_to(checkout / "docs" / "site")
    }


def recorded_machines() -> dict[str, Path]:
    """The recorded PCI machines by name, such as ``q35_switch2``."""
    return recordings("pci")


def recordings(kind: str) -> dict[str, Path]:
    """The recordings of a kind (``mmu``, ``pci``, ``p2pdma``, ``scenes``) by name, such as ``two_race.linux-6.12``."""
    files = sorted((assets() / "recordings" / kind).iterdir())
    return {path.stem: path for path in files if path.suffix in (".json", ".jsonl")}


def journal_file() -> Path | None:
    """Where the runs of this person's labs are recorded: ``P2PLAB_JOURNAL`` if set (empty: nowhere), else their data folder.

    A served app keeps none: its visitors share one account, and must not see each other's runs.
    """
    named = os.environ.get("P2PLAB_JOURNAL")
    if named is not None:
        return Path(named) if named else None
    if "voila" in os.environ.get("SERVER_SOFTWARE", ""):
        return None
    if sys.platform == "emscripten" and DRIVE.is_dir():
        return DRIVE / ".p2plab-journal.jsonl"
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "p2plab" / "journal.jsonl"
