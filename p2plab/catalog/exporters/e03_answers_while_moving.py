"""E3: the GPU does not serialise: p2p_map answers with the old slot while the object is being moved."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.core import errno
from p2plab.core.errors import KernelError
from p2plab.drivers.gpu import Gpu
from p2plab.mm import Vma
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer


class AnswersAlways(Gpu):
    """Thinks that the notifier is enough."""

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """The place of now, whatever is about to happen to it."""
        if not self.reaches(peer):
            return -errno.EREMOTEIO
        async with self.lock:
            try:
                places = self.place_of(self.object_behind(vma), vma.pgoff_of(start), (end - start) // PAGE_SIZE)
            except KernelError as error:
                return -error.errno
            self.lend(vma, peer, start, places, pa, write)
        return 0


CASE = case(
    "E3",
    "answers-while-moving",
    "the GPU answers p2p_map with the old slot during its move",
    rule="no-map-while-moving",
    about="""The GPU has told everybody and is about to move the object. The NIC, obedient, maps again at once, and gets
    the old slots. It looks again, finds that nothing was invalidated since, and programs them; then the move happens.""",
    sees="The NIC passes its own check and is wrong: the notifier was over before the move.",
    broken=Plan(exporter=AnswersAlways),
    story="app nic nic_dma*1 gpu*5 nic_dma gpu*6 nic gpu nic_dma ...",
)
