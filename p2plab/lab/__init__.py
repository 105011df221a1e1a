"""The explorers for a notebook, and the only room with widget callbacks.

``Lab("workbench")`` runs a scene step by step, ``CompareLab()`` two side by side,
``MachineLab("q35_switch2")`` shows a machine, ``MemoryLab("munmap")`` the
notifier calls of a memory operation.

Each explorer is imported on first use, so that the first lab does not wait for Bokeh, the search and the PCI side.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p2plab.lab.compare import CompareLab
    from p2plab.lab.designs import DesignsLab
    from p2plab.lab.lab import Lab
    from p2plab.lab.machine import MachineLab
    from p2plab.lab.memory import MemoryLab

__all__ = ["CompareLab", "DesignsLab", "Lab", "MachineLab", "MemoryLab"]
_HOME = {"CompareLab": "compare", "DesignsLab": "designs", "Lab": "lab", "MachineLab": "machine", "MemoryLab": "memory"}


def __getattr__(name: str) -> Any:
    """An explorer, from its own module."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """What TAB offers."""
    return [*__all__, "__doc__"]
