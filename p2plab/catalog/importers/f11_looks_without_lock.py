"""F11: the NIC looks again, but not under the lock that its callback takes."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.nic import ObedientNic


class LooksWithoutLock(ObedientNic):
    """Looks, then takes the lock: in between anything may happen."""

    async def map(self, start: int, end: int) -> None:
        """The check and the programming are two steps apart."""
        while True:
            sequence = await self.wait_until_valid()
            async with self.mm.mmap_lock.read():
                addresses = await self.p2p_map(start, end)
                if self.valid(sequence):
                    async with self.lock:
                        await self.engine.program(start, addresses)
                    return
                await self.put_back(start, end)


CASE = case(
    "F11",
    "looks-without-lock",
    "the NIC checks validity without holding the lock",
    rule="programs-only-valid",
    about="""The NIC checks that nothing was invalidated, and only then takes its lock. Between the two an invalidation
    begins, is obeyed, and ends. The NIC programs what it checked before.""",
    sees="A rare race: in almost every order it goes well.",
    broken=Plan(importer=LooksWithoutLock),
    story="app nic*6 gpu nic nic_dma ...",
)
