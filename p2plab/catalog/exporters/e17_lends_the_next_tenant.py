"""E17: the object is destroyed while its vma lives, and p2p_map lends the object that has its slots now."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import case
from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.drivers.gpu import Gpu
from p2plab.mm import Vma
from p2plab.p2p.events import MoveEnded
from p2plab.p2p.memory import BufferObject


class RemembersSlots(Gpu):
    """Keeps the slots of an object by its name, and does not notice its end."""

    def check(self, vma: Vma, write: bool) -> None:
        """Everything but the end of the object."""
        try:
            super().check(vma, write)
        except KernelError as error:
            if error.name != "ENXIO":
                raise

    def place_of(self, thing: BufferObject, first: int, count: int) -> list[tuple[int, str]]:
        """Where it used to be."""
        if thing.state != "destroyed":
            return super().place_of(thing, first, count)
        return [(self.aperture.address(2 + first + number), "bar") for number in range(count)]


class Destroys(Bench):
    """The owner frees the object; the next one gets its frames and its slots."""

    @job("gpu")
    async def destroy(self) -> None:
        """A is freed while its vma lives on, and D takes its place."""
        thing = self.memory.objects["A"]
        await self.gpu.begin_move(thing)
        async with self.gpu.lock:
            await step("frees A", lambda: self._replace(thing))

    def _replace(self, thing: BufferObject) -> None:
        self.gpu.destroy(thing)
        thing.moving = False
        emit(MoveEnded(self.gpu.name, thing.name))
        tenant = self.memory.create("D", "app2", len(thing.frames))
        self.aperture.place(tenant, at=2)


CASE = case(
    "E17",
    "lends-the-next-tenant",
    "p2p_map of a destroyed object lends the next tenant",
    rule="right-when-given",
    about="""The object is destroyed, and its vma is still mapped: their lives are not tied to each other. Another object
    gets its frames and slots. The NIC maps again, and is lent the new tenant.""",
    sees="A perfectly valid address of somebody else's memory. The twin answers -ENXIO.",
    broken=Plan(exporter=RemembersSlots, gpu=("destroy",)),
    good=Plan(gpu=("destroy",)),
    bench=Destroys,
)
