"""H3: a device keeps a translation (ATS) that no driver made it drop, and its IOVA means another page by then."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import DMA, PAGES, case

CASE = case(
    "H3",
    "keeps-its-translations",
    "the NIC's own cache has a translation that is no longer true (ATS)",
    rule="atc-dropped",
    about="""The IOMMU is on, and the NIC's device keeps translations itself. The GPU moves A: the NIC obeys, gives its IOVAs
    back, maps again and is given the same ones. The IOMMU driver forgot to have the device drop what it keeps, so the
    device goes where the IOVA led before.""",
    sees="Damage to another process with everybody obedient and the IOMMU on. A right IOMMU driver has the device drop "
    "each translation that it takes out.",
    broken=Plan(iommu=True, ats="kept", then=("dma", "dma")),
    good=Plan(iommu=True, ats="on", then=("dma", "dma")),
    story="app nic nic_dma*4 gpu nic nic_dma ...",
    knobs=(PAGES, DMA),
)
