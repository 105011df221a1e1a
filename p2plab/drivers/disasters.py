"""What may happen to an exporter: unplug, PCI error, hang, suspend, reset; each handled as orderly as the disaster allows.

The list of what is "really bad" is that of Jason Gunthorpe and Jérôme Glisse, 30 January 2019
(<20190130043020.GC30598@mellanox.com>, <20190130154328.GA3177@redhat.com>): after it a map may fail that succeeded before.
"""

from __future__ import annotations

from p2plab.core.actors import step, wait_event
from p2plab.core.events import emit
from p2plab.drivers.gpu import Gpu
from p2plab.p2p.events import ContentLost


async def go_away(gpu: Gpu, why: str) -> None:
    """Refuse new maps, take everything back, wait until nothing is lent; only then stop answering."""
    await _refuse(gpu, why)
    for name in list(gpu.files):
        await gpu.invalidate(gpu.files[name].thing)
    await wait_event(lambda: not gpu.lent, "nothing is lent any more")
    async with gpu.lock:
        await step(f"{gpu.name} goes", lambda: gpu.power_off(why))


async def come_back(gpu: Gpu) -> None:
    """Power up again: from here on it lends as before."""
    await step(f"{gpu.name} is back", lambda: _power_on(gpu))


async def reset(gpu: Gpu) -> None:
    """Take everything back, lose every object's bytes, and go on; owners have to fill their objects anew."""
    await _refuse(gpu, "reset")
    for name in list(gpu.files):
        await gpu.invalidate(gpu.files[name].thing)
    await wait_event(lambda: not gpu.lent, "nothing is lent any more")
    async with gpu.lock:
        await step(f"{gpu.name} is reset", lambda: _forget(gpu), duration=10)


async def _refuse(gpu: Gpu, why: str) -> None:
    async with gpu.lock:
        gpu.refuse_maps(why)


def _power_on(gpu: Gpu) -> None:
    gpu.aperture.powered = True
    gpu.gone = ""


def _forget(gpu: Gpu) -> None:
    for thing in gpu.memory.objects.values():
        gpu.memory.lose(thing)
        emit(ContentLost(gpu.name, thing.name))
    gpu.gone = ""
