"""F1: the NIC hears that its range goes away, and keeps everything."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.catalog.ignorant import IgnorantNic

CASE = case(
    "F1",
    "ignores-clear",
    "the NIC ignores the exporter's CLEAR",
    rule="obedience",
    about="""The GPU closes a hole of its aperture and tells everybody first. The NIC says yes and does nothing. Its DMA
    goes on to the old bus addresses, which now show somebody else's object.""",
    sees="No error anywhere: foreign bytes are overwritten, or read. With an IOMMU the access faults and is logged.",
    broken=Plan(importer=IgnorantNic),
)
