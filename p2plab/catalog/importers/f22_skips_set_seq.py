"""F22: the NIC stores no sequence number when nothing is mapped."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.drivers.odp import OdpNic
from p2plab.mm import LINUX_6_12, MmuNotifierRange


class SkipsSetSeq(OdpNic):
    """Saves itself the trouble where it has nothing to drop."""

    async def invalidate(self, range: MmuNotifierRange, cur_seq: int) -> bool:
        """Nothing mapped, nothing to do: so it thinks."""
        if not any(range.start <= page < range.end for page in self.engine.table):
            return True
        return await super().invalidate(range, cur_seq)


CASE = case(
    "F22",
    "skips-set-seq",
    "the NIC skips mmu_interval_set_seq because nothing is mapped",
    rule="programs-only-valid",
    about="""The NIC is about to map: it has its answer, and nothing in its device yet. An invalidation comes, finds
    nothing to drop, and leaves no sequence number behind. The second look sees nothing, and the stale address goes in.""",
    sees="The retry protocol kept to the letter on one side only. The twin, in the same race, goes round once.",
    broken=Plan(importer=SkipsSetSeq, kernel=LINUX_6_12),
    good=Plan(importer=OdpNic, kernel=LINUX_6_12),
    story="app nic*5 gpu nic nic_dma ...",
)
