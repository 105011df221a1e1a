"""F2: the NIC obeys, and returns before the beat that is on the bus has landed."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.nic import ObedientNic


class NoDrain(ObedientNic):
    """Clears and gives back, and does not wait for what is in flight."""

    async def let_go(self, start: int, end: int) -> None:
        """Translations out and pages back; the drain is missing."""
        await self.engine.clear(start, end)
        await self.p2p_unmap(start, end)


CASE = case(
    "F2",
    "no-drain",
    "the NIC returns before its DMA has drained",
    rule="obedience",
    about="""The NIC takes its translations out and gives the pages back. It does not wait for the beat that is already
    on the bus. The GPU moves the object, and the late beat lands in the new tenant.""",
    sees="One late write in somebody else's page; in most orders nothing at all, for it depends on the timing.",
    broken=Plan(importer=NoDrain),
    story="app nic nic_dma*1 gpu ...",
)
