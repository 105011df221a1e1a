"""F21: the exporter invalidates faster than the NIC can map."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import case


class Restless(Bench):
    """The GPU takes A back again and again."""

    @job("gpu")
    async def restless(self) -> None:
        """Take A back four times in a row, for no reason."""
        for _ in range(4):
            await self.gpu.invalidate(self.memory.objects["A"])


CASE = case(
    "F21",
    "overtaken",
    "the exporter invalidates faster than the NIC maps",
    rule="comes-to-an-end",
    about="""The NIC maps, looks again, finds that the range was invalidated meanwhile, and goes round. The exporter
    invalidates once more, each time just before the second look. Both keep to the rules, and nothing gets done.""",
    sees="A live-lock: a retry counter that rises. The kernel's example, lib/test_hmm.c, gives up with -EBUSY after 1000 ms.",
    broken=Plan(gpu=("restless",), timed=True),
    good=Plan(timed=True),
    story="app nic*6 gpu*9 nic*8 gpu*8 nic*8 gpu*8 nic*8 ...",
    bench=Restless,
)
