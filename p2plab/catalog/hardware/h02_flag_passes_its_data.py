"""H2: the NIC writes its flag with relaxed ordering, and the flag passes the data."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import PAGES, case
from p2plab.drivers.nic import ObedientNic
from p2plab.p2p.engines import PostingEngine


class AllRelaxed(PostingEngine):
    """The attribute is set for the whole memory region, the flag's page included."""


class DataRelaxed(PostingEngine):
    """Only the data may pass others; the flag keeps its place behind them."""

    relaxed = "data"


class RelaxesItsFlag(ObedientNic):
    """Turns relaxed ordering on for all its writes, because it is faster."""

    device = AllRelaxed


class KeepsItsFlagInOrder(ObedientNic):
    """Turns it on for the data alone."""

    device = DataRelaxed


CASE = case(
    "H2",
    "flag-passes-its-data",
    "the NIC's flag passes its data on the way",
    rule="flag-after-data",
    about="""The NIC writes data into A and a flag behind them, both posted. With relaxed ordering a write may pass those before
    it. So whoever polls the flag finds it set, and old data in front of it.""",
    sees="A flag that says too much, on some machines and some days. Without relaxed ordering posted writes stay in order.",
    broken=Plan(importer=RelaxesItsFlag, gpu=()),
    good=Plan(importer=KeepsItsFlagInOrder, gpu=()),
    story="app nic nic_dma*4 nic_passing ...",
    knobs=(PAGES,),
    takes=("exporter",),
)
