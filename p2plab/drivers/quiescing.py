"""A NIC without page faults that can be stopped and restarted: it quiesces its queue for the time of an invalidation."""

from __future__ import annotations

from p2plab.core.actors import step
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import MmuNotifierRange


class QuiescingNic(ObedientNic):
    """Stops the whole queue, not only the range: that is what a device without page faults can do."""

    quiesce_ticks = 4  #: how long stopping takes (illustrative)

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Stop; what is under way ends; then as any obedient importer."""
        await step(f"{self.name} stops its queue", self._stop, duration=self.quiesce_ticks)
        return await super().invalidate_range_start(range)

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """Start again."""
        self.engine.stopped -= 1
        await super().invalidate_range_end(range)

    def _stop(self) -> None:
        self.engine.stopped += 1
