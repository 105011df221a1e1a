"""dma-buf with importers that have no callback: pinned at attach, in main memory, until they detach.

Source: ``dma_buf_dynamic_attach`` in drivers/dma-buf/dma-buf.c, ``amdgpu_dma_buf_pin`` of Linux 6.12, and
``ttm_bo_validate`` (moving of pinned buffers is forbidden).
"""

from __future__ import annotations

from typing import Any, ClassVar

from p2plab.core.actors import step
from p2plab.designs import sources
from p2plab.designs.design import COMMON, GPU, GUEST, KERNEL, NVME, ODP, STOPS, Answer, Design, Fate
from p2plab.designs.dma_buf import DmaBuf
from p2plab.designs.dma_buf_dynamic import DMA_BUF_ROLES, DmaBufGpu, DmaBufPlay
from p2plab.designs.importers import Pinning, StaysMapped


class MovesPinned(DmaBufGpu):
    """Moves a pinned buffer, to other frames of main memory."""

    async def wants(self, buf: DmaBuf, to_others: bool) -> None:
        """Does not ask whether it is pinned."""
        async with buf.resv.lock:
            if self.buffer.ram_frames:
                await step("moves A", self.pages_elsewhere)


class DmaBufPinned(DmaBufPlay):
    """The step list with a pinned buffer."""

    roles = DMA_BUF_ROLES

    importers: ClassVar[dict[str, type[Any]]] = {
        "good": Pinning,
        "cannot-stop": Pinning,
        "keeps": Pinning,
        "broken": StaysMapped,
    }
    exporters: ClassVar[dict[str, type[Any]]] = {"good": DmaBufGpu, "broken": MovesPinned}


DESIGN = Design(
    name="dma-buf-pinned",
    title="dma-buf, pinned importer",
    years="v5.7",
    kernel="v6.12",
    play=DmaBufPinned,
    source="drivers/dma-buf/dma-buf.c; amdgpu_dma_buf.c of 6.12",
    simplified="as dma-buf dynamic; a pin is always into main memory (amdgpu of 6.12).",
    rules=(*COMMON, "resv-held"),
    faulty={"importer=broken": "no-stale-dma", "exporter=broken": "told-first"},
    answers={
        "exporter object": Answer("dma_buf", sources.CORE),
        "importer handle": Answer("attachment + sg_table", sources.CORE),
        "learns of a move by": Answer("never", sources.CORE),
        "exporter may refuse": Answer(
            "at pin", sources.TTM, "an importer without callbacks is pinned at attach: there it fails"
        ),
        "importer may keep it": Answer("yes (until unpin)", sources.TTM),
        "callback may sleep": Answer("-", sources.CORE),
        "lock around callback": Answer("-", sources.CORE),
        "lock around map": Answer("dma_resv", sources.CORE),
        "move while mapped": Answer("no", sources.TTM),
        "cannot fault or stop": Answer("served", sources.AMD),
        "where failure shows": Answer("pin errno", sources.TTM),
        "struct page needed": Answer(
            "depends", sources.AMD, "a pinned buffer is in main memory (amdgpu of 6.12), wherever it began"
        ),
        "topology check": Answer("exporter at attach", sources.AMD),
        "lifetime": Answer("pin count", sources.CORE),
        "predictability promise": Answer("strong", sources.CORE),
        "granularity of a take-back": Answer("-", sources.CORE),
    },
    fates={
        ODP: Fate("move", "if it pins all the same", "drivers/infiniband/core/umem_dmabuf.c"),
        STOPS: Fate("move", "if it has no callback", sources.CORE),
        NVME: Fate("", "the block layer imports no dma-buf", "20190130080006.GB29665@lst.de"),
        GUEST: Fate("move", "as an importer without a callback", sources.CORE),
        GPU: Fate("move", "without CONFIG_DMABUF_MOVE_NOTIFY", sources.AMD),
        KERNEL: Fate("move", "an attachment needs no process", sources.DMABUF),
    },
)
