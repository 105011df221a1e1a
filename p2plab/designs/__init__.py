"""What the kernel did instead, and what is reviewed now: designs on one machine, under one step list.

``DESIGNS`` are the designs by name, ``SCENES`` their scenarios: ``p2plab run design-rfc-vma`` and the lab find them too.
A design is one file with a ``DESIGN``, and a name in the list below.
"""

from __future__ import annotations

from p2plab.catalog.case import Case
from p2plab.core.scenario import Scenario
from p2plab.designs import (
    dma_buf_dynamic,
    dma_buf_pinned,
    hmm_dma_map,
    hmm_interval,
    p2pdma_pages,
    rfc_vma,
    vfio_dma_buf,
)
from p2plab.designs.design import COMMON, Design, DesignRig
from p2plab.designs.steps import scene_of

_LIST = (rfc_vma, p2pdma_pages, dma_buf_dynamic, dma_buf_pinned, hmm_interval, hmm_dma_map, vfio_dma_buf)

#: Every design by its name, in the order of the tables.
DESIGNS: dict[str, Design] = {module.DESIGN.name: module.DESIGN for module in _LIST}
#: The cases of the catalogue that are designs' drivers, by code.
CASES: dict[str, Case] = {
    case.code: case
    for case in sorted(
        (case for module in _LIST for case in getattr(module, "CASES", ())), key=lambda case: int(case.code[1:])
    )
}
#: The step list under each design, by the scenario's name.
SCENES: dict[str, Scenario] = {design.scene: scene_of(design) for design in DESIGNS.values()}

__all__ = ["CASES", "COMMON", "DESIGNS", "SCENES", "Design", "DesignRig", "scene_of"]
