"""Which packages a class-room machine needs, by name and version: p2plab's requirements with all that they require."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]

#: What is installed: p2plab's own requirements come first; Notebook 7 and Voila are other ways to see the same lab.
WANTED = ("p2plab", "notebook", "voila")


def locked() -> dict[str, str]:
    """Package and version, as requirements.lock has them."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {normal(name): version for name, version in pairs}


def closure(wanted: Iterable[str] = WANTED, target: Mapping[str, str] | None = None) -> dict[str, str]:
    """Package to version; empty where requirements.lock has none (what only another system needs).

    ``target`` are the markers of the machine to install on (``sys_platform``, ``python_version``, …), by default of this one.
    """
    pins, found, todo = locked(), dict[str, str](), [(name, "") for name in wanted]
    seen = set()
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        if name != "p2plab":
            found[name] = pins.get(name, "")
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # needed on the other system only; it is fetched as it is
        for needed in map(Requirement, lines):
            if needed.marker is None or needed.marker.evaluate({**(target or {}), "extra": extra}):
                todo += [(normal(needed.name), one) for one in ("", *needed.extras)]
    return dict(sorted(found.items()))


def normal(name: str) -> str:
    """A package's name as an index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()
