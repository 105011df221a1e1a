"""What is lent to somebody who cannot give it back: found where all have come to rest, as CONFIG_DMA_API_DEBUG finds it."""

from __future__ import annotations

from p2plab.core.world import World
from p2plab.p2p.exporter import Exporter
from p2plab.p2p.mapper import Mapper
from p2plab.p2p.things import Things


def leaks(world: World) -> tuple[tuple[str, str, int], ...]:
    """(exporter, importer, pages) that stay lent for good; empty while somebody can still act, or where none are.

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
