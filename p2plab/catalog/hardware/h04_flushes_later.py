"""H4: the IOMMU flushes its IOTLB some time after the unmap, and a device that disobeys uses the time."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import DMA, PAGES, case
from p2plab.catalog.ignorant import IgnorantNic

CASE = case(
    "H4",
    "flushes-later",
    "what was unmapped can still be reached: the IOTLB is flushed later",
    rule="iotlb-flushed",
    about="""The IOMMU is on, and flushes lazily: an unmap returns while the IOTLB still has the entry. The NIC ignores the
    notifier. In strict mode its writes would fault; here they go where the IOVA led before, to the slot's new tenant.""",
    sees="An IOMMU that protects nobody for some milliseconds. The twin's NIC obeys, and then the late flush harms nobody.",
    broken=Plan(importer=IgnorantNic, iommu=True, lazy=True, then=("dma", "dma")),
    good=Plan(iommu=True, lazy=True, then=("dma", "dma")),
    story="app nic nic_dma*4 gpu nic_dma ...",
    knobs=(PAGES, DMA),
)
