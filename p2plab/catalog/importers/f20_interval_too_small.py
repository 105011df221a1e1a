"""F20: the NIC's interval notifier is a page too small, or shifted by one."""

from collections.abc import Mapping
from typing import Any

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import USUAL, case
from p2plab.catalog.rig import BASE
from p2plab.core.actors import wait_event
from p2plab.core.scenario import Knob
from p2plab.drivers.odp import OdpNic
from p2plab.mm import LINUX_6_12
from p2plab.p2p.aperture import PAGE_SIZE


class WrongInterval(OdpNic):
    """Registers for another range than it maps; ``wrong`` says how."""

    wrong = "small"

    async def listen(self, start: int, end: int) -> None:
        """An off-by-one in the arguments."""
        shift = PAGE_SIZE if self.wrong == "shifted" else 0
        await super().listen(start + shift, end + shift if shift else end - PAGE_SIZE)


class OffByOne(Bench):
    """With the mistake that the knob says."""

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """Tell the broken driver how it is wrong."""
        nic = self.stations[0].importer
        if isinstance(nic, WrongInterval):
            nic.wrong = str(settings["wrong"])

    @job("app")
    async def munmap_rim(self) -> None:
        """The process unmaps just the page that the interval misses."""
        nic = self.stations[0].importer
        first = isinstance(nic, WrongInterval) and nic.wrong == "shifted"
        await self.mm.munmap(BASE if first else BASE + (self.plan.pages - 1) * PAGE_SIZE, PAGE_SIZE)

    @job("app")
    async def exit(self) -> None:
        """The process exits; the NIC gives back what it still has."""
        await wait_event(lambda: not any(station.users for station in self.stations), "mm_users is 0")
        for station in self.stations:
            station.exited = True
        await self.mm.exit()


WRONG = Knob("wrong", "small", "how the interval is wrong", choices=("small", "shifted"))
CASE = case(
    "F20",
    "interval-too-small",
    "the NIC tracks an interval one page too small",
    rule="obedience",
    about="""The NIC listens to one page less than it maps. The process unmaps just that page,
    and the kernel sees no listener for it. The page stays in the device. When the process exits,
    the NIC gives it back through a vma that was freed long ago.""",
    sees="F1, but on the rim only; and a use after free at the exit: KASAN reports it, poisoned memory is an oops.",
    broken=Plan(importer=WrongInterval, kernel=LINUX_6_12, app=("mmap", "munmap_rim", "exit"), gpu=()),
    good=Plan(importer=OdpNic, kernel=LINUX_6_12, app=("mmap", "munmap_rim", "exit"), gpu=()),
    story="app*7 nic nic_dma*3 app ...",
    bench=OffByOne,
    knobs=(WRONG, *USUAL),
    version=3,
)
