"""The importing device under the designs of today, and importers of a dma-buf.

One importer's device can fault; some have fences, some pin, one can be revoked once.

Sources: drivers/infiniband/core/umem_dmabuf.c and hw/mlx5/odp.c (faulting, pinned, pinned revocable);
Documentation/driver-api/dma-buf.rst (fences).
"""

from __future__ import annotations

from typing import Any

from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.designs.dma_buf import Attachment, DmaBuf
from p2plab.designs.memory import END, START, VmaStandIn
from p2plab.mm import PAGE_SIZE
from p2plab.p2p.contract import Grant
from p2plab.p2p.engine import Transfer
from p2plab.p2p.events import DmaMapped, DmaUnmapped, UnmapQueued
from p2plab.p2p.mapper import Mapper


class ImportingDevice(Mapper):
    """A device that writes to the process's range. ``map_again`` is what its page fault does, if it has one."""

    drains = True  #: whether it waits for a beat under way before it says that it is done
    space = "dma-buf"  #: the process whose notifier ends its mappings, if one does
    exporter: Any = None  #: set by the design

    async def listen(self, start: int, end: int) -> None:
        """Nothing to listen to, except in a design with a notifier."""

    def has(self, addresses: tuple[int, ...], start: int = START) -> None:
        """Within the running step: these are its DMA addresses now."""
        thing = self.exporter.buffer
        window: Any = VmaStandIn(self.exporter, thing)  # stands in for a vma, which these designs do not need
        pages = [start + number * PAGE_SIZE for number in range(len(addresses))]
        for page, address in zip(pages, addresses, strict=True):
            self.held[page] = Grant(window, page, address)
        frames = tuple(thing.frame_name(window.pgoff_of(page)) for page in pages)
        end = pages[-1] + PAGE_SIZE
        emit(DmaMapped(self.name, self.exporter.name, start, end, True, addresses, frames, self.space))

    async def program(self, addresses: tuple[int, ...], start: int = START) -> None:
        """Write the translations into the device."""
        await self.engine.program(start, addresses)

    async def forget(self, start: int = START, end: int = END) -> None:
        """Translations out, and what is under way to the range lands before this returns."""
        await self.engine.clear(start, end)
        if self.drains:
            await self.engine.drain(start, end)

    def gives_back(self, start: int = START, end: int = END) -> None:
        """Within the running step: it has no DMA addresses of the range any more."""
        mine = [page for page in sorted(self.held) if start <= page < end]
        if mine:
            addresses = tuple(self.held.pop(page).address for page in mine)
            emit(DmaUnmapped(self.name, self.exporter.name, mine[0], mine[-1] + PAGE_SIZE, addresses))

    async def let_go(self, start: int, end: int) -> None:
        """Translations out, what is under way lands, DMA addresses back."""
        await self.forget(start, end)
        self.gives_back(start, end)


class DmaBufImporter(ImportingDevice):
    """What all of them have: attach, map under the reservation lock, detach. This one faults and maps again (mlx5)."""

    dynamic = True  #: whether it has ``importer_ops``: without them the core pins for it
    told = True  #: whether they have ``invalidate_mappings`` (before 2026 ``move_notify``)
    allow_peer2peer = True  #: whether it can use addresses without struct page
    attachment: Attachment | None = None

    async def attach(self, buf: DmaBuf) -> None:
        """Become an importer of the buffer; raises what the exporter says."""
        self.attachment = await buf.attach(self)

    async def map(self, start: int, end: int) -> None:
        """Map and program, all under the reservation lock; the lock also waits for a move to end."""
        if self.attachment is None:
            return
        buf = self.attachment.buf
        async with buf.resv.lock:
            if self.attachment is None or self.closed or self.held:
                return
            await self.program(buf.map_attachment(self.attachment))

    async def invalidate_mappings(self, attachment: Attachment) -> None:
        """Under the lock: zap the device's translations, then unmap; a page fault maps again (``umem_dmabuf.c``)."""
        if attachment.importer.held:
            await self.forget()
            attachment.buf.unmap_attachment(attachment)
            self.map_again()

    async def unmap(self, start: int, end: int) -> None:
        """The user gives the memory region back."""
        self.closed = True
        attachment = self.attachment
        if attachment is None:
            return
        async with attachment.buf.resv.lock:
            self.engine.abort()
            await self.forget()
            attachment.buf.unmap_attachment(attachment)
        await attachment.buf.detach(attachment)
        self.attachment = None


class Fencing(DmaBufImporter):
    """Works in jobs: each adds a fence, and the callback only marks the mapping; the next job maps again."""

    stale = False
    adds_fences = True

    async def submit(self, transfer: Transfer) -> None:
        """Submit a job: under the lock, map again if necessary, add a fence, and start."""
        attachment = self.attachment
        assert attachment is not None
        buf = attachment.buf
        async with buf.resv.lock:
            if self.stale:
                await self.drop_stale(attachment)
            if not self.held:  # a job that waits for a mapping has no fence: waiting for it could take for ever
                await self.program(buf.map_attachment(attachment))
            self.engine.start(transfer)
            if self.adds_fences:
                buf.resv.add_fence(self, transfer)

    async def drop_stale(self, attachment: Attachment) -> None:
        """Under the lock: unmap what was marked. No job runs any more, or the exporter would still wait for its fence."""
        self.stale = False
        self.engine.clear_now(min(self.held), max(self.held) + 1)
        attachment.buf.unmap_attachment(attachment)

    async def invalidate_mappings(self, attachment: Attachment) -> None:
        """Do not use it for another job: the running one is waited for, by its fence."""
        self.stale = bool(self.held)


class NoFence(Fencing):
    """Starts its job, and adds no fence."""

    adds_fences = False


class NoZap(DmaBufImporter):
    """Unmaps in the callback, but leaves a beat that is under way alone."""

    drains = False


class Keeps(DmaBufImporter):
    """Hears the callback and does nothing."""

    async def invalidate_mappings(self, attachment: Attachment) -> None:
        """Not heard."""


class UnmapsLater(Fencing):
    """As Fencing, but unmaps from a work item that the callback queues; until then its device may prefetch.

    The prefetches are speculative reads, without a fence: allowed between the exporter's two waits.
    """

    prefetch = False  #: whether its device prefetches by a write: that of a broken one

    async def invalidate_mappings(self, attachment: Attachment) -> None:
        """Mark, prefetch, queue the work."""
        if self.held and not self.stale:
            self.stale = True
            page = min(self.held)
            self.engine.start(Transfer(page, page + PAGE_SIZE, self.prefetch))
            emit(UnmapQueued(self.name, attachment.buf.name))
            self.map_again()

    async def drop_stale(self, attachment: Attachment) -> None:
        """The prefetches, too: cancelled, and what is under way lands first."""
        self.stale = False
        self.engine.abort()
        await self.forget()
        attachment.buf.unmap_attachment(attachment)

    async def map(self, start: int, end: int) -> None:
        """The work item, and every map: what was marked is unmapped first, then mapped again."""
        if self.attachment is None:
            return
        buf = self.attachment.buf
        async with buf.resv.lock:
            if self.attachment is None or self.closed:
                return
            if self.stale:
                await self.drop_stale(self.attachment)
            if not self.held:
                await self.program(buf.map_attachment(self.attachment))


class PrefetchesWrites(UnmapsLater):
    """Its device writes between the two waits."""

    prefetch = True


class NeverUnmaps(Fencing):
    """Marks, and leaves the unmap to the next job, which may never come."""


class Pinning(DmaBufImporter):
    """An RDMA memory region without page faults: pins when it is set up (``ib_umem_dmabuf_get_pinned``), and cannot stop."""

    told = False

    async def attach(self, buf: DmaBuf) -> None:
        """Attach, and pin at once; a pin that is refused detaches."""
        attachment = await buf.attach(self)
        try:
            async with buf.resv.lock:
                buf.pin(attachment)
        except KernelError:
            await buf.detach(attachment)
            raise
        self.attachment = attachment

    async def invalidate_mappings(self, attachment: Attachment) -> None:
        """Never called: there is nothing to call."""


class Static(DmaBufImporter):
    """Has no ``importer_ops``: the core pins for it, and it gets no peer to peer (``dma_buf_attach``)."""

    dynamic = False
    told = False
    allow_peer2peer = False

    async def invalidate_mappings(self, attachment: Attachment) -> None:
        """Never called: there is nothing to call."""


class StaysMapped(Pinning):
    """Does not wait for its device: it unpins and detaches while a transfer runs."""

    async def dma(self, transfer: Transfer) -> None:
        """Ring the doorbell, and go on."""
        self.engine.start(transfer)

    async def unmap(self, start: int, end: int) -> None:
        """The device keeps its translations, and what is queued stays queued."""
        if self.attachment is not None:
            await self.attachment.buf.detach(self.attachment)


class Revocable(Pinning):
    """Pins, and can be revoked once, for good: -EINVAL for every map after that (ff85a2ebacbd)."""

    told = True
    revoked = False

    async def map(self, start: int, end: int) -> None:
        """As others do, before the revoke."""
        if self.revoked:
            raise KernelError("EINVAL", f"{self.name} was revoked: it has to be set up anew")
        await super().map(start, end)

    async def invalidate_mappings(self, attachment: Attachment) -> None:
        """Drop everything; what is queued completes with an error."""
        self.revoked = self.dead = True
        self.engine.abort()
        await self.forget()
        attachment.buf.unmap_attachment(attachment)


class NoPeer(DmaBufImporter):
    """Needs struct pages, and does not set ``allow_peer2peer``."""

    allow_peer2peer = False
