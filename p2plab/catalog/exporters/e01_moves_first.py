"""E1: the GPU moves the bytes first, and notifies the importers afterwards."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.gpu import Gpu


class MovesFirst(Gpu):
    """Tells the truth, late."""

    async def defrag(self) -> None:
        """The move, then the notifier."""
        for thing in self.in_the_way():
            async with self.lock:
                self.pull_down(thing)
            await self.invalidate(thing)


CASE = case(
    "E1",
    "moves-first",
    "the GPU moves first and notifies after",
    rule="told-before-moved",
    about="""The GPU moves the object to its new slots and then calls the notifier. The NIC obeys at once, as always. In
    between its DMA went to slots that show something else.""",
    sees="The damage of F1 with an obedient importer: the exporter is at fault.",
    broken=Plan(exporter=MovesFirst),
    story="app nic nic_dma*1 gpu*3 nic_dma ...",
)
