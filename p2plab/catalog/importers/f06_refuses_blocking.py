"""F6: the NIC answers -EAGAIN to a call that may block."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.core import errno
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import MmuNotifierRange


class RefusesWhenBusy(ObedientNic):
    """Thinks that the kernel will come again."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Busy with a transfer: later, please."""
        if self.engine.queue:
            return -errno.EAGAIN
        return await super().invalidate_range_start(range)

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """Only what was begun is ended."""
        if self.invalidations:
            await super().invalidate_range_end(range)


CASE = case(
    "F6",
    "refuses-blocking",
    "the NIC answers -EAGAIN although the call may block",
    rule="refuses-rightly",
    about="""The NIC is in the middle of a transfer when the GPU wants its range back. It answers -EAGAIN. The kernel
    prints a warning and goes on as if it had obeyed.""",
    sees="A WARN in the log, and then everything of F1.",
    broken=Plan(importer=RefusesWhenBusy),
)
