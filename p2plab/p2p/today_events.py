"""What happens under the designs that came after 2019, as events of the log.

``DmaMapped`` and ``DmaUnmapped`` are kinds of ``P2PMapped`` and ``P2PUnmapped``, so that every rule and view that asks
who has an address, and for what, reads all designs in the same way. They carry the names of today.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.core.events import Addr, Event
from p2plab.p2p.events import P2PMapped, P2PUnmapped


@dataclass(frozen=True, slots=True)
class DmaMapped(P2PMapped):
    """The importer has DMA addresses, under a design of today (``dma_map_sgtable``, ``map_dma_buf``, ``hmm_dma_map_pfn``)."""


@dataclass(frozen=True, slots=True)
class DmaUnmapped(P2PUnmapped):
    """The importer gave its DMA addresses back."""


@dataclass(frozen=True, slots=True)
class TopologyChecked(Event):
    """``by`` asked whether the importer reaches the exporter; ``answer`` is the map type, or what was made of it."""

    by: str
    importer: str
    answer: str

    def __str__(self) -> str:
        return f"{self.by} on {self.importer}: {self.answer}"


@dataclass(frozen=True, slots=True)
class ReferenceTaken(Event):
    """``who`` holds a reference on the page that names ``frame``."""

    who: str
    frame: str


@dataclass(frozen=True, slots=True)
class ReferencePut(Event):
    """``who`` gave its reference on the page back."""

    who: str
    frame: str


@dataclass(frozen=True, slots=True)
class FenceAdded(Event):
    """``who`` added a fence for its DMA to the buffer's ``dma_resv``; it signals when the transfer has ended."""

    who: str
    buffer: str

    def __str__(self) -> str:
        return f"{self.who} adds a fence to {self.buffer}"


@dataclass(frozen=True, slots=True)
class Pinned(Event):
    """The buffer is pinned for ``who``, in device memory (``vram``) or in main memory (``system``)."""

    who: str
    buffer: str
    place: str

    def __str__(self) -> str:
        return f"{self.buffer} is pinned for {self.who} in {self.place} memory"


@dataclass(frozen=True, slots=True)
class PageMoved(Event):
    """``by`` gave a page in main memory another frame; ``address`` was its old place."""

    by: str
    frame: str
    address: Addr

    def __str__(self) -> str:
        return f"{self.frame} leaves {self.address:#x}"


@dataclass(frozen=True, slots=True)
class RevokedNow(Event):
    """The exporter holds the buffer for revoked: from here on nobody may reach ``[base, end)`` of its BAR."""

    exporter: str
    buffer: str
    base: Addr
    end: Addr

    def __str__(self) -> str:
        return f"{self.buffer} is revoked"


@dataclass(frozen=True, slots=True)
class Restored(Event):
    """The buffer may be mapped again."""

    exporter: str
    buffer: str

    def __str__(self) -> str:
        return f"{self.buffer} may be mapped again"


#: The calls by which an importer learns that its mappings come to an end, in all designs.
TOLD = ("invalidate_range_start", "invalidate", "move_notify", "invalidate_mappings", "release")
