"""F14: the NIC keeps the vma pointer after the callback, and follows it later."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import CHECKERS, USUAL, case
from p2plab.drivers.nic import ObedientNic
from p2plab.p2p.contract import p2p_unmap


class GivesBackLater(ObedientNic):
    """Leaves p2p_unmap to its worker, so that the callback is short."""

    async def let_go(self, start: int, end: int) -> None:
        """Stops the device at once; the pages stay on the list."""
        await self.engine.clear(start, end)
        await self.engine.drain(start, end)

    async def unmap(self, start: int, end: int) -> None:
        """The worker's part: give back, through the pointers of before."""
        for page in [page for page in sorted(self.held) if start <= page < end]:
            await p2p_unmap(self.peer, (self.held.pop(page),))


CASE = case(
    "F14",
    "vma-after-munmap",
    "the NIC follows the vma pointer after munmap",
    rule="vma-alive",
    about="""The NIC stops its device in the callback, and leaves p2p_unmap to its worker. Meanwhile munmap ends and the
    vma is freed. The worker follows the pointer that it kept.""",
    sees="A use after free: KASAN reports it, and poisoned memory makes it an oops. A plain kernel says nothing, "
    "and the pages stay lent for good.",
    broken=Plan(importer=GivesBackLater, app=("mmap", "munmap"), gpu=(), then=("unmap",)),
    good=Plan(app=("mmap", "munmap"), gpu=(), then=("unmap",)),
    goals=("maps", "programs"),
    story="app*7 nic*11 app nic ...",
    knobs=(*USUAL, CHECKERS),
    version=3,
)
