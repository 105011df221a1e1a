"""C5: the BAR cannot be enlarged, because the bridge window has no room; the old size is back."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import DMA, case
from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.drivers.gpu import Gpu
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.memory import BufferObject
from p2plab.pci import Machine, ResizableBar, resize_bar, with_decode

MIB = 1 << 20


class TrustsTheResize(Gpu):
    """Never checks what the resize returned: with ``linear`` it believes that its BAR covers all its memory."""

    linear = False

    def place_of(self, thing: BufferObject, first: int, count: int) -> list[tuple[int, str]]:
        """With a large BAR every frame has its own place."""
        if not self.linear:
            return super().place_of(thing, first, count)
        base = int(self.aperture.base) + 128 * MIB
        return [(base + frame * PAGE_SIZE, "bar") for frame in thing.frames[first : first + count]]


class Resizes(Bench):
    """The GPU's BAR 2 offers 128 MiB, as it is, and 512 GiB, for which no window above has room."""

    def make_machine(self) -> Machine:
        """The recorded machine, with a Resizable BAR capability added to the GPU."""
        machine = super().make_machine()
        rebar = (ResizableBar(self.plan.bar, 1 << 7 | 1 << 19, 7),)
        devices = tuple(replace(d, rebar=rebar) if d.bdf == self.plan.exporter_at else d for d in machine.devices)
        return replace(machine, devices=devices)

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """What the resize returned, for drivers that check."""
        self.refused = ""

    @job("gpu")
    async def resize(self) -> None:
        """Ask for 512 GiB: decode off, resize, decode on again."""
        await step("asks for a larger BAR", self._resize)

    def _resize(self) -> None:
        bdf = self.plan.exporter_at
        try:
            resize_bar(with_decode(self.machine, bdf, False), bdf, self.plan.bar, 1 << 39)
        except KernelError as error:
            self.refused = error.name
        if isinstance(self.gpu, TrustsTheResize):
            self.gpu.linear = True


CASE = case(
    "C5",
    "resize-refused",
    "a Resizable BAR that finds no room",
    rule="inside-bar",
    about="""The GPU asks for a BAR as large as its memory. The bridge window above has no room: -ENOSPC, and the old size
    and place are back. This driver does not look at the answer, and lends addresses beyond its BAR.""",
    sees="The kernel's refusal is in order; the driver's belief is not. The twin goes on with its windowed aperture.",
    broken=Plan(exporter=TrustsTheResize, gpu=("resize",)),
    good=Plan(gpu=("resize",)),
    story="gpu app nic nic_dma ...",
    bench=Resizes,
    knobs=(DMA,),
)
