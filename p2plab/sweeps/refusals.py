"""Refusals against over-subscription, for each predictability policy: the driver's own code, without its locks.

Two importers that want 200 MiB each of a 256 MiB BAR are an over-subscription of about 1.6.
"""

from __future__ import annotations

import random
from collections import Counter

from p2plab.core.errors import KernelError
from p2plab.core.world import World
from p2plab.p2p.aperture import Aperture
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.memory import BufferObject, DeviceMemory, MainMemory
from p2plab.p2p.placing import POLICIES, Placing
from p2plab.pci import Machine
from p2plab.sweeps.table import Point, Progress, Sweep, point, silent

SLOTS = 64
IMPORTERS = 8
ROUNDS = 60
RATIOS = (0.5, 0.75, 1.0, 1.25, 1.6, 2.0)
SET_UP, LATER, RAM = "refused at set-up, share of importers", "refused later, share of maps", "pages from main memory"


def refusals(
    seeds: int = 20,
    ratios: tuple[float, ...] = RATIOS,
    policies: tuple[str, ...] = tuple(POLICIES),
    progress: Progress = silent,
) -> Sweep:
    """For each ratio of demand to aperture (x) and each policy (series): refusals, and what goes elsewhere."""
    points: list[Point] = []
    total, done = len(policies) * len(ratios) * seeds, 0
    for policy in policies:
        for ratio in ratios:
            found = []
            for seed in range(seeds):
                found.append(one(seed, ratio, policy))
                done += 1
                progress(done, total)
            for quantity in (SET_UP, LATER, RAM):
                points.append(point(policy, ratio, quantity, (result[quantity] for result in found)))
    return Sweep("refusals", "demand / BAR", tuple(points))


def one(seed: int, ratio: float, policy: str) -> dict[str, float]:
    """One GPU and its importers: each maps once; then the GPU evicts from time to time, and its users map again."""
    choose = random.Random(f"{seed} {ratio} {policy}")
    counts: Counter[str] = Counter()

    def build(_world: World) -> None:
        gpu, things = _stand(ratio, policy)
        served = [thing for thing in things if _asks(gpu, thing, counts, "set-up")]
        for _ in range(ROUNDS if served else 0):
            victim = gpu.least_recent()
            if victim is not None:
                gpu.take_out(victim)
            own = gpu.memory.objects["own"]
            if choose.random() < 0.5 and None in gpu.aperture.slots_of(own):
                _try(gpu, own)
            else:
                gpu.take_out(own)
            _asks(gpu, served[int(choose.random() * len(served))], counts, "later")

    World(build)
    maps = max(1, counts["later"])
    pages = max(1, counts["pages"])
    return {SET_UP: counts["set-up no"] / IMPORTERS, LATER: counts["later no"] / maps, RAM: counts["ram"] / pages}


def _stand(ratio: float, policy: str) -> tuple[Placing, list[BufferObject]]:
    size = max(1, round(ratio * SLOTS / IMPORTERS))
    memory = DeviceMemory(IMPORTERS * size + SLOTS // 4)
    aperture = Aperture("gpu", 1 << 31, SLOTS, memory)
    machine = Machine("none", ())
    gpu = Placing("gpu", "0000:00:00.0", machine, memory, aperture, Fabric(machine, None, MainMemory(IMPORTERS * size)))
    gpu.policy, gpu.cap = policy, SLOTS // 2
    things = [memory.create(f"o{number}", f"app{number}", size) for number in range(IMPORTERS)]
    memory.create("own", "gpu", SLOTS // 4)
    for thing in things:
        gpu.open_file(thing.name)
    return gpu, things


def _asks(gpu: Placing, thing: BufferObject, counts: Counter[str], when: str) -> bool:
    counts[when] += 1
    try:
        places = gpu.place_of(thing, 0, len(thing.frames))
    except KernelError:
        counts[f"{when} no"] += 1
        return False
    counts["pages"] += len(places)
    counts["ram"] += sum(kind == "ram" for _, kind in places)
    return True


def _try(gpu: Placing, thing: BufferObject) -> None:
    try:
        gpu.aperture.place(thing)
    except KernelError:
        return  # no room for the GPU's own work this time
