"""What a scene has on its machine, for views, the lab, questions and tests; and what is still lent at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from p2plab.core.errors import BadInput
from p2plab.core.world import World
from p2plab.mm import AddressSpace
from p2plab.p2p.aperture import Aperture
from p2plab.p2p.exporter import Exporter
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.mapper import Mapper
from p2plab.p2p.memory import DeviceMemory
from p2plab.pci import Machine


class Lender(Protocol):
    """The lender of memory: a device's driver, or the memory manager where a design shares ordinary memory."""

    name: str
    bdf: str
    machine: Machine
    memory: DeviceMemory
    aperture: Aperture
    fabric: Fabric | None


@dataclass(frozen=True)
class Things:
    """Each tuple has at least one entry, the scene's before those added to it.

    ``base`` is the virtual address (bytes) from which views count pages, and ``width`` how many they show.
    """

    spaces: tuple[AddressSpace, ...]
    exporters: tuple[Lender, ...]
    importers: tuple[Mapper, ...]
    base: int
    width: int
    machine: Machine


def things_of(world: World) -> Things:
    """What the world shows. :exc:`BadInput` for a world whose build function set no :class:`Things`."""
    if not isinstance(world.things, Things):
        raise BadInput("this scene shows nothing: its build function has to set world.things to a Things")
    return world.things


def leaks(world: World) -> tuple[tuple[str, str, int], ...]:
    """(exporter, importer, pages) that stay lent when no actor can act any more, as CONFIG_DMA_API_DEBUG finds them.

    The kernel says it when the importer's driver is unbound: "device driver has pending DMA allocations" (kernel/dma/debug.c,
    ``dma_debug_device_change``). It sees only what was mapped for the device that goes.
    """
    things = world.things
    if not isinstance(things, Things) or world.enabled() or world.blocked:
        return ()
    holds = {
        (importer.name, page): not grant.pointer.freed
        for importer in things.importers
        if isinstance(importer, Mapper)
        for page, grant in importer.held.items()
        if hasattr(grant, "pointer")
    }
    found: dict[tuple[str, str], int] = {}
    for exporter in things.exporters:
        if isinstance(exporter, Exporter):
            for importer, page in exporter.lent:
                if not holds.get((importer, page)):
                    found[exporter.name, importer] = found.get((exporter.name, importer), 0) + 1
    return tuple((exporter, importer, pages) for (exporter, importer), pages in found.items())
