"""dma-buf with importers that have no callback: pinned at attach, in main memory, until they detach.

Source: ``dma_buf_dynamic_attach`` in drivers/dma-buf/dma-buf.c, ``amdgpu_dma_buf_pin`` of Linux 6.12, and
``ttm_bo_validate`` (moving of pinned buffers is forbidden).
"""

from __future__ import annotations

from typing import Any, ClassVar

from p2plab.core.actors import step
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
