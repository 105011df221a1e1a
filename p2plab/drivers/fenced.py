"""A NIC whose transfers end in a fence: its callback waits for that fence, as drivers of job-based devices do."""

from __future__ import annotations

from p2plab.core.actors import idle
from p2plab.core.world import World
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import AddressSpace
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.engine import Transfer
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.fence import DmaFence, signalling


class FencedNic(ObedientNic):
    """Keeps its mapping until the running job is done. A separate worker signals the fence."""

    def __init__(
        self,
        world: World,
        name: str,
        bdf: str,
        mm: AddressSpace,
        fabric: Fabric,
        beat_ticks: int = 1,
        timed: bool = False,
    ) -> None:
        super().__init__(world, name, bdf, mm, fabric, beat_ticks, timed=timed)
        self.fence: DmaFence | None = None
        world.actor(f"{name}_wq", self.complete)

    async def submit(self, transfer: Transfer) -> None:
        """What the end of the job needs is allocated here, where waiting for reclaim and mmap_lock is allowed."""
        self.fence = DmaFence(f"fence of {self.name}", f"{self.name}_wq")
        await super().submit(transfer)

    async def let_go(self, start: int, end: int) -> None:
        """Wait for the fence, if its job can end without another mapping; then as any obedient importer."""
        if self.fence is not None and self._ends():
            await self.fence.wait()
        await super().let_go(start, end)

    async def complete(self) -> None:
        """The worker, for ever: once the device is done with a job, finish it and signal."""
        while True:
            await idle(self._done, "the job is done")
            with signalling():
                await self.finish()
                assert self.fence is not None
                self.fence.signal()

    async def finish(self) -> None:
        """What is left to do before the fence can be signalled: nothing that could wait for another thread."""

    def _ends(self) -> bool:
        """Whether the device has a translation for each remaining page of the job."""
        if not self.engine.queue:
            return True
        job, at = self.engine.queue[0], self.engine.next_page
        return all(page in self.engine.table for page in range(job.start if at is None else at, job.end, PAGE_SIZE))

    def _done(self) -> bool:
        return self.fence is not None and not self.fence.signalled and not self.engine.queue
