"""A VFIO device's BAR as a dma-buf: it never moves, it is revoked (reset, D3, memory disabled, close), and may come back.

Source: drivers/vfio/pci/vfio_pci_dmabuf.c as posted in 2025 and 2026 (v9 20251120-dmabuf-vfio-v9-0-d7f71607f371@nvidia.com;
20260131-dmabuf-revoke-v7; 6ffe939bf94f: VFIO waits for pinned importers; ff85a2ebacbd: pinned revocable RDMA).
"""

from __future__ import annotations

from typing import Any, ClassVar

from p2plab.core.actors import step, wait_event
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.locks import RWLock
from p2plab.core.scenario import Role
from p2plab.designs.dma_buf import Attachment, DmaBuf
from p2plab.designs.dma_buf_dynamic import DMA_BUF_ROLES, DmaBufPlay
from p2plab.designs.importers import DmaBufImporter, Keeps, NoPeer, NoZap, Pinning, Revocable
from p2plab.designs.stage import Holder
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.exporter_events import Disaster
from p2plab.p2p.today_events import Pinned, Restored, RevokedNow, TopologyChecked
from p2plab.pci import MapType


class VfioPci(Holder):
    """``vfio_pci_core_device``: ``memory_lock``, and the flag ``revoked`` of its buffer."""

    revoked = False
    tells = True

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.memory_lock = RWLock("gpu.memory_lock")

    def attach(self, attachment: Attachment) -> None:
        """``vfio_pci_dma_buf_attach``: -EOPNOTSUPP without peer to peer, -ENODEV while revoked."""
        if not attachment.peer2peer:
            raise KernelError("EOPNOTSUPP", f"{attachment.importer.name} does not set allow_peer2peer")
        if self.revoked or self.full:
            raise KernelError("ENODEV", "the BAR's memory is not enabled")

    def pin(self, attachment: Attachment) -> None:
        """``vfio_pci_dma_buf_pin``: only an importer that can be revoked may pin (2026; before, nobody)."""
        if not attachment.revocable:
            raise KernelError("EOPNOTSUPP", f"{attachment.importer.name} cannot be revoked")
        emit(Pinned(attachment.importer.name, "A", "vram"))

    def map_dma_buf(self, attachment: Attachment) -> tuple[int, ...]:
        """``vfio_pci_dma_buf_map``: -ENODEV while revoked; -EINVAL where ``pci_p2pdma_map_type`` is not supported."""
        if self.revoked:
            raise KernelError("ENODEV", "the buffer is revoked")
        kind = self.map_type(attachment.importer.peer)
        emit(TopologyChecked("pci_p2pdma_map_type", attachment.importer.name, str(kind)))
        if kind is MapType.NOT_SUPPORTED:
            raise KernelError("EINVAL", f"{attachment.importer.name} does not reach the BAR")
        return self.addresses()

    async def dma_buf_move(self, buf: DmaBuf) -> None:
        """``vfio_pci_dma_buf_move(vdev, true)``, under ``memory_lock``: revoked before told, then wait until it is unmapped."""
        async with buf.resv.lock:
            self.revoked = True
            if self.tells:
                await buf.move_notify()
                await buf.resv.wait()
        if self.tells:
            await wait_event(lambda: not _mapped(buf), "importers have unmapped", waits_for=lambda: _mapped(buf))
        slots = [slot for slot in self.aperture.slots_of(self.buffer) if slot is not None]
        await step("A is revoked", lambda: self._revoked(slots))

    def _revoked(self, slots: list[int]) -> None:
        base, last = self.aperture.address(slots[0]), self.aperture.address(slots[-1])
        emit(RevokedNow(self.name, "A", base, last + PAGE_SIZE))

    async def reset(self, buf: DmaBuf, for_good: bool) -> None:
        """A function-level reset: revoke, reset, and allow maps again unless memory stays disabled. Nothing moves."""
        async with self.memory_lock.write():
            await self.dma_buf_move(buf)
            await step("resets", duration=4)
            if not for_good:
                async with buf.resv.lock:
                    self.revoked = False
                    emit(Restored(self.name, "A"))
                    await buf.move_notify()

    async def dma_buf_cleanup(self, buf: DmaBuf) -> None:
        """``vfio_pci_dma_buf_cleanup``: revoked for good, then the device may go."""
        async with self.memory_lock.write():
            emit(Disaster(self.name, "unplug"))
            await self.dma_buf_move(buf)
            await step("gpu goes", lambda: self.power_off("unplug"))


class SilentVfio(VfioPci):
    """Revokes, and tells nobody."""

    tells = False


def _mapped(buf: DmaBuf) -> tuple[str, ...]:
    return tuple(attachment.importer.name for attachment in buf.attachments if attachment.importer.held)


class VfioDmaBuf(DmaBufPlay):
    """The step list with a guest's device as exporter: its user resets it, which is how it wants its memory back."""

    roles = DMA_BUF_ROLES | {"exporter": Role({"VFIO exporter": VfioPci}, knob="exporter")}

    importers: ClassVar[dict[str, type[Any]]] = {
        "good": DmaBufImporter,
        "revocable": Revocable,
        "no-peer": NoPeer,
        "cannot-stop": Pinning,
        "keeps": Keeps,
        "broken": NoZap,
    }
    exporters: ClassVar[dict[str, type[Any]]] = {"good": VfioPci, "broken": SilentVfio}
    exporter: VfioPci

    callback = "invalidate_mappings"

    def out_of_room(self) -> None:
        """Memory is disabled."""
        self.gpu.full = True

    async def take_back(self, first: int, last: int) -> None:
        """Reset: all buffers of the device are revoked, whole."""
        await self.gpu.reset(self.buf, self.later)

    async def unplug(self) -> None:
        """The device's file is closed by its removal."""
        await self.gpu.dma_buf_cleanup(self.buf)
