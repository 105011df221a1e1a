"""F16: the NIC asks for reading, and writes."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import IOMMU, PAGES, case
from p2plab.drivers.nic import ObedientNic


class AsksToRead(ObedientNic):
    """Asks for as little as possible, so as not to be refused."""

    async def map(self, start: int, end: int) -> None:
        """``write`` is false, whatever the device is going to do."""
        self.write = False
        await super().map(start, end)


CASE = case(
    "F16",
    "writes-what-it-reads",
    "the NIC asks for reading and then writes",
    rule="writes-as-asked",
    about="""The NIC maps with write=false. Its device writes. In the series of 2019 nobody but the exporter could have
    objected, and a bus address has no write bit.""",
    sees="Bytes changed through a mapping that was asked for reading.",
    broken=Plan(importer=AsksToRead),
    knobs=(PAGES, IOMMU),
)
