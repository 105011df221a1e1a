"""What an exporter does with its aperture and its objects, and what befalls it, as events of the log."""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.core.events import Addr, Event


@dataclass(frozen=True, slots=True)
class OpsSet(Event):
    """``by`` set the callbacks ``functions`` for the vmas of ``file``; ``nobody`` where nobody did."""

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
    """The exporter struck ``[start, end)`` of this importer out of its books."""

    exporter: str
    importer: str
    start: Addr
    end: Addr


@dataclass(frozen=True, slots=True)
class Disaster(Event):
    """Something really bad begins: ``unplug``, ``PCI error``, ``GPU hang``, ``suspend`` or ``reset``."""

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
    """An object's memory was freed, whatever vmas still show it."""

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
