"""F10: the NIC programs its device with what p2p_map said, without looking again."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.nic import ObedientNic


class NoSecondLook(ObedientNic):
    """Trusts the answer."""

    async def map(self, start: int, end: int) -> None:
        """Waits until the range is valid, asks once, programs at once."""
        await self.wait_until_valid()
        async with self.mm.mmap_lock.read():
            addresses = await self.p2p_map(start, end)
            async with self.lock:
                await self.engine.program(start, addresses)


CASE = case(
    "F10",
    "no-second-look",
    "the NIC maps without looking again",
    rule="programs-only-valid",
    about="""The exporter answers, and then takes the range back before the NIC has programmed its device. The NIC's
    callback gives the pages back. The NIC then programs the addresses that it still has in its hand.""",
    sees="A device programmed with addresses that were stale before it saw them. The twin, in the same race, goes round once.",
    broken=Plan(importer=NoSecondLook),
    story="app nic*6 gpu nic nic_dma ...",
    version=3,
)
