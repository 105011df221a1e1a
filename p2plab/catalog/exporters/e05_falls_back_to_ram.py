"""E5: the GPU keeps its promise by moving the object to main memory."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import DMA, IOMMU, case
from p2plab.catalog.exporters.e04_refuses_later import Oversubscribed

CASE = case(
    "E5",
    "falls-back-to-ram",
    "the GPU keeps predictability by falling back to main memory",
    rule="peer-to-peer",
    about="""As in E4 the aperture is full when the NIC maps again. This GPU migrates the object to main memory and lends
    that. The job survives, and its data takes another path.""",
    sees="No promise broken: a price. The addresses are main memory, and the importer cannot tell.",
    broken=Plan(gpu=("render",), slots=4, later=3, at=1, policy="ram", ram=6),
    good=Plan(gpu=("render",), slots=8, later=3, at=1, policy="ram", ram=6),
    story="app nic nic_dma*3 gpu nic ...",
    bench=Oversubscribed,
    knobs=(DMA, IOMMU),
)
