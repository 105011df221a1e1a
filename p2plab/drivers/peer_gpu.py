"""Another GPU as importer: over a private link the exporter may hand out addresses that mean nothing to other devices."""

from __future__ import annotations

from p2plab.core import errno
from p2plab.core.errors import KernelError
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import Vma
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer


class PeerGpu(ObedientNic):
    """A GPU that reads another GPU's memory. As an importer it has the same duties as a NIC."""


class LinkedGpu(Gpu):
    """A GPU with a private link to one peer: that peer needs no slot of the aperture (<20190129205749.GN3176@redhat.com>).

    ``link`` names the peer. Link addresses lead to frames; only that peer's engine understands them.
    """

    link = ""

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """Frames by their number over the link; the aperture for all other peers."""
        if peer.name != self.link or self.fabric is None:
            return await super().p2p_map(vma, peer, start, end, pa, write)
        async with self.lock:
            try:
                self.check(vma, write)
            except KernelError as error:
                return -error.errno
            frames = self.object_behind(vma).frames[vma.pgoff_of(start) :][: (end - start) // PAGE_SIZE]
            if len(frames) < (end - start) // PAGE_SIZE:
                return -errno.ENXIO
            self.lend(
                vma, peer, start, [(self.fabric.link(peer.name, self.memory, frame), "link") for frame in frames], pa
            )
        return 0
