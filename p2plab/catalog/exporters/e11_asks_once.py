"""E11: the GPU tests permission at mmap only."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import case
from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.drivers.gpu import Gpu
from p2plab.mm import Vma


class AsksOnce(Gpu):
    """Whoever has the mapping has the permission, it thinks."""

    def check(self, vma: Vma, write: bool) -> None:
        """Everything but the permission."""
        try:
            super().check(vma, write)
        except KernelError as error:
            if error.name != "EACCES":
                raise


class Withdraws(Bench):
    """The owner withdraws the permission and has the object taken back."""

    @job("gpu")
    async def withdraw(self) -> None:
        """A may no longer be lent; every importer gives it back."""
        thing = self.memory.objects["A"]
        await step("withdraws the permission", lambda: self.gpu.permit(thing, False))
        await self.gpu.invalidate(thing)


CASE = case(
    "E11",
    "asks-once",
    "the GPU tests permission at mmap only",
    rule="asked-each-time",
    about="""The owner of the object withdraws the permission to lend it, and it is taken back from the NIC. The NIC maps
    again, as it may. The GPU tested the permission at mmap and lends it once more.""",
    sees="A contradiction of two promises, said aloud: predictability read literally forbids the refusal that "
    "permission demands. The twin refuses with -EACCES, and the board notes why that is excused.",
    broken=Plan(exporter=AsksOnce, gpu=("withdraw",)),
    good=Plan(gpu=("withdraw",)),
    bench=Withdraws,
)
