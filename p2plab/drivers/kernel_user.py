"""A user inside the kernel, without a process and so without a vma: the NVMe target of Logan Gunthorpe's objection."""

from __future__ import annotations

from p2plab.core.errors import KernelError
from p2plab.p2p.mapper import Mapper


class KernelUser(Mapper):
    """Has a device and no vma: ``p2p_map`` cannot even be asked (<2b704e96-9c7c-3024-b87f-364b9ba22208>)."""

    async def listen(self, start: int, end: int) -> None:
        """No process, no notifier."""

    async def map(self, start: int, end: int) -> None:
        """Always -EFAULT: both callbacks begin with a vma, and there is none."""
        raise KernelError(
            "EFAULT", f"{self.name} has no vma through which to ask; p2pdma, with its pages, serves such users"
        )
