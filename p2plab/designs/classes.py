"""Importer class × design: which is served, from where, at what price, and which is refused.

A cell with a run is read from its log. A cell without one says why: no such importer exists in the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.designs import DESIGNS
from p2plab.designs.design import CLASSES, KERNEL, NVME
from p2plab.designs.matrix import in_kernel, why_absent
from p2plab.designs.readings import served
from p2plab.designs.runs import run, token


@dataclass(frozen=True)
class Served:
    """One class under one design. ``token`` is None where only the source answers; ``note`` says how it imports."""

    importer: str
    design: str
    kernel: str
    answer: str
    token: str | None
    note: str
    source: str


def fate(importer: str, design: str, kernel: str = "") -> Served:
    """One cell; of the design's newest kernel, or another."""
    whole = DESIGNS[design]
    of = in_kernel(whole, kernel)
    if not of:
        known = whole.fates[importer]
        return Served(importer, design, kernel, "not there", None, why_absent(whole, kernel), known.source)
    known = whole.fates[importer].in_kernel(of)
    label = whole.label(of)
    if not known.run:
        return Served(importer, design, label, "not served", None, known.note, known.source)
    other, _, own = known.run.rpartition("/")
    where = other or design
    then = of if of in DESIGNS[where].kernels else DESIGNS[where].newest
    return Served(
        importer, design, label, served(run(where, own, then).log), token(where, own, then), known.note, known.source
    )


def classes(kernel: str = "") -> dict[str, tuple[Served, ...]]:
    """All cells, by class."""
    return {importer: tuple(fate(importer, design, kernel) for design in DESIGNS) for importer in CLASSES}


__all__ = ["CLASSES", "KERNEL", "NVME", "Served", "classes", "fate"]
