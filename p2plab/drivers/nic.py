"""A NIC that obeys: it maps once, drops everything when the notifier says so, and maps again."""

from __future__ import annotations

from p2plab.core import errno
from p2plab.mm import MmuNotifierRange
from p2plab.p2p.importer import Importer


class ObedientNic(Importer):
    """Keeps both ends of the bargain of 29 January 2019 (<20190129174728.6430-4-jglisse@redhat.com>)."""

    async def map(self, start: int, end: int) -> None:
        """Ask the exporter, then check again under the lock before programming the device."""
        times = 0
        while True:
            sequence = await self.wait_until_valid()
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                async with self.lock:
                    if self.valid(sequence):
                        await self.engine.program(start, addresses)
                        return
                    await self.put_back(start, end)
            times = self.goes_round(times)

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Before this returns, the device has forgotten the range and nothing of it is in flight.

        A call that may not block is refused where it would have to wait, and is not counted: it
        has no end.
        """
        if not range.blockable:
            return -errno.EAGAIN if any(range.start <= page < range.end for page in self.held) else 0
        async with self.lock:
            self.invalidation_begins(range)
            await self.let_go(*self.concerned(range))
        return 0

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """From here on a new mapping is possible, and requested if one was lost."""
        if range.blockable:
            self.invalidation_ends(range)
