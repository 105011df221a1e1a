"""A user inside the kernel, without a process and so without a vma: the NVMe target of Logan Gunthorpe's objection."""

from __future__ import annotations

from p2plab.core.errors import KernelError
from p2plab.p2p.contract import Peer
from p2plab.p2p.exporter import Exporter


class KernelUser:
    """Has a device and no address space: ``p2p_map`` cannot even be asked (<2b704e96-9c7c-3024-b87f-364b9ba22208>)."""

    def __init__(self, name: str, bdf: str) -> None:
        self.peer = Peer(name, bdf)

    def map(self, exporter: Exporter, object_name: str) -> None:
        """Always -EFAULT: both callbacks begin with a vma, and there is none."""
        raise KernelError(
            "EFAULT",
            f"{self.peer.name} has no vma through which to ask {exporter.name} for {object_name}; "
            "p2pdma, with its pages, serves such users",
        )
