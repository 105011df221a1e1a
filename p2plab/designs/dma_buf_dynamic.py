"""dma-buf with dynamic importers: the exporter moves the buffer, invalidates under the reservation lock, and waits for fences.

Source: include/linux/dma-buf.h (bb42df4662a4, v5.7: ``move_notify``; v5.8: ``allow_peer2peer``; 2026: renamed to
``invalidate_mappings``), drivers/gpu/drm/amd/amdgpu/amdgpu_dma_buf.c for what an exporter does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from p2plab.core.actors import step, wait_event
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.scenario import Role
from p2plab.designs import sources
from p2plab.designs.design import COMMON, GPU, GUEST, KERNEL, NVME, ODP, STOPS, Answer, Design, DesignRig, Fate
from p2plab.designs.dma_buf import Attachment, DmaBuf
from p2plab.designs.importers import DmaBufImporter, Fencing, Keeps, NoFence, NoPeer, NoZap, Pinning, UnmapsLater
from p2plab.designs.memory import END, PAGES, START, Holder
from p2plab.p2p.events import Disaster, Pinned, TopologyChecked
from p2plab.pci import MapType


class DmaBufGpu(Holder):
    """amdgpu as exporter. Its buffers are ttm objects: a pinned one does not move (-EINVAL); without room, -ENOMEM."""

    policy = "ram"  #: AMDGPU_GEM_DOMAIN_VRAM | AMDGPU_GEM_DOMAIN_GTT
    tells = True
    waits_for_fences = True
    pins_in_vram = True  #: whether a pin may be in device memory (7.3); until then always in main memory

    def attach(self, attachment: Attachment) -> None:
        """``amdgpu_dma_buf_attach``: no peer to peer where ``pci_p2pdma_distance`` is negative; main memory serves."""
        kind = self.map_type(attachment.importer.peer)
        if kind is MapType.NOT_SUPPORTED:
            attachment.peer2peer = False
        answer = str(kind) if attachment.peer2peer else f"{kind}, so peer2peer = false"
        emit(TopologyChecked("gpu.attach", attachment.importer.name, answer))

    def pin(self, attachment: Attachment) -> None:
        """``amdgpu_dma_buf_pin``: 7.3 pins in VRAM where every attachment is peer to peer; else, and in 6.12, in main memory.

        -ENOMEM where there is no room.
        """
        everybody = (attachment, *attachment.buf.attachments)
        vram = self.pins_in_vram and not self.buffer.ram_frames and all(who.peer2peer for who in everybody)
        if vram:
            self._validate()
        else:
            self._to_system_memory()
        emit(Pinned(attachment.importer.name, "A", "vram" if vram and not self.buffer.ram_frames else "system"))

    def map_dma_buf(self, attachment: Attachment) -> tuple[int, ...]:
        """``amdgpu_dma_buf_map``: device memory if the importer reaches it, else main memory. -ENOMEM, -ENODEV."""
        if self.gone:
            raise KernelError("ENODEV", f"{self.name} is gone ({self.gone})")
        if not attachment.peer2peer and not self.buffer.ram_frames:
            self._to_system_memory()
        return self._validate()

    def _validate(self) -> tuple[int, ...]:
        try:
            return tuple(address for address, _ in self.place_of(self.buffer, 0, PAGES))
        except KernelError as error:
            raise KernelError("ENOMEM", f"ttm_bo_validate: {error.sentence}") from None  # it turns ENOSPC into ENOMEM

    def _to_system_memory(self) -> None:
        if not self.buffer.ram_frames:
            self.move_to_ram(self.buffer)

    async def wants(self, buf: DmaBuf, to_others: bool) -> None:
        """Move the whole buffer: lock, invalidate, wait for fences, move, unlock. -EINVAL if it is pinned."""
        async with buf.resv.lock:
            if buf.pinned():
                raise KernelError("EINVAL", f"moving of pinned buffers is forbidden: {', '.join(buf.pinned())} has it")
            if self.tells:
                await buf.invalidate_mappings()
            if self.waits_for_fences:
                await buf.resv.wait()
            await step("moves A", self._move(to_others), duration=2)

    def _move(self, to_others: bool) -> Callable[[], None]:
        if self.buffer.ram_frames:
            return self.pages_elsewhere
        return self.nothing_left if to_others else self.move_down

    async def unplug(self, buf: DmaBuf) -> None:
        """``drm_dev_unplug``: invalidate, wait, and go. A buffer in main memory outlives the device. The order is inferred.

        An importer that holds a pin in device memory cannot be notified. Here the removal waits for it; amdgpu's does not.
        """
        async with buf.resv.lock:
            emit(Disaster(self.name, "unplug"))
            self.gone = "unplug"
            if not self.buffer.ram_frames:
                await buf.invalidate_mappings()
                await buf.resv.wait()
        if not self.buffer.ram_frames:
            await wait_event(lambda: not buf.pinned(), "unpinned", waits_for=buf.pinned)
        await step("gpu goes", lambda: self.power_off("unplug"))


class Silent(DmaBufGpu):
    """Moves without notifying the importers."""

    tells = False


class NoWait(DmaBufGpu):
    """Invalidates, and does not wait for the fences."""

    waits_for_fences = False


DMA_BUF_ROLES = {
    "importer": Role({"dma-buf importer": DmaBufImporter}, knob="importer"),
    "exporter": Role({"dma-buf exporter": DmaBufGpu}, knob="exporter"),
}


class DmaBufPlay(DesignRig):
    """The step list under dma-buf, for any exporter."""

    importer: DmaBufImporter
    buf: DmaBuf

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """The buffer."""
        super().prepare(settings)
        self.importer.exporter = self.gpu
        callback = "invalidate_mappings" if self.since("7.3") else "move_notify"
        self.buf = DmaBuf(self.gpu, callback, pins_at_map=self.since("6.19"))
        if isinstance(self.gpu, DmaBufGpu):
            self.gpu.pins_in_vram = self.since("7.3")
        if self.trouble == "no-room":
            self.out_of_room()

    def out_of_room(self) -> None:
        """Neither device memory nor main memory has room."""
        self.gpu.nothing_left()

    async def set_up(self) -> None:
        """The exporter's ioctl gives a file descriptor; the importer attaches."""
        await self.importer.attach(self.buf)

    async def map(self) -> None:
        """``dma_buf_map_attachment`` under the reservation lock."""
        await self.importer.map(START, END)

    async def take_back(self, first: int, last: int) -> None:
        """A buffer moves as a whole, even if only a part is wanted."""
        await self.gpu.wants(self.buf, self.later)

    async def unmap(self) -> None:
        """``dma_buf_unmap_attachment``, ``dma_buf_detach``."""
        await self.importer.unmap(START, END)

    async def unplug(self) -> None:
        """The exporter's device goes."""
        await self.gpu.unplug(self.buf)

    async def exit(self) -> None:
        """The importer's file is closed, which unmaps; then the address space goes, unnoticed by the dma-buf."""
        await self.importer.unmap(START, END)
        await self.mm.exit()


class DmaBufDynamic(DmaBufPlay):
    """The step list with importers that have ``invalidate_mappings``."""

    roles = DMA_BUF_ROLES

    importers: ClassVar[dict[str, type[Any]]] = {
        "good": DmaBufImporter,
        "fences": Fencing,
        "unmaps-later": UnmapsLater,
        "no-peer": NoPeer,
        "cannot-stop": Pinning,
        "keeps": Keeps,
        "broken": NoZap,
        "no-fence": NoFence,
    }
    exporters: ClassVar[dict[str, type[Any]]] = {"good": DmaBufGpu, "broken": Silent, "no-wait": NoWait}


_CALLBACK = Answer(
    "invalidate_mappings",
    sources.INVALIDATE,
    then=dict.fromkeys(("6.1", "6.12"), Answer("move_notify", sources.DMABUF)),
)
_UNTIL = Answer("no; its mappings stay valid until its fences have signalled", sources.DMABUF)

DESIGN = Design(
    name="dma-buf-dynamic",
    title="dma-buf, dynamic importer",
    since="v5.7 and v5.8",
    kernels=("6.1", "6.12", "7.3"),
    play=DmaBufDynamic,
    source="include/linux/dma-buf.h; drivers/dma-buf/dma-buf.c",
    simplified="one buffer, no ww_mutex back-off; the exporter's thread waits for fences, where a GPU's scheduler would.",
    rules=(*COMMON, "fences-waited", "resv-held"),
    good=("good", "fences"),
    faulty={
        "importer=broken": "no-stale-dma",
        "importer=no-fence": "no-stale-dma",
        "exporter=broken": "told-first",
        "importer=fences exporter=no-wait": "fences-waited",
    },
    answers={
        "exporter object": Answer("dma_buf", sources.EXPORTERS),
        "importer handle": Answer("attachment + sg_table", sources.DMABUF),
        "learns of a move by": _CALLBACK,
        "exporter may refuse": Answer(
            "at attach, at map, at pin",
            sources.TTM,
            "the run shows map: amdgpu refuses no attach; for pin see dma-buf-pinned",
        ),
        "importer may keep it": Answer(
            "no; full access until its fences have signalled, then speculative reads until it has unmapped",
            sources.INVALIDATE,
            "a GPU waits for the fences alone, so a read of importer=unmaps-later goes astray; vfio-dma-buf has both waits",
            then={"6.1": _UNTIL, "6.12": _UNTIL},
        ),
        "callback may sleep": Answer("yes (ww-mutex context)", sources.DMABUF),
        "lock around callback": Answer("dma_resv of the buffer", sources.DMABUF),
        "lock around map": Answer("dma_resv", sources.MAP),
        "move while mapped": Answer("yes", sources.DMABUF),
        "cannot fault or stop": Answer(
            "use pin path: device memory if every attachment is peer to peer",
            sources.AMD_PIN,
            then=dict.fromkeys(("6.1", "6.12"), Answer("use pin path: system memory", sources.AMD_PIN)),
        ),
        "where failure shows": Answer(
            "attach/map errno; later fence time-out",
            sources.TTM,
            "ttm turns -ENOSPC into -ENOMEM; out of reach means main memory; no fence times out here",
        ),
        "struct page needed": Answer("not if allow_peer2peer", sources.DMABUF),
        "topology check": Answer("exporter at attach (pci_p2pdma_distance)", sources.AMD_ATTACH),
        "lifetime": Answer("file reference; resv", sources.DETACH),
        "predictability promise": Answer("none written; must re-map on use", sources.DMABUF),
        "granularity of a take-back": Answer("whole buffer", sources.DMABUF),
    },
    fates={
        ODP: Fate("move", "drivers/infiniband/hw/mlx5 with ODP", sources.UMEM_DMABUF),
        STOPS: Fate("fences", "works in jobs, each with a fence", sources.DMABUF),
        NVME: Fate("", "the block layer imports no dma-buf", sources.NO_PAGES),
        GUEST: Fate("cannot-stop", "as an importer without a callback", sources.UMEM_PINNED),
        GPU: Fate("fences", "amdgpu: jobs with fences", sources.AMD_MAP),
        KERNEL: Fate("move", "an attachment needs no process", sources.DMABUF),
    },
)
