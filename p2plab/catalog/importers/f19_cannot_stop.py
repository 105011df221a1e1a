"""F19: the NIC's device cannot be stopped, so its callback waits for traffic that may never come."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.core.actors import wait_event
from p2plab.drivers.nic import ObedientNic
from p2plab.drivers.quiescing import QuiescingNic


class CannotStop(ObedientNic):
    """Its receive buffers are with the hardware until a packet fills them."""

    async def let_go(self, start: int, end: int) -> None:
        """Waits until the network has used up what was posted, before anything is taken out."""
        if self.engine.table:
            await wait_event(lambda: not self.engine.table, "receive ring empty")
        await super().let_go(start, end)


CASE = case(
    "F19",
    "cannot-stop",
    "the NIC's DMA can neither be stopped nor restarted",
    rule="no-deadlock",
    about="""The NIC has posted receive buffers in the GPU's memory, and its hardware cannot take them back. Its callback
    waits for packets to fill them. None comes, and the GPU's defragmentation hangs in the callback.""",
    sees="The exporter stands still because of one importer. Such a device may not use p2p_map; the twin can quiesce.",
    broken=Plan(importer=CannotStop),
    good=Plan(importer=QuiescingNic),
)
