"""F4: the NIC holds the lock of its callback while it asks for the mapping."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.nic import ObedientNic


class FaultsUnderItsLock(ObedientNic):
    """Thinks that holding the lock all along makes looking again needless."""

    async def map(self, start: int, end: int) -> None:
        """Asks the exporter, which may be moving, under the lock that the move's callback needs."""
        async with self.mm.mmap_lock.read(), self.lock:
            addresses = await self.p2p_map(start, end)
            await self.engine.program(start, addresses)


CASE = case(
    "F4",
    "faults-under-its-lock",
    "the NIC holds its own lock while it faults",
    rule="no-deadlock",
    about="""The NIC takes its lock and asks for the mapping. The GPU has just begun to move the object, so p2p_map waits
    for the end of the move. The move waits for the NIC's callback, which waits for the lock.""",
    sees="Two threads, each waiting for the other: the move never ends and the map never returns.",
    broken=Plan(importer=FaultsUnderItsLock),
    story="app nic*3 gpu*4 ...",
)
