"""C7: the GPU goes to D3 while it is in use: what VFIO revokes for, and the RFC calls really bad."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import case
from p2plab.core.actors import step
from p2plab.drivers.disasters import come_back, go_away


class SleepsWhenIdle(Bench):
    """The GPU goes to D3 when its own queues are empty, even if others use its memory."""

    @job("gpu")
    async def suspend(self) -> None:
        """To D3: memory decode is off from here on."""
        await step("to D3", self._off)

    def _off(self) -> None:
        self.gpu.refuse_maps("suspend")
        self.gpu.power_off("suspend")


class RevokesFirst(Bench):
    """As VFIO does for its exports: take everything back, then go to D3."""

    @job("gpu")
    async def suspend(self) -> None:
        """To D3, once nothing is lent."""
        await go_away(self.gpu, "suspend")

    @job("gpu")
    async def resume(self) -> None:
        """Back to D0."""
        await come_back(self.gpu)


CASE = case(
    "C7",
    "suspends",
    "the GPU is suspended while importers use it",
    rule="gone-means-nobody",
    about="""The GPU's own queues are empty, and its power management puts it to D3. Its BAR stops answering. The NIC is in
    the middle of a transfer and was told nothing.""",
    sees="DMA into nothing. VFIO revokes its exports before D3, under its memory_lock; the twin does the same, and a map "
    "during the suspend fails with -ENODEV, which the list of disasters excuses.",
    broken=Plan(gpu=("suspend",)),
    good=Plan(gpu=("suspend", "resume")),
    bench=SleepsWhenIdle,
    good_bench=RevokesFirst,
)
