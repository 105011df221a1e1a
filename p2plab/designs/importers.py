"""Importers of a dma-buf: one whose device can fault, one with fences, one that pins, one that can be revoked once.

Sources: drivers/infiniband/core/umem_dmabuf.c and hw/mlx5/odp.c (faulting, pinned, pinned revocable);
Documentation/driver-api/dma-buf.rst (fences).
"""

from __future__ import annotations

from p2plab.core.errors import KernelError
from p2plab.designs.device import ImportingDevice
from p2plab.designs.dma_buf import Attachment, DmaBuf
from p2plab.p2p.engine import Transfer


class DmaBufImporter(ImportingDevice):
    """What all of them have: attach, map under the reservation lock, detach. This one faults and maps again (mlx5)."""

    dynamic = True  #: whether it has a move callback
    allow_peer2peer = True  #: it copes with addresses that have no struct page
    revocable = False  #: it holds a pin, and still lets go when it is told to
    attachment: Attachment | None = None

    async def attach(self, buf: DmaBuf) -> None:
        """Become an importer of the buffer; raises what the exporter says."""
        self.attachment = await buf.attach(self)

    async def map(self, start: int, end: int) -> None:
        """Map and program, all under the reservation lock; before that, wait for whoever moves it (the lock does)."""
        if self.attachment is None:
            return
        buf = self.attachment.buf
        async with buf.resv.lock:
            if self.attachment is None or self.closed or self.held:
                return
            await self.program(buf.map_attachment(self.attachment))

    async def move_notify(self, attachment: Attachment) -> None:
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
                self.stale = False
                self.engine.clear_now(min(self.held), max(self.held) + 1)
                buf.unmap_attachment(attachment)
                await self.program(buf.map_attachment(attachment))
            if self.adds_fences:
                buf.resv.add_fence(self)
            self.engine.start(transfer)

    async def move_notify(self, attachment: Attachment) -> None:
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

    async def move_notify(self, attachment: Attachment) -> None:
        """Not heard."""


class Pinning(DmaBufImporter):
    """Has no callback: the buffer is pinned for it when it attaches (``dma_buf_attach``). It cannot stop its device."""

    dynamic = False

    async def move_notify(self, attachment: Attachment) -> None:
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


class Revocable(DmaBufImporter):
    """Pins, and can be revoked once, for good: -EINVAL for every map after that (ff85a2ebacbd)."""

    revocable = True
    revoked = False

    async def attach(self, buf: DmaBuf) -> None:
        """Attach, and pin at once."""
        attachment = await buf.attach(self)
        async with buf.resv.lock:
            buf.pin(attachment)
        self.attachment = attachment

    async def map(self, start: int, end: int) -> None:
        """As others do, until the revoke."""
        if self.revoked:
            raise KernelError("EINVAL", f"{self.name} was revoked: it has to be set up anew")
        await super().map(start, end)

    async def move_notify(self, attachment: Attachment) -> None:
        """Drop everything; what is queued completes with an error."""
        self.revoked = self.dead = True
        self.engine.abort()
        await self.forget()
        attachment.buf.unmap_attachment(attachment)


class NoPeer(DmaBufImporter):
    """Needs struct pages, and does not set ``allow_peer2peer``."""

    allow_peer2peer = False
