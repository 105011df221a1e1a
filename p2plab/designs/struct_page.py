"""The three uses of ``struct page``, as toggles: what still works under p2pdma if each is missing.

Christoph Hellwig, 31 January 2019 (<20190131081355.GC26495@lst.de>): a page carries a physical address, holds a reference
for as long as I/O runs, and is what gets marked dirty. ``elsewhere`` names what does the same job in designs without pages.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.designs.readings import served
from p2plab.designs.runs import run, token

SOURCE = "20190131081355.GC26495@lst.de"


@dataclass(frozen=True)
class Use:
    """One use: what happens to the importer without it, in a run; and what does its job in other designs."""

    use: str
    without: str
    token: str
    elsewhere: str
    source: str = SOURCE


_USES = {
    "all three": ("move", "-"),
    "carries a physical address": ("no-address", "p2p_map, map_dma_buf: the exporter gives DMA addresses itself"),
    "holds a reference": (
        "no-reference",
        "the notifier, dma_resv and fences, revoke: the importer is notified, and obeys",
    ),
    "marks what was written as dirty": ("no-dirty", "nothing has to: device memory is not written back"),
    "none of them": ("no-pages", "any design whose exporter is asked, and not the page"),
}


def uses() -> tuple[Use, ...]:
    """With everything, without one at a time, without any."""
    design = "p2pdma-pages"
    return tuple(
        Use(use, served(run(design, name).log), token(design, name), elsewhere)
        for use, (name, elsewhere) in _USES.items()
    )
