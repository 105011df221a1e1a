"""E8: p2p_map gets half of the pages, fails, and keeps them."""

from collections.abc import Mapping
from typing import Any

from p2plab.catalog.bench import Bench, Plan
from p2plab.catalog.case import DMA, case
from p2plab.core import errno
from p2plab.drivers.gpu import Gpu
from p2plab.mm import Vma
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer


class UnwindsBadly(Gpu):
    """Lends page by page, and returns at the first failure."""

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """The error path lacks the loop that takes back what was lent so far."""
        thing = self.object_behind(vma)
        async with self.lock:
            for number in range(len(pa)):
                place = self.place_of_page(thing, vma.pgoff_of(start) + number)
                if place[1] == "nowhere":
                    return -errno.ENOSPC
                one = [0]
                self.lend(vma, peer, start + number * PAGE_SIZE, [place], one, write)
                pa[number] = one[0]
        return 0


class HalfShown(Bench):
    """Only the first page of A is in the aperture, and the rest of it is full."""

    def fill(self, settings: Mapping[str, Any]) -> None:
        """A's first page in slot 2; B everywhere else."""
        filler = self.memory.create("B", "app2", self.plan.slots - 1)
        thing = self.memory.create("A", "app", self.plan.pages)
        self.memory.create("C", "app2", self.plan.later)
        frames = iter(filler.frames)
        for slot in range(self.plan.slots):
            self.aperture.take(slot, thing.frames[0] if slot == 2 else next(frames))


CASE = case(
    "E8",
    "unwinds-badly",
    "p2p_map fails half-way and keeps what it had lent",
    rule="refusal-keeps-nothing",
    about="""The GPU lends page by page. At the second page there is no slot, and it returns an error. The first page stays
    in its records, lent to an importer that does not know.""",
    sees="A slot that is lost for good; the core-side twin is fault 4 of the posted series.",
    broken=Plan(exporter=UnwindsBadly, gpu=()),
    good=Plan(gpu=()),
    story="app nic ...",
    bench=HalfShown,
    knobs=(DMA,),
    goals=(),
)
