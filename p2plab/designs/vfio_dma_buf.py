"""A VFIO device's BAR as a dma-buf: it never moves, it is revoked (reset, D3, memory disabled, close), and may come back.

Source: drivers/vfio/pci/vfio_pci_dmabuf.c. In 6.19 (v9, 20251120-dmabuf-vfio-v9-0-d7f71607f371@nvidia.com) a revoke called
the importers and went on, and no importer could pin. The series of January 2026 (20260131-dmabuf-revoke-v7) made it wait:
1a8a5227f229 for the fences and then, a second long and with a WARN, until all have unmapped; 6ffe939bf94f removed the time
limit, and moved the refusal from pin to attach (``dma_buf_attach_revocable``). ff85a2ebacbd: pinned revocable RDMA.

The wait is a reference count and a completion: the exporter has one reference, and each mapping one. As merged,
``vfio_pci_dma_buf_cleanup`` put and waited again after a revoke that had done both, and slept for ever. Fixes: 1a8a5227f229,
posted in three ways (the first 20260416131815.2729131-2-mattev@meta.com); merged was
20260507143548.1018405-1-alex.williamson@nvidia.com, which re-arms both after each revoke.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from p2plab.core.actors import step, wait_event
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.locks import RWLock
from p2plab.core.scenario import Role
from p2plab.designs import sources
from p2plab.designs.cases import design_case
from p2plab.designs.design import COMMON, GPU, GUEST, KERNEL, NVME, ODP, STOPS, Answer, Design, Fate
from p2plab.designs.dma_buf import Attachment, DmaBuf
from p2plab.designs.dma_buf_dynamic import DMA_BUF_ROLES, DmaBufPlay
from p2plab.designs.importers import (
    DmaBufImporter,
    Keeps,
    NeverUnmaps,
    NoPeer,
    NoZap,
    Pinning,
    PrefetchesWrites,
    Revocable,
    UnmapsLater,
)
from p2plab.designs.memory import Holder
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import Disaster, Pinned, RefcountWarned, Restored, RevokedNow, TopologyChecked
from p2plab.pci import MapType


class VfioPci(Holder):
    """``vfio_pci_core_device``: ``memory_lock``; and its buffer's flag ``revoked``, ``kref`` and completion."""

    revoked = False
    tells = True
    waits = True  #: whether a revoke waits (2026); 6.19 called the importers and went on
    refuses_at_attach = True  #: ``dma_buf_attach_revocable`` (2026); in 6.19 the pin was refused

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.memory_lock = RWLock("gpu.memory_lock")
        self.kref = 1  #: the exporter's reference, and one for each mapping
        self.completed = 0  #: whether ``complete()`` was called and not yet waited for

    def attach(self, attachment: Attachment) -> None:
        """``vfio_pci_dma_buf_attach``: -EOPNOTSUPP without peer to peer or callback, -ENODEV while revoked."""
        if not attachment.peer2peer:
            raise KernelError("EOPNOTSUPP", f"{attachment.importer.name} does not set allow_peer2peer")
        if self.revoked:
            raise KernelError("ENODEV", "the BAR's memory is not enabled")
        if self.refuses_at_attach and not attachment.revocable:
            raise KernelError("EOPNOTSUPP", f"{attachment.importer.name} has no invalidate_mappings")

    def pin(self, attachment: Attachment) -> None:
        """6.19's ``vfio_pci_dma_buf_pin`` refuses always; since 6ffe939bf94f there is none: nothing moves anyway."""
        if not self.refuses_at_attach:
            raise KernelError("EOPNOTSUPP", "vfio_pci_dma_buf_pin")
        emit(Pinned(attachment.importer.name, "A", "vram"))

    def map_dma_buf(self, attachment: Attachment) -> tuple[int, ...]:
        """``vfio_pci_dma_buf_map``: -ENODEV while revoked; -EINVAL where ``pci_p2pdma_map_type`` is not supported."""
        if self.revoked:
            raise KernelError("ENODEV", "the buffer is revoked")
        kind = self.map_type(attachment.importer.peer)
        emit(TopologyChecked("pci_p2pdma_map_type", attachment.importer.name, str(kind)))
        if kind is MapType.NOT_SUPPORTED:
            raise KernelError("EINVAL", f"{attachment.importer.name} does not reach the BAR")
        self.kref += 1
        return self.addresses()

    def unmap_dma_buf(self, attachment: Attachment) -> None:
        """``vfio_pci_dma_buf_unmap``: the mapping's reference."""
        self.kref_put()

    def kref_put(self) -> None:
        """``kref_put(&priv->kref, vfio_pci_dma_buf_done)``; below zero the kernel warns, and nothing completes."""
        if self.kref == 0:
            emit(RefcountWarned(self.name))
            return
        self.kref -= 1
        if self.kref == 0:
            self.completed += 1

    def rearm(self) -> None:
        """``kref_init``, ``reinit_completion``."""
        self.kref, self.completed = 1, 0

    async def dma_buf_move(self, buf: DmaBuf, revoked: bool) -> None:
        """``vfio_pci_dma_buf_move``, under ``memory_lock`` for writing. Does nothing if already in that state."""
        if self.revoked == revoked:
            return
        if revoked:
            await self.drain(buf)
            self.rearm()
        else:
            await self.unrevoke(buf)

    async def drain(self, buf: DmaBuf) -> None:
        """The flag, then the two waits: for the fences under the reservation lock, and until all importers have unmapped."""
        async with buf.resv.lock:
            self.revoked = True
            if self.tells:
                await buf.invalidate_mappings()
            if self.waits and self.tells:
                await buf.resv.wait()
        if self.waits and self.tells:
            self.kref_put()
            await self.wait_for_completion(buf)
        await self.zap_cpu()
        slots = [slot for slot in self.aperture.slots_of(self.buffer) if slot is not None]
        await step("A is revoked", lambda: self._revoked(slots))

    async def zap_cpu(self) -> None:
        """Nothing: in 7.3 no process has the buffer mapped for its CPU."""

    async def wait_for_completion(self, buf: DmaBuf) -> None:
        """``wait_for_completion``, without a limit since 6ffe939bf94f: any importer that has it mapped can end it."""
        await wait_event(lambda: self.completed, "completion of the dma-buf", waits_for=lambda: _mapped(buf))
        self.completed -= 1

    async def unrevoke(self, buf: DmaBuf) -> None:
        """Un-revoke: 7.3 calls importers while still revoked, then retakes the lock and clears the flag; 6.19 the reverse."""
        async with buf.resv.lock:
            if not self.waits:
                self._restored()
            await buf.invalidate_mappings()
            if self.waits:
                await buf.resv.wait()
        if self.waits:
            async with buf.resv.lock:
                self._restored()

    def _restored(self) -> None:
        self.revoked = False
        emit(Restored(self.name, "A"))

    def _revoked(self, slots: list[int]) -> None:
        base, last = self.aperture.address(slots[0]), self.aperture.address(slots[-1])
        emit(RevokedNow(self.name, "A", base, last + PAGE_SIZE))

    async def reset(self, buf: DmaBuf, for_good: bool) -> None:
        """A function-level reset: revoke, reset, and allow maps again unless memory stays disabled. Nothing moves."""
        async with self.memory_lock.write():
            await self.dma_buf_move(buf, True)
            await step("resets", duration=4)
            if not for_good:
                await self.dma_buf_move(buf, False)

    async def dma_buf_cleanup(self, buf: DmaBuf) -> None:
        """``vfio_pci_dma_buf_cleanup``: revoke for good, unless done already; then the device may go."""
        async with self.memory_lock.write():
            emit(Disaster(self.name, "unplug"))
            await self.last_revoke(buf)
            await step("gpu goes", lambda: self.power_off("unplug"))

    async def last_revoke(self, buf: DmaBuf) -> None:
        """By ``vfio_pci_dma_buf_move``, which does nothing if already revoked."""
        await self.dma_buf_move(buf, True)


class WaitsTwice(VfioPci):
    """As merged in 1a8a5227f229: only an un-revoke re-arms, and the cleanup always puts and waits."""

    async def dma_buf_move(self, buf: DmaBuf, revoked: bool) -> None:
        """Without the re-arming after a revoke."""
        if self.revoked == revoked:
            return
        if revoked:
            await self.drain(buf)
        else:
            self.rearm()
            await self.unrevoke(buf)

    async def last_revoke(self, buf: DmaBuf) -> None:
        """The second ``kref_put`` underflows, and the second wait is for a completion that was consumed."""
        await self.drain(buf)


class SilentVfio(VfioPci):
    """Revokes without notifying the importers."""

    tells = False


class VfioDmaBuf(DmaBufPlay):
    """The step list with a guest's device as exporter: it takes its memory back when its user resets it."""

    roles = DMA_BUF_ROLES | {"exporter": Role({"VFIO exporter": VfioPci}, knob="exporter")}

    importers: ClassVar[dict[str, type[Any]]] = {
        "good": DmaBufImporter,
        "revocable": Revocable,
        "unmaps-later": UnmapsLater,
        "no-peer": NoPeer,
        "cannot-stop": Pinning,
        "keeps": Keeps,
        "broken": NoZap,
        "never-unmaps": NeverUnmaps,
        "prefetches-writes": PrefetchesWrites,
    }
    exporters: ClassVar[dict[str, type[Any]]] = {"good": VfioPci, "broken": SilentVfio, "waits-twice": WaitsTwice}

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """The exporter as its kernel has it."""
        super().prepare(settings)
        self.buf.callback = "invalidate_mappings" if self.since("7.3") else "move_notify"
        self.gpu.waits = self.gpu.refuses_at_attach = self.since("7.3")

    def out_of_room(self) -> None:
        """Memory is disabled."""
        self.gpu.revoked = True

    async def take_back(self, first: int, last: int) -> None:
        """Reset: all buffers of the device are revoked, whole."""
        await self.gpu.reset(self.buf, self.later)

    async def unplug(self) -> None:
        """The device's file is closed by its removal."""
        await self.gpu.dma_buf_cleanup(self.buf)


DESIGN = Design(
    name="vfio-dma-buf",
    title="VFIO dma-buf with revoke",
    since="v6.19, the waits 2026",
    kernels=("6.19", "7.3"),
    play=VfioDmaBuf,
    source="drivers/vfio/pci/vfio_pci_dmabuf.c; 20260131-dmabuf-revoke-v7; 1a8a5227f229; 6ffe939bf94f",
    simplified="one buffer, one range of one BAR, no D3; that 1a8a5227f229 waited a second at most is left out.",
    rules=(*COMMON, "fences-waited", "resv-held", "silent-after-revoke", "bounded-unmap", "reads-only"),
    good=("good", "revocable", "unmaps-later"),
    faulty={
        "importer=broken": "no-stale-dma",
        "importer=never-unmaps": "bounded-unmap",
        "importer=prefetches-writes": "reads-only",
        "exporter=broken": "silent-after-revoke",
        "exporter=waits-twice steps=all trouble=later": "no-deadlock",
    },
    runs={"unmaps-later": {"importer": "unmaps-later"}},
    answers={
        "exporter object": Answer("dma_buf over BAR ranges + p2pdma_provider", sources.VFIO_MAP),
        "importer handle": Answer("attachment", sources.VFIO_ATTACH),
        "learns of a move by": Answer(
            "invalidate_mappings", sources.VFIO_MOVE, then={"6.19": Answer("move_notify", sources.VFIO_MOVE)}
        ),
        "exporter may refuse": Answer("attach, map", f"{sources.VFIO_ATTACH}; {sources.VFIO_MAP}"),
        "importer may keep it": Answer(
            "no; it must unmap within bounded time",
            f"{sources.INVALIDATE}; {sources.VFIO_MOVE}",
            "it may not; but VFIO waits for it, without a limit: for the fences (full access until then), then for every "
            "unmap (speculative reads only)",
            then={"6.19": Answer("no", sources.VFIO_MOVE, "nothing waits: later accesses reach revoked memory")},
        ),
        "callback may sleep": Answer("yes", sources.VFIO_MOVE),
        "lock around callback": Answer("memory_lock + dma_resv", sources.VFIO_MOVE),
        "lock around map": Answer("dma_resv", sources.VFIO_MAP),
        "move while mapped": Answer("no move; revoke (whole)", sources.VFIO_MOVE),
        "cannot fault or stop": Answer(
            "excluded at attach; pinned revocable served",
            f"{sources.REVOCABLE}; {sources.UMEM_PINNED}",
            then={"6.19": Answer("excluded at pin", sources.VFIO_PIN)},
        ),
        "where failure shows": Answer(
            "-EOPNOTSUPP, -ENODEV",
            f"{sources.VFIO_ATTACH}; {sources.VFIO_MAP}",
            "and -EINVAL at map where the importer is out of reach",
        ),
        "struct page needed": Answer("no", sources.VFIO_MAP),
        "topology check": Answer(
            "pci_p2pdma_map_type at map",
            sources.VFIO_MAP,
            "attach asks only for peer2peer and the callback",
            then={"6.19": Answer("pci_p2pdma_map_type at map", sources.VFIO_MAP, "attach asks only for peer2peer")},
        ),
        "lifetime": Answer(
            "file ref + revoke flag + kref of the mappings",
            sources.VFIO_CLEANUP,
            then={"6.19": Answer("file ref + revoke flag", sources.VFIO_CLEANUP)},
        ),
        "predictability promise": Answer("revoke once, or restore after reset", sources.REVOKE_SERIES),
        "granularity of a take-back": Answer("whole buffer", sources.VFIO_MOVE),
    },
    fates={
        ODP: Fate("move", "as any dynamic importer", sources.UMEM_DMABUF),
        STOPS: Fate(
            "revocable",
            "pins, and is revoked once",
            sources.UMEM_PINNED,
            then={"6.19": Fate("cannot-stop", "the pin is refused", sources.VFIO_PIN)},
        ),
        NVME: Fate("", "the block layer imports no dma-buf", sources.NO_PAGES),
        GUEST: Fate(
            "revocable",
            "iommufd drops its mapping when it is revoked",
            sources.IOMMUFD,
            then={"6.19": Fate("move", "iommufd drops its mapping when it is notified", sources.IOMMUFD)},
        ),
        GPU: Fate("move", "as any dynamic importer", sources.VFIO_MAP),
        KERNEL: Fate("move", "an attachment needs no process", sources.VFIO_MAP),
    },
)


def _mapped(buf: DmaBuf) -> tuple[str, ...]:
    return tuple(attachment.importer.name for attachment in buf.attachments if attachment.importer.held)


CASES = (
    design_case(
        "D1",
        "waits-twice",
        DESIGN,
        "VFIO waits for a completion that was consumed",
        rule="no-deadlock",
        about="A reset leaves the memory disabled, and the device's file is closed: vfio_pci_dma_buf_cleanup puts the "
        "reference and waits again, although the revoke did both (1a8a5227f229, 2026). The twin re-arms both after each "
        "revoke, and does nothing where nothing is mapped.",
        sees="The exporter's thread waits, and nobody has anything mapped: who should complete it?",
        broken={"exporter": "waits-twice", "steps": "all", "trouble": "later"},
        story="app*6 gpu ... app ...",
    ),
)
