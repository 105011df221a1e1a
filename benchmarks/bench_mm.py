"""How fast the model of address spaces is: recorded operations per second, and an operation's cost by number of VMAs.

Run it as ``python benchmarks/bench_mm.py``; about half a minute on one core.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from p2plab.conform.mm import conform
from p2plab.core.actors import run_alone
from p2plab.core.world import World
from p2plab.mm import MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE, AddressSpace, Memory

RECORDINGS = Path(__file__).parents[1] / "assets" / "recordings" / "mmu"
BASE = 0x7000_0000_0000
PAGE = 4096
SIZES = (10, 100, 1_000, 10_000, 100_000)
REPEATS = 200
#: Between two VMAs a page is left free, so that they do not merge.
STRIDE = 8 * PAGE
RW = PROT_READ | PROT_WRITE


def replayed() -> str:
    """Operations per second of ``conform mm`` over the random files."""
    files = sorted(RECORDINGS.glob("random_*.jsonl"))
    began = time.perf_counter()
    report = conform(files)
    seconds = time.perf_counter() - began
    rate = report.operations / seconds
    return f"conform mm: {report.operations:,} operations in {seconds:.2f} s: {rate:,.0f} a second ({report.differ} differ)"


Operation = Callable[[AddressSpace, int], Awaitable[None]]


async def find(mm: AddressSpace, where: int) -> None:
    """find_vma"""
    mm.find_vma(where)


async def fault(mm: AddressSpace, where: int) -> None:
    """the first write to a page"""
    await mm.touch(where, where + PAGE, True)


async def map_unmap(mm: AddressSpace, where: int) -> None:
    """mmap between two others, and munmap"""
    hole = where + 6 * PAGE
    await mm.mmap(hole, PAGE, RW, MAP_PRIVATE | MAP_FIXED)
    await mm.munmap(hole, PAGE)


async def cut(mm: AddressSpace, where: int) -> None:
    """munmap of the middle of a VMA, and mmap of it again"""
    await mm.munmap(where + PAGE, PAGE)
    await mm.mmap(where + PAGE, PAGE, RW, MAP_PRIVATE | MAP_FIXED)


async def protect(mm: AddressSpace, where: int) -> None:
    """mprotect of part of a VMA, there and back"""
    await mm.mprotect(where + PAGE, PAGE, PROT_READ)
    await mm.mprotect(where + PAGE, PAGE, RW)


async def clear(mm: AddressSpace, where: int) -> None:
    """madvise(DONTNEED) of a VMA"""
    await mm.madvise(where, 4 * PAGE, "DONTNEED")


OPERATIONS: tuple[Operation, ...] = (find, fault, map_unmap, cut, protect, clear)


def costs(vmas: int) -> list[float]:
    """The median time of each operation (microseconds) in an address space of so many VMAs."""
    found: list[float] = []

    async def story() -> None:
        mm = AddressSpace(memory=Memory(max_map_count=1 << 20))
        for number in range(vmas):
            await mm.mmap(BASE + number * STRIDE, 4 * PAGE, RW, MAP_PRIVATE | MAP_FIXED)
        for operation in OPERATIONS:
            times = []
            for repeat in range(REPEATS):
                where = BASE + (repeat * 7919 % vmas) * STRIDE
                began = time.perf_counter()
                await operation(mm, where)
                times.append((time.perf_counter() - began) * 1e6)
                if operation is fault:  # so that the next write to this page is a first one again
                    await clear(mm, where)
            found.append(statistics.median(times))

    World(lambda _world: run_alone(story))
    return found


def exponent(values: list[float]) -> float:
    """The slope of log cost over log size: 0 is flat, 1 grows with the number of VMAs."""
    xs, ys = [math.log(size) for size in SIZES], [math.log(value) for value in values]
    mean_x, mean_y = statistics.mean(xs), statistics.mean(ys)
    above = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return above / sum((x - mean_x) ** 2 for x in xs)


def main() -> None:
    """Print both tables."""
    print(replayed())
    table = [costs(size) for size in SIZES]
    print(f"{'microseconds, by number of VMAs':<52}" + "".join(f"{size:>9,}" for size in SIZES) + "  exponent")
    for number, operation in enumerate(OPERATIONS):
        row = [costs_of_size[number] for costs_of_size in table]
        print(f"  {operation.__doc__:<50}" + "".join(f"{value:>9.1f}" for value in row) + f"{exponent(row):>10.3f}")


if __name__ == "__main__":
    main()
