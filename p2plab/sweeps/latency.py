"""How long an exporter's invalidation takes, against the number of importers and the time each needs to quiesce.

The notifier calls its listeners one after another, so their times add up. By the model's clock, in ticks.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.rig import BASE
from p2plab.core.schedule import by_clock, follow
from p2plab.core.world import World
from p2plab.drivers.quiescing import QuiescingNic
from p2plab.mm import MAP_SHARED, NotifierEnd, NotifierStart
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.engine import Transfer
from p2plab.sweeps.table import Point, Progress, Sweep, point, silent

IMPORTERS = (1, 2, 4, 8)
QUIESCE = (1, 5, 20)
PAGES, TRANSFERS = 4, 60


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
    """One invalidation in the middle of all transfers; the seed draws its time, and each quiesce time.

    A quiesce time is between half and one and a half times ``ticks``.
    """
    choose = random.Random(f"{seed} {count} {ticks}")
    times_to_stop = [max(1, round(ticks * (0.5 + choose.random()))) for _ in range(count)]
    when = 400 + int(choose.random() * 100)
    plan = Plan(
        importer=QuiescingNic,
        more=(QuiescingNic,) * (count - 1),
        pages=PAGES,
        slots=PAGES + 3,
        app=("everybody",),
        gpu=("invalidate",),
        gpu_ready=when,
    )

    def build(world: World) -> None:
        Crowd(world, plan, {"times to stop": times_to_stop})

    world = World(build)
    follow(world, by_clock, 20_000)
    times = {type(e.event): e.time for e in world.log if isinstance(e.event, NotifierStart | NotifierEnd)}
    return times[NotifierEnd] - times[NotifierStart]


class Crowd(Bench):
    """Many importers, each with a long queue of transfers over the same pages."""

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """How long each needs to stop."""
        for station, ticks in zip(self.stations, settings["times to stop"], strict=True):
            assert isinstance(station.importer, QuiescingNic)
            station.importer.quiesce_ticks = ticks

    @job("app")
    async def everybody(self) -> None:
        """The process maps; the importers map one after another, and get their work."""
        end = BASE + PAGES * PAGE_SIZE
        await self.mm.mmap(BASE, PAGES * PAGE_SIZE, flags=MAP_SHARED, file=self.gpu.open_file("A"))
        for station in self.stations:
            await station.importer.listen(BASE, end)
            await station.importer.map(BASE, end)
            for _ in range(TRANSFERS):
                station.importer.engine.start(Transfer(BASE, end, write=True))
