"""E4: the aperture is over-subscribed, and the GPU refuses a range that it had lent before."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import DMA, case


class Oversubscribed(Bench):
    """The GPU needs A's slots for an object of its own."""

    @job("gpu", needs=("evict", "place"))
    async def render(self) -> None:
        """Another process renders: its object C needs the aperture, and the least recently used object goes."""
        while len(self.memory.objects["C"].frames) > max((n for _, n in self.aperture.free_runs()), default=0):
            await self.gpu.evict()
        await self.gpu.place(self.memory.objects["C"])


CASE = case(
    "E4",
    "refuses-later",
    "the GPU refuses a second map because its aperture is full",
    rule="predictability",
    about="""The NIC mapped the object at set-up and is in the middle of its work. The GPU evicts the object, because
    another process needs the aperture. The NIC maps again, as it should, and is refused.""",
    sees="A job that dies in the middle although its set-up was fine. The twin has room for both.",
    broken=Plan(gpu=("render",), slots=4, later=3, at=1),
    good=Plan(gpu=("render",), slots=8, later=3, at=1),
    story="app nic nic_dma*3 gpu nic ...",
    bench=Oversubscribed,
    knobs=(DMA,),
)
