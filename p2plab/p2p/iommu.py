"""The IOMMU: with it on, a device's address is looked up in that device's table, or faults."""

from __future__ import annotations

from typing import NamedTuple

from p2plab.core.actors import idle, step
from p2plab.core.errors import KernelError
from p2plab.core.tracked import Tracked
from p2plab.mm import PAGE_SIZE

#: Where I/O virtual addresses begin (illustrative; the kernel hands them out from below 4 GiB downwards).
IOVA_BASE = 0xFFC0_0000


class Translation(NamedTuple):
    """Where an IOVA leads: a bus address, None once that was taken out; and whether the device may write there."""

    address: int | None
    write: bool


class Iommu(Tracked):
    """One domain a device: (importer, IOVA) -> :class:`Translation`.

    A freed IOVA is the first to be allocated again, the last freed one first (drivers/iommu/iova.c,
    ``iova_rcache_get``: a stack for each size). So a stale access may fault, or land in another page of the same
    importer without a fault. In strict mode unmapping takes effect at once. ``lazy``: what was used stays in the IOTLB until
    the flush queue is flushed, and only then the IOVA is free (drivers/iommu/dma-iommu.c, ``queue_iova``). ``ats``: devices
    keep translations themselves; ``on`` drops them with the entry; ``kept`` does not, which is a bug.
    """

    def __init__(self, lazy: bool = False, ats: str = "off") -> None:
        self.lazy = lazy
        self.ats = ats
        self.iotlb: dict[tuple[str, int], Translation] = {}  #: what was used, where that can outlive the entry
        self.atc: dict[tuple[str, int], Translation] = {}  #: the same in the devices' caches
        self.queue: list[tuple[str, int]] = []  #: IOVAs that were unmapped and not flushed
        self.table: dict[tuple[str, int], Translation] = {}
        self.given: dict[str, int] = {}  #: importer -> how many new IOVAs it ever got
        self.free: dict[str, tuple[int, ...]] = {}  #: importer -> its freed IOVAs, in that order

    def map(self, importer: str, address: int, write: bool = True) -> int:
        """An IOVA for ``importer`` that leads to a bus address (``dma_map_resource``, ``dma_map_page``).

        Without ``write`` it is for reading (``DMA_TO_DEVICE``): the entry has no write bit, and a write faults.
        """
        if free := self.free.get(importer, ()):
            iova, self.free[importer] = free[-1], free[:-1]
        else:
            self.given[importer] = self.given.get(importer, 0) + 1
            iova = IOVA_BASE - self.given[importer] * PAGE_SIZE
        self.table[importer, iova] = Translation(address, write)
        return iova

    def unmap(self, importer: str, iova: int) -> None:
        """Take an IOVA out, which may then be given out again; -ENXIO if the device has no such IOVA."""
        if (importer, iova) not in self.table:
            raise KernelError("ENXIO", f"{importer} has no IOVA {iova:#x}")
        del self.table[importer, iova]
        self._forget((importer, iova))
        if self.lazy:
            self.queue.append((importer, iova))
            return
        self.free[importer] = (*self.free.get(importer, ()), iova)

    def revoke(self, addresses: tuple[int, ...]) -> None:
        """Remove every translation to these bus addresses, of any importer. The importer keeps the IOVA."""
        for key, translation in self.table.items():
            if translation.address in addresses:
                self.table[key] = translation._replace(address=None)
                self._forget(key)

    def _forget(self, key: tuple[str, int]) -> None:
        if not self.lazy:
            self.iotlb.pop(key, None)
        if self.ats == "on":
            self.atc.pop(key, None)

    async def flushes(self) -> None:
        """The timer of the flush queue, for ever: what was unmapped is out of the IOTLB, and its IOVAs are free."""
        while True:
            await idle(lambda: self.queue, "the flush queue's timer")
            await step("flushes the IOTLB", self._flush)

    def _flush(self) -> None:
        stale = [key for key, cached in self.iotlb.items() if self.table.get(key) != cached]
        for key in stale:
            del self.iotlb[key]
        for importer, iova in self.queue:
            self.free[importer] = (*self.free.get(importer, ()), iova)
        self.queue.clear()

    def access(self, importer: str, iova: int, write: bool) -> tuple[int | None, str]:
        """Where an access goes (None: a fault), and which cache led there if not the table: ``ATC``, ``IOTLB``."""
        key, now = (importer, iova), self.translate(importer, iova, write)
        caches = [("ATC", self.atc)] if self.ats != "off" else []
        for name, cache in (*caches, ("IOTLB", self.iotlb)):
            if (cached := cache.get(key)) is not None and (cached.write or not write):
                return cached.address, name if cached.address != now else ""
        if now is not None:
            for cache in ([self.atc] if caches else []) + ([self.iotlb] if self.lazy else []):
                cache[key] = self.table[key]
        return now, ""

    def translate(self, importer: str, iova: int, write: bool = False) -> int | None:
        """The bus address behind an IOVA of this device; None is a fault. ``write``: as a write would find it."""
        found = self.table.get((importer, iova))
        return found.address if found is not None and (found.write or not write) else None
