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
from p2plab.designs import sources
from p2plab.designs.design import COMMON, GPU, GUEST, KERNEL, NVME, ODP, STOPS, Answer, Design, Fate
from p2plab.designs.dma_buf import Attachment, DmaBuf
from p2plab.designs.dma_buf_dynamic import DMA_BUF_ROLES, DmaBufPlay
from p2plab.designs.importers import DmaBufImporter, Keeps, NoPeer, NoZap, Pinning, Revocable
from p2plab.designs.memory import Holder
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import Disaster, Pinned, Restored, RevokedNow, TopologyChecked
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


DESIGN = Design(
    name="vfio-dma-buf",
    title="VFIO dma-buf with revoke",
    years="6.19, pinned revocable 2026",
    kernel="v6.19, and as posted in 2026",
    play=VfioDmaBuf,
    source="20251120-dmabuf-vfio-v9; 20260131-dmabuf-revoke-v7; 6ffe939bf94f",
    simplified="the wait for pinned importers has no time-out (the kernel warns after 1 s and waits on).",
    rules=(*COMMON, "fences-waited", "resv-held", "silent-after-revoke"),
    good=("good", "revocable"),
    faulty={"importer=broken": "no-stale-dma", "exporter=broken": "silent-after-revoke"},
    answers={
        "exporter object": Answer("dma_buf over BAR ranges + p2pdma_provider", sources.VFIO),
        "importer handle": Answer("attachment", sources.VFIO),
        "learns of a move by": Answer("move_notify / invalidate_mappings", sources.REVOKE),
        "exporter may refuse": Answer("attach, map", sources.VFIO),
        "importer may keep it": Answer(
            "no; pinned revocable must still drop",
            sources.REVOKE,
            "it may not; but since 6ffe939bf94f VFIO waits for it: 1 s, a WARN, then on",
        ),
        "callback may sleep": Answer("yes", sources.VFIO),
        "lock around callback": Answer("memory_lock + dma_resv", sources.VFIO),
        "lock around map": Answer("dma_resv", sources.VFIO),
        "move while mapped": Answer("no move; revoke (whole)", sources.VFIO),
        "cannot fault or stop": Answer("first excluded, 2026 pinned revocable", sources.REVOKE),
        "where failure shows": Answer(
            "-EOPNOTSUPP, -ENODEV", sources.VFIO, "and -EINVAL at map where the importer is out of reach"
        ),
        "struct page needed": Answer("no", sources.VFIO),
        "topology check": Answer(
            "pci_p2pdma_map_type at attach/map",
            sources.VFIO,
            "attach asks only for peer2peer; the map type is asked at map (as posted in v9)",
        ),
        "lifetime": Answer("file ref + revoke flag", sources.VFIO),
        "predictability promise": Answer("revoke once, or restore after reset", sources.REVOKE),
        "granularity of a take-back": Answer("whole buffer", sources.VFIO),
    },
    fates={
        ODP: Fate("move", "as any dynamic importer", "20251120-dmabuf-vfio-v9"),
        STOPS: Fate("revocable", "pins, and is revoked once", "ff85a2ebacbd"),
        NVME: Fate("", "the block layer imports no dma-buf", "20251120-dmabuf-vfio-v9"),
        GUEST: Fate("revocable", "iommufd drops its mapping when it is revoked", "20260131-dmabuf-revoke-v7"),
        GPU: Fate("move", "as any dynamic importer", "20251120-dmabuf-vfio-v9"),
        KERNEL: Fate("move", "an attachment needs no process", "20251120-dmabuf-vfio-v9"),
    },
)
