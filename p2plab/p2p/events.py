"""What happens between exporters, importers and their devices, as events of the log: first the contract and the DMA, then what
an exporter does with its aperture and its objects, then what came after 2019.

``frame`` names what is at an address: ``A[2]`` is page 2 of object A; empty means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.core.events import Addr, Event
from p2plab.core.number_of import number_of


def pages(start: int, end: int) -> str:
    """``[start, end)`` in bytes as short hex, for people."""
    return f"{start:#x}..{end:#x}"


@dataclass(frozen=True, slots=True)
class MapAsked(Event):
    """The caller of ``p2p_map`` is about to ask for ``[start, end)`` of the vma ``[vm_start, vm_end)``."""

    importer: str
    exporter: str
    start: Addr
    end: Addr
    vm_start: Addr
    vm_end: Addr
    mm: str = ""


@dataclass(frozen=True, slots=True)
class P2PMapped(Event):
    """``p2p_map`` said yes: one DMA address for each page of ``[start, end)``, and the frame that was asked for.

    ``shows`` is the frame at each address when it was returned, empty for none; () where no bus is modelled.
    """

    importer: str
    exporter: str
    start: Addr
    end: Addr
    write: bool
    addresses: tuple[Addr, ...]
    frames: tuple[str, ...]
    mm: str = ""
    shows: tuple[str, ...] = ()

    def __str__(self) -> str:
        frames = f"{self.frames[0]}..{self.frames[-1]}" if self.frames else "nothing"
        return f"{self.importer} has {frames}" + (f" at {self.addresses[0]:#x}" if self.addresses else "")


@dataclass(frozen=True, slots=True)
class P2PMapFailed(Event):
    """``p2p_map`` said no: ``status`` is what it returned, ``errno`` how its caller reads that."""

    importer: str
    exporter: str
    start: Addr
    end: Addr
    errno: str
    status: int = 0

    def __str__(self) -> str:
        return f"{self.importer}: p2p_map failed, -{self.errno}"


@dataclass(frozen=True, slots=True)
class P2PUnmapped(Event):
    """The importer gave ``[start, end)`` back with ``p2p_unmap``."""

    importer: str
    exporter: str
    start: Addr
    end: Addr
    addresses: tuple[Addr, ...]

    def __str__(self) -> str:
        return f"{self.importer} gave {number_of(len(self.addresses), 'page')} back"


@dataclass(frozen=True, slots=True)
class TranslationSet(Event):
    """The importer programmed its device: these pages of the process are at these DMA addresses."""

    importer: str
    start: Addr
    addresses: tuple[Addr, ...]


@dataclass(frozen=True, slots=True)
class TranslationCleared(Event):
    """The importer took the translations of ``[start, end)`` out of its device."""

    importer: str
    start: Addr
    end: Addr


@dataclass(frozen=True, slots=True)
class TransferBegun(Event):
    """A device starts a DMA transfer over pages ``[start, end)`` of the process."""

    importer: str
    start: Addr
    end: Addr
    write: bool


@dataclass(frozen=True, slots=True)
class TransferEnded(Event):
    """The transfer's last page is done, or it was given up (``why``)."""

    importer: str
    why: str

    def __str__(self) -> str:
        return f"DMA {self.why}"


@dataclass(frozen=True, slots=True)
class BeatIssued(Event):
    """One page of a transfer is on its way: the device looked up ``page`` and sent to ``address``."""

    importer: str
    page: Addr
    address: Addr


@dataclass(frozen=True, slots=True)
class BeatLanded(Event):
    """The beat arrived. ``frame`` is what was at the address then; ``owner`` is the owner of that memory.

    ``before`` and ``after`` are the first 16 bytes of the frame; for a read they are equal, and are what was read.
    """

    importer: str
    page: Addr
    address: Addr
    write: bool
    frame: str
    owner: str
    before: bytes
    after: bytes
    generation: int = 0  #: how often that frame changed hands or lost its content
    decoder: str = ""  #: the BAR that took it where no frame is behind the address (a neighbour's); empty for none

    def __str__(self) -> str:
        what = "writes" if self.write else "reads"
        if self.decoder:
            return f"{what} {self.decoder}"
        return f"{what} {self.frame or 'nothing'}{f' of {self.owner}' if self.owner else ''}"


@dataclass(frozen=True, slots=True)
class MapRetried(Event):
    """The range was invalidated while it was being mapped: the importer goes round again, for the ``times``-th time."""

    importer: str
    times: int

    def __str__(self) -> str:
        return f"{self.importer} goes round again ({self.times})"


@dataclass(frozen=True, slots=True)
class WaitTimedOut(Event):
    """``hmm_range_wait_until_valid`` gave up after its 1000 ms."""

    importer: str

    def __str__(self) -> str:
        return f"{self.importer}: not valid within 1000 ms"


@dataclass(frozen=True, slots=True)
class UseAfterFree(Event):
    """A pointer to something that was freed was followed: what KASAN would report."""

    who: str
    what: str

    def __str__(self) -> str:
        return f"use after free by {self.who}: {self.what}"


@dataclass(frozen=True, slots=True)
class IommuFault(Event):
    """The IOMMU has no translation for what the device sent: the access goes nowhere and is logged."""

    importer: str
    address: Addr
    write: bool

    def __str__(self) -> str:
        return f"IOMMU fault: {self.importer} {'writes' if self.write else 'reads'} {self.address:#x}"


#: The ``why`` of a DeviceGone that no driver caused.
SURPRISE = "surprise removal"


@dataclass(frozen=True, slots=True)
class StaleTranslation(Event):
    """An access went where its IOVA led before: ``cache`` (``ATC`` in the device, ``IOTLB`` in the IOMMU) still had it."""

    importer: str
    address: Addr
    cache: str

    def __str__(self) -> str:
        return f"{self.importer} uses {self.address:#x} by a translation that only the {self.cache} still has"


@dataclass(frozen=True, slots=True)
class HmmRangeMapped(Event):
    """``hmm_range_dma_map`` returned: ``counted`` is its result in pages, ``missing`` have no address in the end."""

    importer: str
    pages: int
    counted: int
    missing: tuple[int, ...]

    def __str__(self) -> str:
        missing = f", without {', '.join(map(str, self.missing))}" if self.missing else ""
        return f"hmm_range_dma_map: {self.counted} of {self.pages}{missing}"


@dataclass(frozen=True, slots=True)
class HmmRangeUnmapped(Event):
    """``hmm_range_dma_unmap`` returned; the pages of ``left`` were never unmapped."""

    importer: str
    pages: int
    left: tuple[int, ...]

    def __str__(self) -> str:
        left = f", and leaves {', '.join(map(str, self.left))}" if self.left else ""
        return f"hmm_range_dma_unmap: {number_of(self.pages, 'page')}{left}"


@dataclass(frozen=True, slots=True)
class OpsSet(Event):
    """``by`` set the callbacks ``functions`` for the vmas of ``file``; ``nobody`` if they were not set."""

    by: str
    file: str
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApertureMade(Event):
    """An exporter's BAR shows its memory through bus addresses ``[base, end)``."""

    exporter: str
    base: Addr
    end: Addr


@dataclass(frozen=True, slots=True)
class SlotTaken(Event):
    """A slot of the exporter's BAR aperture, at bus address ``address``, now shows ``frame``."""

    exporter: str
    slot: int
    frame: str
    address: Addr = 0

    def __str__(self) -> str:
        return f"slot {self.slot} = {self.frame}"


@dataclass(frozen=True, slots=True)
class SlotFreed(Event):
    """A slot of the exporter's BAR aperture shows nothing any more."""

    exporter: str
    slot: int
    frame: str
    address: Addr = 0


@dataclass(frozen=True, slots=True)
class MoveBegun(Event):
    """The exporter is about to move an object: until MoveEnded, ``p2p_map`` must not answer with the old place."""

    exporter: str
    object: str

    def __str__(self) -> str:
        return f"wants to move {self.object}"


@dataclass(frozen=True, slots=True)
class MoveEnded(Event):
    """The object is at its new place."""

    exporter: str
    object: str

    def __str__(self) -> str:
        return f"moved {self.object}"


@dataclass(frozen=True, slots=True)
class Lent(Event):
    """The exporter decided on its answer: an address a page, each at a place: ``bar``, ``iova``, ``ram`` or ``link``."""

    exporter: str
    importer: str
    object: str
    start: Addr
    addresses: tuple[Addr, ...]
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LendingEnded(Event):
    """The exporter removed ``[start, end)`` of this importer from its records."""

    exporter: str
    importer: str
    start: Addr
    end: Addr


@dataclass(frozen=True, slots=True)
class Disaster(Event):
    """A disaster ("really bad") begins: ``unplug``, ``PCI error``, ``GPU hang``, ``suspend`` or ``reset``."""

    exporter: str
    why: str

    def __str__(self) -> str:
        return f"{self.why} of {self.exporter}"


@dataclass(frozen=True, slots=True)
class DeviceGone(Event):
    """From now on nothing answers at the exporter's BAR."""

    exporter: str
    why: str

    def __str__(self) -> str:
        return f"{self.exporter} no longer answers ({self.why})"


@dataclass(frozen=True, slots=True)
class ContentLost(Event):
    """An object is where it was; its bytes are not."""

    exporter: str
    object: str

    def __str__(self) -> str:
        return f"the bytes of {self.object} are lost"


@dataclass(frozen=True, slots=True)
class ObjectDestroyed(Event):
    """An object's memory was freed, even if vmas still show it."""

    exporter: str
    object: str

    def __str__(self) -> str:
        return f"{self.object} is destroyed"


@dataclass(frozen=True, slots=True)
class PermissionChanged(Event):
    """Whether the object may be mapped by other devices was changed after ``mmap``."""

    exporter: str
    object: str
    allowed: bool

    def __str__(self) -> str:
        return f"{self.object} may {'' if self.allowed else 'no longer '}be lent"


@dataclass(frozen=True, slots=True)
class ProtectionChanged(Event):
    """``mprotect`` of ``[start, end)`` returned."""

    mm: str
    start: Addr
    end: Addr
    write: bool

    def __str__(self) -> str:
        return f"{self.mm} made it {'writable' if self.write else 'read-only'}"


@dataclass(frozen=True, slots=True)
class DmaMapped(P2PMapped):
    """The importer has DMA addresses, under a design of today (``dma_map_sgtable``, ``map_dma_buf``, ``hmm_dma_map_pfn``)."""


@dataclass(frozen=True, slots=True)
class DmaUnmapped(P2PUnmapped):
    """The importer gave its DMA addresses back."""


@dataclass(frozen=True, slots=True)
class TopologyChecked(Event):
    """``by`` asked whether the importer reaches the exporter; ``answer`` is the map type, or what a caller made of it."""

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
    """``who`` returned its reference on the page."""

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
class FencesSignalled(Event):
    """The exporter's first wait is over: the fences of the buffer's ``dma_resv`` have signalled."""

    buffer: str

    def __str__(self) -> str:
        return f"all fences of {self.buffer} have signalled"


@dataclass(frozen=True, slots=True)
class UnmapQueued(Event):
    """``who`` queued the work that unmaps the buffer, and does it outside of the callback."""

    who: str
    buffer: str

    def __str__(self) -> str:
        return f"{self.who} queues the work that unmaps {self.buffer}"


@dataclass(frozen=True, slots=True)
class CpuMapped(Event):
    """A fault put a page of the buffer into a process's page table."""

    exporter: str
    buffer: str
    address: Addr

    def __str__(self) -> str:
        return f"the CPU has {self.buffer} at {self.address:#x}"


@dataclass(frozen=True, slots=True)
class CpuZapped(Event):
    """The exporter took the buffer out of every page table."""

    exporter: str
    buffer: str

    def __str__(self) -> str:
        return f"no CPU has {self.buffer} any more"


@dataclass(frozen=True, slots=True)
class RefcountWarned(Event):
    """The kernel's WARN about a reference count that fell below zero."""

    by: str

    def __str__(self) -> str:
        return f"refcount_t: underflow; use-after-free ({self.by})"


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
    """The exporter considers the buffer revoked: from here on no device may reach ``[base, end)`` of its BAR."""

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
TOLD = (
    *("invalidate_range_start", "invalidate", "invalidate_start"),
    *("move_notify", "invalidate_mappings", "release"),
)
