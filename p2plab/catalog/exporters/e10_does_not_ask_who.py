"""E10: the GPU does not look who is asking, nor where that device is."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import DMA, PAGES, case
from p2plab.catalog.rig import NICS
from p2plab.drivers.gpu import Gpu
from p2plab.p2p.contract import Peer


class LendsToAnyone(Gpu):
    """Has no topology check."""

    def reaches(self, peer: Peer) -> bool:
        """Of course."""
        return True


CASE = case(
    "E10",
    "does-not-ask-who",
    "the GPU lends to a device that cannot reach it",
    rule="address-works",
    about="""The NIC sits behind another root port, and the host bridge is not one that is known to carry peer-to-peer
    traffic. The GPU gives it bus addresses anyway. Its packets never arrive.""",
    sees="Writes that vanish and reads of all ones. The twin checks, and the NIC is refused with -EREMOTEIO.",
    broken=Plan(exporter=LendsToAnyone, importers_at=(NICS["other-switch"],), gpu=()),
    good=Plan(importers_at=(NICS["other-switch"],), gpu=()),
    story="app nic nic_dma ...",
    knobs=(PAGES, DMA),
    goals=(),
)
