"""Importer class × design: who is served, from where, at what price, and who is refused.

A cell with a run is read from its log. One without says why there is none: no such importer exists in the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.designs import DESIGNS
from p2plab.designs.design import CLASSES, KERNEL, NVME
from p2plab.designs.readings import served
from p2plab.designs.runs import run, token


@dataclass(frozen=True)
class Served:
    """One class under one design. ``token`` is None where only the source answers; ``note`` says how it imports."""

    importer: str
    design: str
    answer: str
    token: str | None
    note: str
    source: str


def fate(importer: str, design: str) -> Served:
    """One cell."""
    known = DESIGNS[design].fates[importer]
    if not known.run:
        return Served(importer, design, "not served", None, known.note, known.source)
    other, _, own = known.run.rpartition("/")
    where = other or design
    return Served(importer, design, served(run(where, own).log), token(where, own), known.note, known.source)


def classes() -> dict[str, tuple[Served, ...]]:
    """All cells, by class."""
    return {importer: tuple(fate(importer, design) for design in DESIGNS) for importer in CLASSES}


__all__ = ["CLASSES", "KERNEL", "NVME", "Served", "classes", "fate"]
