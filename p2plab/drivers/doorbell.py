"""A static exporter: doorbell pages of a NIC, or a VFIO BAR, that never move (Jason Gunthorpe, 29 January 2019)."""

from __future__ import annotations

from p2plab.core import errno
from p2plab.core.errors import KernelError
from p2plab.mm import Vma
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer
from p2plab.p2p.exporter import Exporter


class Doorbell(Exporter):
    """Everything is in its slot from the beginning, so that ``p2p_map`` only reads where (<20190129193250.GK10108>)."""

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """The addresses of the vma's pages: always the same ones."""
        if not self.reaches(peer):
            return -errno.EREMOTEIO
        async with self.lock:
            try:
                self.check(vma, write)
            except KernelError as error:
                return -error.errno
            slots = self.aperture.slots_of(self.object_behind(vma))
            first = vma.pgoff_of(start)
            wanted = slots[first : first + (end - start) // PAGE_SIZE]
            self.lend(vma, peer, start, [(self.aperture.address(slot or 0), "bar") for slot in wanted], pa, write)
        return 0

    async def p2p_unmap(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int]) -> int:
        """Note that the addresses are back."""
        return await self.take_back(peer, start, end)
