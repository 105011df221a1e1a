"""What happens between exporters, importers and their devices, as events of the log.

``frame`` is a name for what stands behind an address: ``A[2]`` is page 2 of object A; empty means that nothing does.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.core.events import Addr, Event


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

    ``shows`` is the frame that each address stood for when it was returned, empty for none; () where no bus is modelled.
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
        return f"{self.importer} gave {len(self.addresses)} pages back"


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
    """It arrived. ``frame`` is what stood behind the address then; ``owner`` whose memory that is.

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

    def __str__(self) -> str:
        what = "writes" if self.write else "reads"
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


@dataclass(frozen=True, slots=True)
class HmmRangeMapped(Event):
    """``hmm_range_dma_map`` returned: ``counted`` pages by its own count, ``missing`` have no address in the end."""

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
        return f"hmm_range_dma_unmap: {self.pages} pages{left}"
