"""Where p2plab's data files are: ``assets/`` beside the package in a checkout, inside the package once installed."""

from __future__ import annotations

from pathlib import Path

from p2plab.core.errors import BadInput

_PACKAGE = Path(__file__).resolve().parent.parent


def assets() -> Path:
    """The folder of pictures and recordings. BadInput if this installation came without them."""
    for folder in (_PACKAGE.parent / "assets", _PACKAGE / "assets"):
        if (folder / "recordings").is_dir():
            return folder
    raise BadInput(f"no assets beside {_PACKAGE.name}: this installation is incomplete; install it from the repository")


def recorded_machines() -> dict[str, Path]:
    """The recorded PCI machines by name, such as ``q35_switch2``."""
    return {path.stem: path for path in sorted((assets() / "recordings" / "pci").glob("*.json"))}
