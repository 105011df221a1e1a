"""A NIC that maps like any other and then ignores the notifier."""

from __future__ import annotations

from p2plab.drivers.nic import ObedientNic
from p2plab.mm import MmuNotifierRange


class IgnorantNic(ObedientNic):
    """Breaks obedience: it is called, does nothing, and keeps using addresses that it no longer owns."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Says yes and keeps everything."""
        return 0

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """Nothing was counted, so nothing ends."""
