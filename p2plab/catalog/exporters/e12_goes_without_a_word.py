"""E12: hot-unplug: the GPU's BAR disappears while importers have it mapped."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import case
from p2plab.core.actors import step
from p2plab.drivers.disasters import go_away


class Pulled(Bench):
    """Somebody pulls the card, and the driver frees its BAR before it thinks of importers."""

    @job("gpu")
    async def unplug(self) -> None:
        """The GPU is gone at once."""
        await step("unplug", self._vanish)

    def _vanish(self) -> None:
        self.gpu.refuse_maps("unplug")
        self.gpu.power_off("unplug")


class Removed(Bench):
    """The card is removed in order."""

    @job("gpu")
    async def unplug(self) -> None:
        """The GPU goes once nothing of it is lent."""
        await go_away(self.gpu, "unplug")


CASE = case(
    "E12",
    "goes-without-a-word",
    "the GPU is unplugged while importers have it mapped",
    rule="gone-means-nobody",
    about="""The card is removed. Its driver frees the BAR at once, and the NIC's device still has the addresses. An
    orderly removal first refuses new maps, takes everything back, waits until nothing is lent, and then goes.""",
    sees="DMA into nothing. In the twin a later p2p_map fails with -ENODEV: the answer to the question of the thread.",
    broken=Plan(gpu=("unplug",)),
    good=Plan(gpu=("unplug",)),
    bench=Pulled,
    good_bench=Removed,
)
