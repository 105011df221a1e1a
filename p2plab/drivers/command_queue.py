"""A command-queue writer: a device that rings another device's doorbell through its BAR (use [A] of the cover letter)."""

from __future__ import annotations

from p2plab.drivers.nic import ObedientNic
from p2plab.p2p.engine import Transfer


class CommandQueueWriter(ObedientNic):
    """Maps one doorbell page for writing and writes one command a ring."""

    async def ring(self, doorbell: int, commands: int = 1) -> None:
        """Write ``commands`` commands to the doorbell page."""
        for _ in range(commands):
            self.engine.start(Transfer(doorbell, doorbell + 4096, write=True))
