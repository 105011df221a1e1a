"""E18: a GPU reset: the BAR is there again, and its content is not."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import case
from p2plab.core.errors import KernelError
from p2plab.drivers.disasters import reset
from p2plab.drivers.gpu import Gpu
from p2plab.mm import Vma


class LendsWhatIsLost(Gpu):
    """The object is where it was: that is enough, it thinks."""

    def check(self, vma: Vma, write: bool) -> None:
        """Everything but the content."""
        try:
            super().check(vma, write)
        except KernelError as error:
            if error.name != "EIO":
                raise


class Resets(Bench):
    """The GPU hangs and is reset."""

    @job("gpu")
    async def reset(self) -> None:
        """Everybody gives back; the content of all objects is lost; the GPU works again."""
        await reset(self.gpu)


CASE = case(
    "E18",
    "forgets-its-content",
    "after a reset the GPU lends memory whose content is gone",
    rule="content-kept",
    about="""The GPU hangs and is reset, and its memory is empty afterwards. The NIC maps again and succeeds: the promise
    of predictability is kept to the letter. What it reads is not what the process left there.""",
    sees="A question that the thread leaves open: may such a map succeed? The twin answers -EIO until the owner fills "
    "the object anew.",
    broken=Plan(exporter=LendsWhatIsLost, gpu=("reset",)),
    good=Plan(gpu=("reset",)),
    bench=Resets,
)
