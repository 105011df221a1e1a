"""One page followed all the way: virtual page, page-table entry or none, BAR slot, device memory, the importer's address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from p2plab.core.run import Run
from p2plab.mm.folio import Pte
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.mapper import Mapper
from p2plab.p2p.things import things_of


@dataclass(frozen=True)
class AddressUse:
    """One importer's device uses ``address`` for the page; ``bus`` is where an IOMMU, if any, sends it (None: a fault)."""

    importer: str
    address: int
    bus: int | None
    fresh: bool

    def __str__(self) -> str:
        via = "" if self.bus == self.address else ", which faults" if self.bus is None else f" (IOMMU: {self.bus:#x})"
        return f"{self.importer} uses {self.address:#x}{via}" + ("" if self.fresh else ", which is STALE")


@dataclass(frozen=True)
class Way:
    """Where one page of the first process is, at one step. Addresses in bytes; None where there is nothing."""

    page: int  #: counted from the views' base
    address: int
    vma: str
    entry: str  #: what the CPU's page table holds
    frame: str  #: ``A[2]``, or empty
    place: int | None  #: number of the frame in device memory
    slot: int | None
    bus: int | None  #: the bus address of that slot
    uses: tuple[AddressUse, ...]

    def __str__(self) -> str:
        parts = [f"page {self.page} ({self.address:#x})", self.vma or "no vma", self.entry]
        if self.frame:
            parts.append(f"{self.frame}, frame {self.place} of device memory")
            parts.append("in no slot" if self.slot is None else f"slot {self.slot} at {self.bus:#x}")
        parts += map(str, self.uses)
        if not self.uses:
            parts.append("no importer uses it")
        return " -> ".join(parts)


def follow_page(run: Run, step: int, page: int) -> Way:
    """The way of a page, counted from the base of the views."""
    things = things_of(run.at(step))
    mm = things.spaces[0]
    address = things.base + page * PAGE_SIZE
    vma = mm.vma_lookup(address)
    place, frame, slot, bus = _behind(vma, address)
    entry = mm.page_table.get(address)
    said = f"CPU entry: page frame {entry.pfn:#x}" if isinstance(entry, Pte) else "no CPU entry"
    uses = tuple(_use(i, address, frame) for i in things.importers if address in i.engine.table)
    name = f"vma {vma.vm_start:#x}" if vma is not None else ""
    return Way(page, address, name, said, frame, place, slot, bus, uses)


def _use(importer: Mapper, page: int, frame: str) -> AddressUse:
    address, fabric = importer.engine.table[page], importer.engine.fabric
    fresh = page in importer.held and fabric.look(address, importer.peer) == frame
    return AddressUse(importer.name, address, fabric.bus_address(address, importer.peer), fresh)


def _behind(vma: Any, address: int) -> tuple[int | None, str, int | None, int | None]:
    """(frame number, frame name, slot, bus address) of what an exporter's vma shows at an address."""
    exporter = vma.vm_ops if vma is not None else None
    aperture = getattr(exporter, "aperture", None)
    if exporter is None or aperture is None:
        return None, "", None, None
    thing = exporter.object_behind(vma)
    page = vma.pgoff_of(address)
    if not 0 <= page < len(thing.frames):
        return None, "", None, None
    slot = aperture.slots_of(thing)[page]
    return thing.frames[page], thing.frame_name(page), slot, None if slot is None else aperture.address(slot)
