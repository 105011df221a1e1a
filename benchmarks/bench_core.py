"""Steps per second of the world beside a bare SimPy process that does as many events, and what an import costs.

Both sides run in this process, in turns, five times; the table gives medians. SimPy schedules and does nothing else; the
world also records what each step read and wrote, keeps a log, and looks for deadlocks.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import simpy

from p2plab import find
from p2plab.core.actors import step
from p2plab.core.locks import Mutex
from p2plab.core.run import Run
from p2plab.core.schedule import by_clock, by_seed, follow, straight
from p2plab.core.tracked import Tracked
from p2plab.core.world import World

ACTORS, STEPS, ROUNDS = 10, 2_000, 5


class Counter(Tracked):
    """Shared state that each step changes."""

    def __init__(self) -> None:
        self.value = 0

    def more(self) -> None:
        self.value += 1


def bare(world: World) -> None:
    async def job() -> None:
        for _ in range(STEPS):
            await step("tick")

    for number in range(ACTORS):
        world.actor(f"a{number}", job)


def counting(world: World) -> None:
    counter = Counter()

    async def job() -> None:
        for _ in range(STEPS):
            await step("tick", counter.more)

    for number in range(ACTORS):
        world.actor(f"a{number}", job)


def locking(world: World) -> None:
    mutex = Mutex("mutex")

    async def job() -> None:
        for _ in range(STEPS // 2):
            async with mutex:
                pass

    for number in range(ACTORS):
        world.actor(f"a{number}", job)


def with_simpy() -> int:
    environment = simpy.Environment()

    def job():  # type: ignore[no-untyped-def]
        for _ in range(STEPS):
            yield environment.timeout(1)

    for _ in range(ACTORS):
        environment.process(job())
    environment.run()
    return ACTORS * STEPS


def with_world(build: Callable[[World], None], schedule) -> Callable[[], int]:  # type: ignore[no-untyped-def]
    return lambda: len(follow(World(build), schedule))


def replay() -> int:
    run = Run(find("defrag-obedient")).driven(by_seed(1))
    return sum(len(Run(run.scenario, run.settings, run.schedule)) for _ in range(50))


def main() -> None:
    contestants = {
        "SimPy, bare timeouts": with_simpy,
        "world, bare steps, straight": with_world(bare, straight),
        "world, bare steps, by clock": with_world(bare, by_clock),
        "world, a shared counter": with_world(counting, straight),
        "world, a mutex": with_world(locking, straight),
        "defrag scene, replayed": replay,
    }
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            start = time.perf_counter()
            events = run()
            rates[name].append(events / (time.perf_counter() - start))
    peer = statistics.median(rates["SimPy, bare timeouts"])
    print(f"{'what':<30} {'steps/s':>10} {'of SimPy':>9}")
    for name, measured in rates.items():
        middle = statistics.median(measured)
        print(f"{name:<30} {middle:>10,.0f} {middle / peer:>8.0%}")
    print(f"\n{'import (new process)':<30} {'ms':>10}")
    for what in ("sys", "p2plab", "p2plab.core.run", "p2plab.catalog", "p2plab.cli.run", "simpy", "p2plab.lab"):
        print(f"{what:<30} {import_time(what):>10.0f}")


def import_time(what: str) -> float:
    """Median milliseconds of five new processes that import one thing, interpreter start included."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {what}"], check=True)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    main()
