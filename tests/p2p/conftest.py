"""A small world with a GPU, one process and no importer, in which a test runs one coroutine to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from p2plab.catalog.rig import BAR, BASE, GPU, NICS, recorded_machine
from p2plab.core.actors import run_alone
from p2plab.core.errors import KernelError
from p2plab.core.events import Event
from p2plab.core.world import World
from p2plab.drivers.gpu import Gpu
from p2plab.mm import MAP_SHARED, RFC2019, AddressSpace
from p2plab.p2p.aperture import PAGE_SIZE, Aperture
from p2plab.p2p.contract import Grant, Peer, p2p_map, p2p_unmap
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.iommu import Iommu
from p2plab.p2p.memory import DeviceMemory, MainMemory


class Kit:
    """The pieces, and what a test asks of them; everything happens in one actor, called ``test``."""

    def __init__(self, gpu_class: type[Gpu] = Gpu, slots: int = 8, iommu: bool = False, ram: int = 0) -> None:
        self.base = BASE
        self.nic = Peer("nic", NICS["same-switch"])
        self.far = Peer("far", NICS["other-switch"])
        self._make = (gpu_class, slots, iommu, ram)

    def build(self, _world: World) -> None:
        gpu_class, slots, iommu, ram = self._make
        machine = recorded_machine()
        self.memory = DeviceMemory(16)
        bar = next(r for r in machine[GPU].bars if r.index == BAR)
        self.aperture = Aperture("gpu", bar.start, slots, self.memory)
        self.fabric = Fabric(machine, Iommu() if iommu else None, MainMemory(ram) if ram else None)
        self.fabric.attach(GPU, BAR, self.aperture)
        self.gpu = gpu_class("gpu", GPU, machine, self.memory, self.aperture, self.fabric)
        self.thing = self.memory.create("A", "app", 4)
        self.mm = AddressSpace("app", RFC2019)

    def run(self, story: Callable[[Kit], Awaitable[None]]) -> World:
        """Build, and run the story alone; returns the world, whose log can be looked at."""

        def build(world: World) -> None:
            self.build(world)

            async def job() -> None:
                await story(self)

            run_alone(job)

        return World(build)

    async def mmap(self, pages: int = 4, **more: object) -> None:
        """The process maps A at ``base``."""
        file = self.gpu.open_file("A")
        await self.mm.mmap(self.base, pages * PAGE_SIZE, flags=MAP_SHARED, file=file, **more)  # type: ignore[arg-type]

    async def map(
        self, first: int = 0, last: int = 4, peer: Peer | None = None, write: bool = True
    ) -> tuple[Grant, ...]:
        """``p2p_map`` of pages ``first`` to ``last``, under mmap_lock."""
        async with self.mm.mmap_lock.read():
            start, end = self.base + first * PAGE_SIZE, self.base + last * PAGE_SIZE
            return await p2p_map(self.mm, peer or self.nic, start, end, write)

    async def unmap(self, grants: tuple[Grant, ...], peer: Peer | None = None) -> None:
        """``p2p_unmap``."""
        await p2p_unmap(peer or self.nic, grants)

    async def refused(self, *arguments: object, **more: object) -> str:
        """The whole sentence with which a map is refused."""
        with pytest.raises(KernelError) as refusal:
            await self.map(*arguments, **more)  # type: ignore[arg-type]
        return str(refusal.value)


@pytest.fixture
def kit() -> type[Kit]:
    """The class: each test chooses its own pieces."""
    return Kit


def kinds(world: World, *names: str) -> list[Event]:
    """The events of these kinds, in order."""
    return [entry.event for entry in world.log if entry.event.kind in names]
