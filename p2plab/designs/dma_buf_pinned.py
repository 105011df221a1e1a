"""dma-buf with importers that have no callback: pinned until they detach, in device memory where all are peer to peer.

Source: ``ib_umem_dmabuf_get_pinned`` (a NIC without page faults pins itself), drivers/dma-buf/dma-buf.c
(``dma_buf_dynamic_attach`` until 6.12, ``dma_buf_pin_on_map`` later: without importer_ops the core pins),
``amdgpu_dma_buf_pin`` of Linux 6.12 (always main memory) and of 7.3 (device memory if every attachment is peer to peer; xe
does the same since df636bf28366), ``ttm_bo_validate`` (moving of pinned buffers is forbidden).
"""

from __future__ import annotations

from typing import Any, ClassVar

from p2plab.core.actors import step
from p2plab.designs import sources
from p2plab.designs.design import COMMON, GPU, GUEST, KERNEL, NVME, ODP, STOPS, Answer, Design, Fate
from p2plab.designs.dma_buf import DmaBuf
from p2plab.designs.dma_buf_dynamic import DMA_BUF_ROLES, DmaBufGpu, DmaBufPlay
from p2plab.designs.importers import Pinning, Static, StaysMapped


class MovesPinned(DmaBufGpu):
    """Moves a pinned buffer."""

    async def wants(self, buf: DmaBuf, to_others: bool) -> None:
        """Does not check whether it is pinned."""
        async with buf.resv.lock:
            await step("moves A", self._move(to_others))


class DmaBufPinned(DmaBufPlay):
    """The step list with a pinned buffer."""

    roles = DMA_BUF_ROLES

    importers: ClassVar[dict[str, type[Any]]] = {
        "good": Pinning,
        "static": Static,
        "cannot-stop": Pinning,
        "keeps": Pinning,
        "broken": StaysMapped,
    }
    exporters: ClassVar[dict[str, type[Any]]] = {"good": DmaBufGpu, "broken": MovesPinned}


_OLD = ("6.1", "6.12")

DESIGN = Design(
    name="dma-buf-pinned",
    title="dma-buf, pinned importer",
    since="v5.7",
    kernels=("6.1", "6.12", "7.3"),
    play=DmaBufPinned,
    source="drivers/dma-buf/dma-buf.c; amdgpu_dma_buf.c; umem_dmabuf.c",
    simplified="as dma-buf dynamic; the device's removal waits for pins in device memory, which amdgpu's does not.",
    rules=(*COMMON, "resv-held"),
    good=("good", "static"),
    faulty={"importer=broken": "no-stale-dma", "exporter=broken": "told-first"},
    runs={
        "static": {"importer": "static"},
        "static-refused": {"importer": "static", "trouble": "no-room"},
    },
    answers={
        "exporter object": Answer("dma_buf", sources.EXPORTERS),
        "importer handle": Answer("attachment + sg_table", sources.PIN),
        "learns of a move by": Answer("never", sources.PIN),
        "exporter may refuse": Answer(
            "at pin",
            sources.TTM,
            "a NIC pins when it is set up; without importer_ops the core pins, see where failure shows",
        ),
        "importer may keep it": Answer("yes (until unpin)", sources.TTM),
        "callback may sleep": Answer("-", sources.PIN),
        "lock around callback": Answer("-", sources.PIN),
        "lock around map": Answer("dma_resv", sources.MAP),
        "move while mapped": Answer("no", sources.TTM),
        "cannot fault or stop": Answer(
            "served, from device memory if every attachment is peer to peer",
            sources.AMD_PIN,
            then=dict.fromkeys(_OLD, Answer("served, from main memory", sources.AMD_PIN)),
        ),
        "where failure shows": Answer(
            "pin errno; without importer_ops at map",
            sources.PIN_ON_MAP,
            then=dict.fromkeys(_OLD, Answer("pin errno, at attach", sources.ATTACH)),
        ),
        "struct page needed": Answer(
            "not if every attachment is peer to peer",
            sources.AMD_PIN,
            then=dict.fromkeys(
                _OLD,
                Answer("depends", sources.AMD_PIN, "a pinned buffer of amdgpu is in main memory, wherever it began"),
            ),
        ),
        "topology check": Answer("exporter at attach", sources.AMD_ATTACH),
        "lifetime": Answer("pin count", sources.PIN),
        "predictability promise": Answer("strong", sources.PIN),
        "granularity of a take-back": Answer("-", sources.PIN),
    },
    fates={
        ODP: Fate("move", "if it pins anyway", sources.UMEM_PINNED),
        STOPS: Fate("move", "pins, in device memory where all are peer to peer: usual for RDMA", sources.UMEM_PINNED),
        NVME: Fate("", "the block layer imports no dma-buf", sources.NO_PAGES),
        GUEST: Fate("move", "as an importer without a callback", sources.PIN),
        GPU: Fate(
            "static",
            "if it has no importer_ops",
            sources.PIN_ON_MAP,
            then=dict.fromkeys(_OLD, Fate("static", "without CONFIG_DMABUF_MOVE_NOTIFY", sources.ATTACH)),
        ),
        KERNEL: Fate("move", "an attachment needs no process", sources.DMABUF),
    },
)
