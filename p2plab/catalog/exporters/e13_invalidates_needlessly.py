"""E13: the GPU takes ranges back that were not going to move."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.catalog.importers.f21_overtaken import Restless

CASE = case(
    "E13",
    "invalidates-needlessly",
    "the GPU invalidates often, and moves nothing",
    rule="needless-invalidation",
    about="""The GPU takes the object back at every opportunity, to be on the safe side. Nothing has moved when the NIC maps
    again. Every time costs a callback, a drain and a map.""",
    sees="No promise broken: a price, and with bad luck the live-lock of F21.",
    broken=Plan(gpu=("restless",)),
    bench=Restless,
    story="app nic nic_dma gpu*9 nic ...",
)
