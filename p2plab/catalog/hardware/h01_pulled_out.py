"""H1: the GPU is pulled out, and the NIC reports an unanswered transfer as done."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import DMA, PAGES, case
from p2plab.core.actors import step
from p2plab.drivers.nic import ObedientNic
from p2plab.p2p.engines import CheckingEngine
from p2plab.p2p.events import SURPRISE


class PulledOut(Bench):
    """The GPU is pulled out of its slot: no driver is asked, and no importer can be notified."""

    @job("gpu")
    async def pulled_out(self) -> None:
        """From here on reads return all ones, and posted writes vanish."""
        await step("is pulled out", lambda: self.gpu.power_off(SURPRISE))


class ChecksItsCompletions(ObedientNic):
    """Its device reads the last page again before it says that a transfer is done."""

    device = CheckingEngine


CASE = case(
    "H1",
    "pulled-out",
    "the NIC reports a transfer as done that nobody answered",
    rule="all-ones-are-no-data",
    about="""The GPU is pulled out in the middle of a transfer. From then on reads return all ones, and posted writes vanish
    without a word. The NIC's device takes both for success.""",
    sees="A user who is told that the data are there. The twin reads the last page back, and reports an error.",
    bench=PulledOut,
    broken=Plan(gpu=("pulled_out",)),
    good=Plan(importer=ChecksItsCompletions, gpu=("pulled_out",)),
    knobs=(PAGES, DMA),
)
