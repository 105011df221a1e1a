"""A GPU that trusts its importers."""

from __future__ import annotations

from p2plab.drivers.gpu import Gpu
from p2plab.mm import Vma
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer


class TrustingGpu(Gpu):
    """Returns everything it is given to the DMA API, without checking its records.

    Correct only as long as its importers are: a page that comes back twice is unmapped twice, which CONFIG_DMA_API_DEBUG
    reports (kernel/dma/debug.c, ``check_unmap``). With an IOMMU the second time may take out another page's IOVA.
    """

    async def p2p_unmap(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int]) -> int:
        """Always 0."""
        iommu = self.fabric.iommu if self.fabric is not None else None
        async with self.lock:
            for page, address in zip(range(start, end, PAGE_SIZE), pa, strict=True):
                if (peer.name, page) in self.lent:
                    self.strike(peer, page, page + PAGE_SIZE)
                elif iommu is not None and (peer.name, address) in iommu.table:
                    iommu.unmap(peer.name, address)
        return 0
