"""The IOMMU: with it on, a device's address means something in that device's own table only, or faults."""

from __future__ import annotations

from p2plab.core.errors import KernelError
from p2plab.core.tracked import Tracked
from p2plab.mm import PAGE_SIZE

#: Where I/O virtual addresses begin (illustrative; the kernel hands them out from below 4 GiB downwards).
IOVA_BASE = 0xFFC0_0000


class Iommu(Tracked):
    """One domain a device: (importer, IOVA) -> bus address. An IOVA is not used twice, so that a stale one faults."""

    def __init__(self) -> None:
        self.table: dict[tuple[str, int], int] = {}
        self.given: dict[str, int] = {}  #: importer -> how many IOVAs it ever got

    def map(self, importer: str, address: int) -> int:
        """A new IOVA for ``importer`` that leads to a bus address (``dma_map_resource``, ``dma_map_page``)."""
        number = self.given.get(importer, 0)
        self.given[importer] = number + 1
        iova = IOVA_BASE - (number + 1) * PAGE_SIZE
        self.table[importer, iova] = address
        return iova

    def unmap(self, importer: str, iova: int) -> None:
        """Take an IOVA out; -ENXIO if the device has no such IOVA."""
        if (importer, iova) not in self.table:
            raise KernelError("ENXIO", f"{importer} has no IOVA {iova:#x}")
        del self.table[importer, iova]

    def revoke(self, addresses: tuple[int, ...]) -> None:
        """Take out whatever still leads to these bus addresses, whoever has it."""
        for key in [key for key, address in self.table.items() if address in addresses]:
            del self.table[key]

    def translate(self, importer: str, iova: int) -> int | None:
        """The bus address behind an IOVA of this device; None is a fault."""
        return self.table.get((importer, iova))
