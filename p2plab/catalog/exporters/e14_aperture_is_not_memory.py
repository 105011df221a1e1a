"""E14: the GPU takes its aperture for as large as its memory."""

import functools
from dataclasses import replace

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import DMA, IOMMU, case
from p2plab.catalog.rig import BAR, GPU, recorded_machine
from p2plab.drivers.gpu import Gpu
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.memory import BufferObject
from p2plab.pci import Machine


class LinearBar(Gpu):
    """Frame n is at BAR + n pages: true of a BAR that shows all memory, 16 GiB say, and not of a 256 MiB window."""

    def place_of(self, thing: BufferObject, first: int, count: int) -> list[tuple[int, str]]:
        """No windows, no slots."""
        frames = thing.frames[first : first + count]
        return [(int(self.aperture.base) + frame * PAGE_SIZE, "bar") for frame in frames]


#: The function behind the GPU's, which the recorded machine does not have.
NEIGHBOUR = "0000:03:00.1"


@functools.cache
def with_neighbour(pages: int) -> Machine:
    """A BAR of ``pages`` pages, and right behind it that of the next function."""
    recorded = recorded_machine()
    gpu = recorded[GPU]
    old = next(bar for bar in gpu.bars if bar.index == BAR)
    size = pages * PAGE_SIZE
    small = replace(old, end=old.start + size - 1)
    beside = replace(old, index=0, start=old.start + size, end=old.start + 2 * size - 1)
    shrunk = replace(gpu, resources=tuple(small if r == old else r for r in gpu.resources))
    behind = replace(gpu, bdf=NEIGHBOUR, resources=(beside,))
    others = tuple(device for device in recorded.devices if device.bdf != GPU)
    return replace(recorded, devices=tuple(sorted((*others, shrunk, behind), key=lambda device: device.bdf)))


CASE = case(
    "E14",
    "aperture-is-not-memory",
    "the GPU assumes that its BAR shows all of its memory",
    rule="inside-bar",
    about="""The GPU computes bus addresses from frame numbers, as if the BAR were as large as the memory. Its aperture is
    smaller. The last address that it hands out lies beyond the BAR: in that of the next function, which takes the write.""",
    sees="Addresses that belong to nobody, and one that belongs to the next device: the damage says whose.",
    version=3,
    broken=Plan(exporter=LinearBar, gpu=(), slots=3, at=-1, later=1, pages=4, machine=with_neighbour(4)),
    good=Plan(gpu=(), slots=5, at=-1, later=1, pages=4, machine=with_neighbour(8)),
    story="app nic nic_dma ...",
    knobs=(DMA, IOMMU),
)
