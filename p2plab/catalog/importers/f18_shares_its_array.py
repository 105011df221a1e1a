"""F18: the NIC hands its addresses to another device."""

from collections.abc import Mapping
from typing import Any

from p2plab.catalog.bench import Bench, Plan
from p2plab.catalog.case import DMA, IOMMU, PAGES, case
from p2plab.drivers.nic import ObedientNic


class Borrower(ObedientNic):
    """Takes the addresses that another importer was given, instead of asking."""

    lender: ObedientNic | None = None

    async def map(self, start: int, end: int) -> None:
        """Program the lender's addresses, if it has them; else ask."""
        lent = self.lender
        if lent is None or not lent.held:
            await super().map(start, end)
            return
        async with self.lock:
            await self.engine.program(start, tuple(lent.held[page].address for page in sorted(lent.held)))


class Shares(Bench):
    """The second importer knows the first."""

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """Introduce them to each other."""
        first, second = (station.importer for station in self.stations)
        if isinstance(second, Borrower) and isinstance(first, ObedientNic):
            second.lender = first


CASE = case(
    "F18",
    "shares-its-array",
    "the NIC shares its address array with another device",
    rule="own-address",
    about="""The NIC was given addresses, and hands them to a second device of the same process. Below one switch without
    an IOMMU this happens to work. With an IOMMU, or across root ports, the second device's accesses go nowhere.""",
    sees="It works on the developer's machine; with iommu=on it faults.",
    broken=Plan(more=(Borrower,), gpu=()),
    good=Plan(more=(ObedientNic,), gpu=()),
    story="app nic nic2 nic_dma nic2_dma ...",
    bench=Shares,
    knobs=(PAGES, DMA, IOMMU),
)
