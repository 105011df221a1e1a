"""dma-buf: what the dynamic, the pinned and the revocable design share. Buffer, reservation lock, fences, attachments.

Source: drivers/dma-buf/dma-buf.c and include/linux/dma-buf.h of Linux 6.1, 6.12 and 7.3. One buffer only: the order of
several reservation locks (ww_mutex, its acquire context and back-off) is left out, and so is the fence of the move itself.

An exporter that wants all access to end waits twice, and the two waits promise different things (the comment of
``dma_buf_invalidate_mappings``, 7.3). Until the fences have signalled importers have full access; from then until each has
unmapped there are speculative reads at most. An importer with ``invalidate_mappings`` must unmap within bounded time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from p2plab.core.actors import wait_event
from p2plab.core.calls import called
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.locks import Mutex
from p2plab.core.tracked import Tracked
from p2plab.p2p.engine import Transfer
from p2plab.p2p.events import FenceAdded, FencesSignalled

if TYPE_CHECKING:
    from p2plab.designs.importers import DmaBufImporter


class Fence(Tracked):
    """``struct dma_fence`` of one transfer: it has signalled once ``who``'s engine is done with it."""

    def __init__(self, who: DmaBufImporter, transfer: Transfer) -> None:
        self.who = who
        self.transfer = transfer

    def signalled(self) -> bool:
        """Whether the transfer has ended, in whatever way, and its last beat has landed."""
        return self.transfer not in self.who.engine.queue and self.who.engine.in_flight is None


class DmaResv(Tracked):
    """``struct dma_resv``: a lock, and the fences of the buffer's users."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = Mutex(f"{name}.resv")
        self.fences: list[Fence] = []

    def add_fence(self, who: DmaBufImporter, transfer: Transfer) -> None:
        """``dma_resv_add_fence``, with the lock held: it signals when ``who`` has finished the transfer."""
        self.fences = [*(fence for fence in self.fences if not fence.signalled()), Fence(who, transfer)]
        emit(FenceAdded(who.name, self.name))

    def unsignalled(self) -> tuple[str, ...]:
        """The importers whose fences have not signalled."""
        return tuple(fence.who.name for fence in self.fences if not fence.signalled())

    async def wait(self) -> None:
        """``dma_resv_wait_timeout``: until all fences have signalled. No lock is needed for that, and one may be held."""
        await wait_event(lambda: not self.unsignalled(), f"fences of {self.name}", waits_for=self._engines)
        emit(FencesSignalled(self.name))

    def _engines(self) -> tuple[str, ...]:
        return tuple(fence.who.engine.name for fence in self.fences if not fence.signalled())


class Attachment(Tracked):
    """``struct dma_buf_attachment``: one importer on one buffer.

    ``dynamic``: it has ``importer_ops``; without them the core pins for it. ``told``: they have the callback.
    """

    def __init__(self, buf: DmaBuf, importer: DmaBufImporter) -> None:
        self.buf = buf
        self.importer = importer
        self.dynamic = importer.dynamic
        self.told = importer.told
        self.peer2peer = importer.allow_peer2peer
        self.pinned = False

    @property
    def revocable(self) -> bool:
        """``dma_buf_attach_revocable``: whether its importer has ``invalidate_mappings``."""
        return bool(self.told)


class DmaBuf(Tracked):
    """``struct dma_buf``. ``callback``: the name of the importer's callback in the kernel of that design.

    ``pins_at_map``: whether an importer without callbacks gets its pin with each map (``dma_buf_pin_on_map``, v6.15), or
    once, until it detaches.
    """

    def __init__(self, exporter: Any, callback: str = "invalidate_mappings", pins_at_map: bool = True) -> None:
        self.name = "A"
        self.exporter = exporter
        self.callback = callback
        self.pins_at_map = pins_at_map
        self.resv = DmaResv("A")
        self.attachments: list[Attachment] = []

    async def attach(self, importer: DmaBufImporter) -> Attachment:
        """``dma_buf_dynamic_attach``; raises what the exporter's ``attach`` says.

        For an importer without callbacks the buffer is pinned here, in kernels that do not do so at map (they map it here,
        too, and keep that).
        """
        attachment = Attachment(self, importer)
        with called(self.exporter.name, "attach", importer.name, caller=importer.name):
            self.exporter.attach(attachment)
        if not attachment.dynamic and not self.pins_at_map:
            async with self.resv.lock:
                self.pin(attachment)
        self.attachments.append(attachment)
        return attachment

    def pin(self, attachment: Attachment) -> None:
        """``dma_buf_pin``, with the lock held: the exporter must not move it, for as long as it is pinned."""
        with self._calls("pin", attachment):
            self.exporter.pin(attachment)
        attachment.pinned = True

    def unpin(self, attachment: Attachment) -> None:
        """``dma_buf_unpin``, with the lock held."""
        with self._calls("unpin", attachment):
            attachment.pinned = False

    def map_attachment(self, attachment: Attachment) -> tuple[int, ...]:
        """``dma_buf_map_attachment``, with the lock held: an address a page."""
        pins = self.pins_at_map and not attachment.dynamic and not attachment.pinned
        if pins:
            self.pin(attachment)
        with self._calls("map_dma_buf", attachment):
            addresses: tuple[int, ...] = self.exporter.map_dma_buf(attachment)
        attachment.importer.has(addresses)
        return addresses

    def unmap_attachment(self, attachment: Attachment) -> None:
        """``dma_buf_unmap_attachment``, with the lock held. Nothing if nothing is mapped."""
        if attachment.importer.held:
            with self._calls("unmap_dma_buf", attachment):
                attachment.importer.gives_back()
                self.exporter.unmap_dma_buf(attachment)
            if self.pins_at_map and not attachment.dynamic and attachment.pinned:
                self.unpin(attachment)

    async def invalidate_mappings(self) -> None:
        """``dma_buf_invalidate_mappings`` (before 2026 ``dma_buf_move_notify``), lock held: call importers with a callback."""
        for attachment in list(self.attachments):
            if attachment.told:
                with called(attachment.importer.name, self.callback, self.name, caller=self.exporter.name):
                    await attachment.importer.invalidate_mappings(attachment)

    async def detach(self, attachment: Attachment) -> None:
        """``dma_buf_detach``: unmapped, unpinned, and no longer called."""
        async with self.resv.lock:
            self.unmap_attachment(attachment)
            if attachment.pinned:
                self.unpin(attachment)
            self.attachments.remove(attachment)

    def pinned(self) -> tuple[str, ...]:
        """The importers for which it is pinned."""
        return tuple(attachment.importer.name for attachment in self.attachments if attachment.pinned)

    @contextmanager
    def _calls(self, function: str, attachment: Attachment) -> Iterator[None]:
        with called(self.exporter.name, function, attachment.importer.name, caller=attachment.importer.name):
            if self.resv.lock.owner is None:
                raise KernelError("EINVAL", f"{function} without {self.resv.lock.name}")
            yield
