"""Importers of a dma-buf: one whose device can fault, some with fences, some that pin, one that can be revoked once.

Sources: drivers/infiniband/core/umem_dmabuf.c and hw/mlx5/odp.c (faulting, pinned, pinned revocable);
Documentation/driver-api/dma-buf.rst (fences).
"""

from __future__ import annotations

from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.designs.device import ImportingDevice
from p2plab.designs.dma_buf import Attachment, DmaBuf
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.engine import Transfer
from p2plab.p2p.events import UnmapQueued


class DmaBufImporter(ImportingDevice):
    """What all of them have: attach, map under the reservation lock, detach. This one faults and maps again (mlx5)."""

    dynamic = True  #: whether it has ``importer_ops``: without them the core pins for it
    told = True  #: whether they have ``invalidate_mappings`` (before 2026 ``move_notify``)
    allow_peer2peer = True  #: it copes with addresses that have no struct page
    attachment: Attachment | None = None

    async def attach(self, buf: DmaBuf) -> None:
        """Become an importer of the buffer; raises what the exporter says."""
        self.attachment = await buf.attach(self)

    async def map(self, start: int, end: int) -> None:
        """Map and program, all under the reservation lock; before that, wait until nobody moves it (the lock does that)."""
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
    """Works in jobs: each adds a fence, and the callback only marks the mapping; the next job maps anew."""

    stale = False
    adds_fences = True

    async def submit(self, transfer: Transfer) -> None:
        """Submit a job: under the lock, map anew if need be, add a fence, and start."""
        attachment = self.attachment
        assert attachment is not None
        buf = attachment.buf
        async with buf.resv.lock:
            if self.stale:
                await self.drop_stale(attachment)
            if not self.held:  # a job that waits for a mapping has no fence: nobody could wait for it
                await self.program(buf.map_attachment(attachment))
            self.engine.start(transfer)
            if self.adds_fences:
                buf.resv.add_fence(self, transfer)

    async def drop_stale(self, attachment: Attachment) -> None:
        """Under the lock: what was marked goes. No job runs any more, or the exporter would still wait for its fence."""
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
    """As Fencing, and unmaps from a work of its own that the callback queues; until then its device may prefetch.

    The prefetches are speculative reads, without a fence: allowed between the exporter's two waits.
    """

    prefetch = False  #: whether its device prefetches, as a write: a broken one's

    async def invalidate_mappings(self, attachment: Attachment) -> None:
        """Mark, prefetch, queue the work."""
        if self.held and not self.stale:
            self.stale = True
            page = min(self.held)
            self.engine.start(Transfer(page, page + PAGE_SIZE, self.prefetch))
            emit(UnmapQueued(self.name, attachment.buf.name))
            self.map_again()

    async def drop_stale(self, attachment: Attachment) -> None:
        """The prefetches, too: given up, and what is under way lands first."""
        self.stale = False
        self.engine.abort()
        await self.forget()
        attachment.buf.unmap_attachment(attachment)

    async def map(self, start: int, end: int) -> None:
        """The work, and every map: what was marked is unmapped first, then mapped anew."""
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
        """Nothing is taken out of the device, and what is queued stays queued."""
        if self.attachment is not None:
            await self.attachment.buf.detach(self.attachment)


class Revocable(Pinning):
    """Pins, and can be revoked once, for good: -EINVAL for every map after that (ff85a2ebacbd)."""

    told = True
    revoked = False

    async def map(self, start: int, end: int) -> None:
        """As others do, until the revoke."""
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
