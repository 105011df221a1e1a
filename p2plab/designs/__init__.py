"""What the kernel did instead, and what is reviewed now: designs on one machine, under one step list.

``DESIGNS`` are the designs by name, ``SCENES`` their scenarios: ``p2plab run design-rfc-vma`` and the lab find them too.
A design is one file with a ``DESIGN``; nothing else names it.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from p2plab.catalog.case import Case
from p2plab.core.scenario import Scenario
from p2plab.designs.design import COMMON, Design, DesignRig
from p2plab.designs.steps import scene_of

#: The order of the tables. A design that is not listed comes last.
_ORDER = (
    "rfc-vma",
    "p2pdma-pages",
    "dma-buf-dynamic",
    "dma-buf-pinned",
    "hmm-interval",
    "two-pass",
    "hmm-dma-map",
    "drm-pagemap",
    "device-private-rdma",
    "vfio-dma-buf",
    "vfio-mmap",
)
#: Modules of this room that read ``DESIGNS``, and so are no designs.
_TABLES = ("classes", "matrix", "runs", "struct_page")


def _place(module: ModuleType) -> tuple[int, str]:
    name = module.DESIGN.name
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER)), name


_MODULES = (
    importlib.import_module(f"{__name__}.{found.name}")
    for found in pkgutil.iter_modules(__path__)
    if found.name not in _TABLES
)
_LIST = sorted((module for module in _MODULES if hasattr(module, "DESIGN")), key=_place)

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
