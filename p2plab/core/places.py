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
    for folder in (_PACKAGE.parent / "assets", _PACKAGE / "assets"):
        if (folder / "recordings").is_dir():
            return folder
    raise BadInput(f"no assets beside {_PACKAGE.name}: this installation is incomplete; install it from the repository")


def recorded_machines() -> dict[str, Path]:
    """The recorded PCI machines by name, such as ``q35_switch2``."""
    return {path.stem: path for path in sorted((assets() / "recordings" / "pci").glob("*.json"))}


def journal_file() -> Path | None:
    """Where the runs of this person's labs are noted: ``P2PLAB_JOURNAL`` if set (empty: nowhere), else their data folder.

    A served app keeps none: its visitors share one account, and nobody shall see another's run.
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
