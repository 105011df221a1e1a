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
class P2PMapped(Event):
    """``p2p_map`` said yes: one DMA address for each page of ``[start, end)``, and the frame behind each."""

    importer: str
    exporter: str
    start: Addr
    end: Addr
    write: bool
    addresses: tuple[Addr, ...]
    frames: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.importer} has {self.frames[0]}..{self.frames[-1]} at {self.addresses[0]:#x}"


@dataclass(frozen=True, slots=True)
class P2PMapFailed(Event):
    """``p2p_map`` said no."""

    importer: str
    exporter: str
    start: Addr
    end: Addr
    errno: str

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
class SlotTaken(Event):
    """A slot of the exporter's BAR aperture now shows ``frame``."""

    exporter: str
    slot: int
    frame: str

    def __str__(self) -> str:
        return f"slot {self.slot} = {self.frame}"


@dataclass(frozen=True, slots=True)
class SlotFreed(Event):
    """A slot of the exporter's BAR aperture shows nothing any more."""

    exporter: str
    slot: int
    frame: str


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

    def __str__(self) -> str:
        what = "writes" if self.write else "reads"
        return f"{what} {self.frame or 'nothing'}{f' of {self.owner}' if self.owner else ''}"
