"""E12: hot-unplug: the GPU's BAR disappears while importers have it mapped."""

from p2plab.catalog.bench import Bench, Plan
from p2plab.catalog.case import case
from p2plab.core.actors import step
from p2plab.core.events import emit
from p2plab.drivers.disasters import go_away
from p2plab.drivers.gpu import Gpu
from p2plab.p2p.exporter_events import DeviceGone, Disaster


class GoesWithoutAWord(Gpu):
    """Frees its BAR in the remove callback, and thinks of importers later."""


class Unplugged(Bench):
    """Somebody pulls the card."""

    async def gpu_unplug(self) -> None:
        """The GPU is removed: orderly, or at once."""
        if isinstance(self.gpu, GoesWithoutAWord):
            await step("unplug", self._vanish)
        else:
            await go_away(self.gpu, "unplug")

    def _vanish(self) -> None:
        self.gpu.gone = "unplug"
        self.aperture.powered = False
        emit(Disaster(self.gpu.name, "unplug"))
        emit(DeviceGone(self.gpu.name, "unplug"))


CASE = case(
    "E12",
    "goes-without-a-word",
    "the GPU is unplugged while importers have it mapped",
    rule="gone-means-nobody",
    about="""The card is removed. Its driver frees the BAR at once, and the NIC's device still has the addresses. An
    orderly removal first refuses new maps, takes everything back, waits until nothing is lent, and then goes.""",
    sees="DMA into nothing. In the twin a later p2p_map fails with -ENODEV: the answer to the question of the thread.",
    broken=Plan(gpu=GoesWithoutAWord, gpu_does=("unplug",)),
    good=Plan(gpu_does=("unplug",)),
    bench=Unplugged,
)
