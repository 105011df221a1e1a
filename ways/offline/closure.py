"""Which packages a class-room machine needs, by name and version: p2plab's requirements with all that they require."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]

#: What is installed: p2plab's own requirements come first; Notebook 7 and Voila are other ways to see the same lab.
WANTED = ("p2plab[lab]", "notebook", "voila")
_PIN = re.compile(r"^([\w.-]+)==([^\s\\]+)((?:\s*\\\n\s*--hash=\S+)*)", re.M)


def locked() -> dict[str, str]:
    """Package and version, as requirements.lock has them."""
    return {normal(name): version for name, version, _ in _pins()}


def digests() -> dict[str, list[str]]:
    """Package, and the digests of its files, each as ``sha256:…``."""
    return {normal(name): re.findall(r"--hash=(\S+)", hashes) for name, _, hashes in _pins()}


def _pins() -> list[tuple[str, str, str]]:
    return _PIN.findall((ROOT / "requirements.lock").read_text(encoding="utf-8"))


def closure(wanted: Iterable[str] = WANTED, target: Mapping[str, str] | None = None) -> dict[str, str]:
    """Package to version; empty where requirements.lock has none (what only another system needs).

    ``target`` are the markers of the machine to install on (``sys_platform``, ``python_version``, …), by default of this one.
    """
    asked = [Requirement(text) for text in wanted]
    pins, found, todo = locked(), dict[str, str](), [(normal(a.name), one) for a in asked for one in ("", *a.extras)]
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
