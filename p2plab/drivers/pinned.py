"""An importer that pins: it cannot map again, so it keeps what it has until the vma itself goes."""

from __future__ import annotations

from p2plab.drivers.nic import ObedientNic
from p2plab.mm import MmuNotifierRange


class PinsUntilUnmap(ObedientNic):
    """Acts on UNMAP only, then points its device at dummy memory (Jérôme Glisse, <20190131193513.GC16593@redhat.com>).

    The flag for the exporter was never posted. It is a good driver only with an exporter that never moves what
    it lent: a static BAR, or memory that was migrated to main memory before.
    """

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Let go at UNMAP; the device's requests then end in dummy memory, which is never read."""
        if range.event == "UNMAP":
            return await super().invalidate_range_start(range)
        return 0

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """End only what was begun."""
        if range.event == "UNMAP":
            await super().invalidate_range_end(range)
            self.engine.abort()
