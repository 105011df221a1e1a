"""How long an exporter's invalidation takes, against the number of importers and the time each needs to quiesce.

The notifier calls its listeners one after the other, so their times add up. By the model's clock, in ticks.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from p2plab.core.actors import step
from p2plab.core.schedule import by_clock, follow
from p2plab.core.world import World
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.quiescing import QuiescingNic
from p2plab.mm import MAP_SHARED, RFC2019, AddressSpace, NotifierEnd, NotifierStart
from p2plab.p2p.aperture import PAGE_SIZE, Aperture
from p2plab.p2p.engine import Transfer
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.memory import DeviceMemory
from p2plab.pci import Machine
from p2plab.sweeps.table import Point, Progress, Sweep, point, silent

IMPORTERS = (1, 2, 4, 8)
QUIESCE = (1, 5, 20)
BASE, PAGES = 0x7F00_0000_0000, 4


def latency(
    seeds: int = 10,
    importers: tuple[int, ...] = IMPORTERS,
    quiesce: tuple[int, ...] = QUIESCE,
    progress: Progress = silent,
) -> Sweep:
    """For each number of importers (x) and each quiesce time (series): ticks from the notifier's start to its end."""
    points: list[Point] = []
    total, done = len(importers) * len(quiesce) * seeds, 0
    for ticks in quiesce:
        for count in importers:
            found = []
            for seed in range(seeds):
                found.append(float(one(seed, count, ticks)))
                done += 1
                progress(done, total)
            points.append(point(f"quiesce {ticks}", count, "ticks from start to end", found))
    return Sweep("latency", "importers", tuple(points))


def one(seed: int, count: int, ticks: int) -> int:
    """One invalidation in the middle of everybody's transfers; the seed draws when it comes, and each quiesce time.

    A quiesce time lies between half and one and a half times ``ticks``.
    """
    choose = random.Random(f"{seed} {count} {ticks}")
    times_to_stop = [max(1, round(ticks * (0.5 + choose.random()))) for _ in range(count)]
    world = World(lambda world: _build(world, times_to_stop, 400 + int(choose.random() * 100)))
    follow(world, by_clock, 20_000)
    times = {type(e.event): e.time for e in world.log if isinstance(e.event, NotifierStart | NotifierEnd)}
    return times[NotifierEnd] - times[NotifierStart]


def _build(world: World, times_to_stop: list[int], when: int) -> None:
    machine = Machine("none", ())
    memory = DeviceMemory(PAGES)
    gpu = _Lends("gpu", "0000:00:00.0", machine, memory, Aperture("gpu", 1 << 31, PAGES, memory), Fabric(machine))
    thing = memory.create("A", "app", PAGES)
    gpu.aperture.place(thing)
    mm = AddressSpace("app", RFC2019)
    nics = []
    for number, ticks in enumerate(times_to_stop):
        nics.append(QuiescingNic(world, f"nic{number}", "0000:00:00.0", mm, Fabric(machine)))
        nics[-1].quiesce_ticks = ticks
    end = BASE + PAGES * PAGE_SIZE

    async def everybody() -> None:
        await mm.mmap(BASE, PAGES * PAGE_SIZE, flags=MAP_SHARED, file=gpu.open_file("A"))
        for nic in nics:
            await nic.listen(BASE, end)
            await nic.map(BASE, end)
            for transfer in _transfers(end):
                nic.engine.start(transfer)

    async def exporter() -> None:
        await step("invalidates")
        await gpu.invalidate(thing)

    world.actor("app", everybody)
    world.actor("gpu", exporter, when)


def _transfers(end: int) -> Iterator[Transfer]:
    for _ in range(60):
        yield Transfer(BASE, end, write=True)


class _Lends(Gpu):
    """A GPU that everybody reaches: topology is not what this is about."""

    def reaches(self, peer: object) -> bool:
        return True
