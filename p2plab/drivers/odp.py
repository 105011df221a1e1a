"""On-demand paging: an RDMA device that faults and restarts, with today's retry protocol (mlx5's odp.c, lib/test_hmm.c)."""

from __future__ import annotations

from p2plab.mm import MmuNotifierRange, mmu_interval_read_begin
from p2plab.p2p.importer import IntervalImporter


class OdpNic(IntervalImporter):
    """Maps when its device faults; an invalidation only has to take translations out, because the device can wait."""

    async def map(self, start: int, end: int) -> None:
        """``read_begin``, map, and under the lock ``read_retry``: programmed only if nothing happened in between."""
        times = 0
        while True:
            seq = await mmu_interval_read_begin(self)
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                async with self.lock:
                    if not self.read_retry(seq):
                        await self.engine.program(start, addresses)
                        return
                    await self.put_back(start, end)
            times = self.goes_round(times)

    async def invalidate(self, range: MmuNotifierRange, cur_seq: int) -> bool:
        """Always store the sequence number, then let go. False only where the call must not block."""
        if not range.blockable:
            return self._at_once(range, cur_seq)
        async with self.lock:
            self.set_seq(cur_seq)
            again = self.wanted_again(range)
            await self.let_go(*self.concerned(range))
        if again:
            self.map_again()
        return True

    def _at_once(self, range: MmuNotifierRange, cur_seq: int) -> bool:
        """Without sleeping: only if the lock is free and there is nothing to give back or to wait for."""
        start, end = self.concerned(range)
        if any(start <= page < end for page in self.held) or not self.lock.trylock():
            return False
        self.set_seq(cur_seq)
        self.engine.clear_now(start, end)
        done = self.engine.drained(start, end)
        self.lock.unlock()
        return done
