"""What dma-buf promises: fences are waited for, the reservation lock is held, unmaps come in time, a revoke means silence."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.calls import Called, Returned
from p2plab.core.events import Entry
from p2plab.core.locks import LockAcquired, LockReleased
from p2plab.core.monitor import Finding
from p2plab.mm.log import NotifierEnd
from p2plab.p2p.events import (
    TOLD,
    BeatIssued,
    BeatLanded,
    CpuMapped,
    CpuZapped,
    DeviceGone,
    FenceAdded,
    FencesSignalled,
    P2PMapped,
    P2PUnmapped,
    PageMoved,
    Restored,
    RevokedNow,
    SlotFreed,
    TransferEnded,
    UnmapQueued,
)
from p2plab.p2p.memory import RAM_BASE
from p2plab.rules.base import Rule

#: The calls that are made with the buffer's reservation lock held.
UNDER_RESV = ("map_dma_buf", "unmap_dma_buf", "move_notify", "invalidate_mappings", "pin", "unpin")


class FencesWaited(Rule):
    """The importers with unsignalled fences in the buffer's reservation object, and where its addresses begin."""

    name = "fences-waited"
    kind = "design"
    promise = "a buffer's memory is used for something else only after all fences of its importers have signalled"
    source = "include/linux/dma-buf.h (move_notify: mappings stay valid until the importer's fences)"
    stated = True
    years = "now"

    def __init__(self) -> None:
        super().__init__()
        self.open: frozenset[str] = frozenset()
        self.at: dict[str, int] = {}

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, P2PMapped):
            self.at[event.importer] = min(event.addresses)
        elif isinstance(event, FenceAdded):
            self.exercised = True
            self.open |= {event.who}
        elif isinstance(event, TransferEnded):
            self.open -= {event.importer}
        elif isinstance(event, (SlotFreed, DeviceGone)):
            yield from self._taken(entry, event.exporter, RAM_BASE, below=True)
        elif isinstance(event, PageMoved):
            yield from self._taken(entry, event.by, RAM_BASE, below=False)

    def _taken(self, entry: Entry, exporter: str, border: int, below: bool) -> Iterator[Finding]:
        waited_for = sorted(who for who in self.open if (self.at.get(who, 0) < border) is below)
        if waited_for:
            yield self.broken(entry, exporter, f"{exporter} does not wait for the fence of {', '.join(waited_for)}")


class ResvHeld(Rule):
    """Per actor: the reservation locks that it holds."""

    name = "resv-held"
    kind = "design"
    promise = "map, unmap, pin and the move callback are called with the buffer's dma_resv held"
    source = "drivers/dma-buf/dma-buf.c (dma_resv_assert_held)"
    stated = True
    years = "now"

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, int] = {}

    def see(self, entry: Entry) -> Iterator[Finding]:
        event, actor = entry.event, entry.actor
        if isinstance(event, LockAcquired) and event.lock.endswith(".resv"):
            self.held[actor] = self.held.get(actor, 0) + 1
        elif isinstance(event, LockReleased) and event.lock.endswith(".resv"):
            self.held[actor] = self.held.get(actor, 0) - 1
        elif isinstance(event, Called) and event.function in UNDER_RESV:
            self.exercised = True
            if not self.held.get(actor):
                what = f"{event.caller} calls {event.function} without the buffer's dma_resv"
                yield self.broken(entry, event.caller, what)


class SilentAfterRevoke(Rule):
    """The revoked range of the BAR, and which importers were notified."""

    name = "silent-after-revoke"
    kind = "design"
    promise = "from the return of a revoke until the buffer is restored, no device reaches what was revoked"
    source = "20260131-dmabuf-revoke-v7; 1a8a5227f229 (VFIO waits)"
    stated = True
    years = "now"

    def __init__(self) -> None:
        super().__init__()
        self.revoked: tuple[int, int, str] | None = None
        self.told: frozenset[str] = frozenset()

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, Called) and event.function in TOLD:
            self.told |= {event.target}
        elif isinstance(event, P2PMapped):
            self.told -= {event.importer}
        elif isinstance(event, RevokedNow):
            self.exercised = True
            self.revoked = (event.base, event.end, event.exporter)
        elif isinstance(event, Restored):
            self.revoked = None
        elif isinstance(event, (BeatIssued, BeatLanded)) and self.revoked is not None:
            base, end, exporter = self.revoked
            if base <= event.address < end:
                culprit = event.importer if event.importer in self.told else exporter
                what = f"{event.importer} reaches {event.address:#x}, which {exporter} revoked"
                yield self.broken(entry, culprit, what)


class BoundedUnmap(Rule):
    """The importers that have the buffer mapped, and those that have queued the work that unmaps it."""

    name = "bounded-unmap"
    kind = "design"
    promise = "when the callback returns, the importer has unmapped or has queued the work that will"
    source = "drivers/dma-buf/dma-buf.c (dma_buf_invalidate_mappings: the unmap comes in bounded time)"
    stated = True
    inferred = "has queued the work"
    years = "now"

    def __init__(self) -> None:
        super().__init__()
        self.mapped: frozenset[str] = frozenset()
        self.queued: frozenset[str] = frozenset()

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, P2PMapped):
            self.mapped |= {event.importer}
        elif isinstance(event, P2PUnmapped):
            self.mapped -= {event.importer}
            self.queued -= {event.importer}
        elif isinstance(event, UnmapQueued):
            self.queued |= {event.who}
        elif type(event) is Returned and event.function == "invalidate_mappings":
            self.exercised = True
            if event.target in self.mapped - self.queued:
                what = f"{event.target} was notified, has returned from {event.function}, and will not unmap by itself"
                yield self.broken(entry, event.target, what)


class ReadsOnly(Rule):
    """The importers that were notified and have not unmapped; whether the exporter's first wait is over."""

    name = "reads-only"
    kind = "design"
    promise = "between the fences and the unmap an importer reads at most: its writes have ended"
    source = "drivers/dma-buf/dma-buf.c (dma_buf_invalidate_mappings: speculative reads)"
    stated = True
    years = "now"

    def __init__(self) -> None:
        super().__init__()
        self.told: frozenset[str] = frozenset()
        self.ended: frozenset[str] = frozenset()

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, Called) and event.function == "invalidate_mappings":
            self.told |= {event.target}
        elif isinstance(event, (P2PMapped, P2PUnmapped)):
            self.told -= {event.importer}
            self.ended -= {event.importer}
        elif isinstance(event, FencesSignalled):
            self.ended |= self.told
        elif isinstance(event, BeatLanded) and event.importer in self.ended:
            self.exercised = True
            if event.write:
                what = f"{event.importer} writes to {event.address:#x} after the fences have signalled"
                yield self.broken(entry, event.importer, what)


class CpuSilentAfterRevoke(Rule):
    """Whether a page table shows the buffer, and whether it is revoked."""

    name = "cpu-silent-after-revoke"
    kind = "design"
    promise = "from the return of a revoke until the buffer is restored, no page table shows it"
    source = "20260527102319.100128-9-mattev@meta.com"
    stated = True
    years = "now"

    def __init__(self) -> None:
        super().__init__()
        self.shown = False
        self.revoked = False

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, CpuMapped):
            self.exercised = self.shown = True
            if self.revoked:
                yield self.broken(
                    entry, event.exporter, f"{event.exporter} maps {event.buffer} for the CPU, and it is revoked"
                )
        elif isinstance(event, CpuZapped):
            self.shown = False
        elif isinstance(event, NotifierEnd) and event.event == "UNMAP":
            self.shown = False  # the process unmapped it
        elif isinstance(event, RevokedNow):
            self.revoked = True
            if self.shown:
                yield self.broken(
                    entry, event.exporter, f"{event.exporter} revoked {event.buffer}, and a page table shows it"
                )
        elif isinstance(event, Restored):
            self.revoked = False
