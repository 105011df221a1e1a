"""E6: the GPU keeps its promise by reserving at the first map, and refuses the second importer at set-up."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import DMA, case
from p2plab.catalog.exporters.e04_refuses_later import Oversubscribed
from p2plab.drivers.nic import ObedientNic

CASE = case(
    "E6",
    "reserves",
    "the GPU keeps predictability by reserving, and refuses the next one",
    rule="everybody-served",
    about="""The GPU keeps the slots of whatever it lent once. A second process asks for another object, and there is no
    room left. It is refused at set-up, where its user can be told.""",
    sees="No promise broken: a price, honestly stated before the work begins.",
    broken=Plan(
        gpu=(), slots=4, at=1, later=2, policy="reserve", more=(ObedientNic,), second_process=True, second_object="C"
    ),
    good=Plan(
        gpu=(), slots=8, at=1, later=2, policy="reserve", more=(ObedientNic,), second_process=True, second_object="C"
    ),
    story="app nic nic2 ...",
    bench=Oversubscribed,
    knobs=(DMA,),
)
