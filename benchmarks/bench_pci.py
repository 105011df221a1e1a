"""How the PCI side grows: every pair's verdict, addresses for every BAR, reading text, and broken inputs.

Run by hand: ``python benchmarks/bench_pci.py [--inputs N]``. Times are of the machine it runs on; the exponents say how
they grow when the number of functions doubles.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from p2plab.pci import (  # noqa: E402
    RFC2019,
    Device,
    FunctionKind,
    HostBridge,
    Machine,
    Resource,
    assign_resources,
    broken,
    reach_matrix,
    reach_verdict,
    read_lspci,
    with_acs,
)
from p2plab.pci.resource import IORESOURCE_UNSET  # noqa: E402
from tests.pci.fuzz import broken_recordings, broken_texts, try_recording, try_text  # noqa: E402

SIZES = (125, 250, 500, 1000, 2000)
PREF64, MEM32 = 0x14220C, 0x40200


def tree(functions: int, seed: int = 1) -> Machine:
    """Switches of up to 24 ports below root ports, two functions below each port, four host bridges; BARs unplaced."""
    rng = random.Random(seed)
    devices: list[Device] = []
    hosts = [f"pci{domain:04x}:00" for domain in range(4)]
    bus = dict.fromkeys(range(4), 0)
    while len(devices) < functions:
        domain = len(devices) * 4 // functions
        host = hosts[domain]
        ports = min(24, max(1, (functions - len(devices) - 2) // 3))
        first = bus[domain] + 1
        root = _bridge(
            domain, 0, (first >> 3) & 31, first & 7, FunctionKind.ROOT_PORT, first, first + 1 + ports, None, host
        )
        upstream = _bridge(domain, first, 0, 0, FunctionKind.UPSTREAM, first + 1, first + 1 + ports, root.bdf, host)
        devices += [root, upstream]
        for port in range(ports):
            here = first + 2 + port
            down = _bridge(domain, first + 1, port, 0, FunctionKind.DOWNSTREAM, here, here, upstream.bdf, host)
            devices.append(down)
            for function in range(2):
                devices.append(_function(rng, f"{domain:04x}:{here:02x}:00.{function}", down.bdf, host))
        bus[domain] = first + 1 + ports
    devices = devices[:functions]
    machine = Machine("tree", tuple(devices), tuple(map(_host, range(4))), "intel")
    return with_acs(machine, {d.bdf: rng.choice((0, 0, 0, 0x1D)) for d in devices if d.is_bridge})


def _host(domain: int) -> HostBridge:
    """A quarter of the addresses for each."""
    low, high = 0x4000_0000 + domain * 0x2C00_0000, (domain + 1) << 45
    windows = (
        Resource(16, low, low + 0x2C00_0000 - 1, 0x200200),
        Resource(17, high, high + (1 << 45) - 1, 0x200200),
    )
    return HostBridge(f"pci{domain:04x}:00", windows)


def _bridge(
    domain: int,
    bus: int,
    slot: int,
    function: int,
    kind: FunctionKind,
    first: int,
    last: int,
    parent: str | None,
    host: str,
) -> Device:
    bdf = f"{domain:04x}:{bus:02x}:{slot:02x}.{function}"
    return Device(
        bdf, kind, 0x1B36, 0xC, 0x060400, parent=parent, host_bridge=host, secondary=first, subordinate=last
    )  # fmt: skip


def _function(rng: random.Random, bdf: str, parent: str, host: str) -> Device:
    big, small = 1 << rng.randint(20, 34), 1 << rng.randint(12, 16)
    bars = (
        Resource(0, 0, small - 1, MEM32 | IORESOURCE_UNSET),
        Resource(2, 0, big - 1, PREF64 | IORESOURCE_UNSET),
    )
    return Device(bdf, FunctionKind.ENDPOINT, 0x1AF4, 0x1110, 0x050000, parent=parent, host_bridge=host, resources=bars)


def timed(call: Callable[[], object]) -> float:
    """Seconds of the fastest of three runs."""
    best = math.inf
    for _ in range(3):
        gc.collect()
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return best


def growth(times: list[float]) -> float:
    """The exponent between the first and the last size."""
    return math.log(times[-1] / times[0]) / math.log(SIZES[-1] / SIZES[0])


def matrices() -> Iterator[str]:
    """Every function with every function, bridges included, both rule sets' cost apart."""
    yield "reachability matrix, every function with every function, today's rules"
    yield f"  {'functions':>9} {'pairs':>10} {'seconds':>9} {'ns a pair':>10}"
    times = []
    for size in SIZES:
        machine = tree(size)
        everyone = [device.bdf for device in machine]
        times.append(timed(lambda m=machine, e=everyone: reach_matrix(m, e)))  # type: ignore[misc]
        yield f"  {size:>9} {size * size:>10} {times[-1]:>9.3f} {times[-1] / size**2 * 1e9:>10.0f}"
    yield f"  grows with exponent {growth(times):.2f} (pairs: 2)"
    machine, rng = tree(1000), random.Random(2)
    everyone = [device.bdf for device in machine]
    old, new = reach_matrix(machine, everyone, RFC2019), reach_matrix(machine, everyone)
    for _ in range(5000):
        a, b = rng.choice(everyone), rng.choice(everyone)
        assert old.cell(a, b).distance == reach_verdict(machine, a, b, RFC2019).distance
        assert new.cell(a, b) == (reach_verdict(machine, a, b).map_type, reach_verdict(machine, a, b).distance)
    yield "  5,000 random pairs of 1,000 functions agree with the single verdicts, in both rule sets"


def allocations() -> Iterator[str]:
    """Blank machines, every window to be sized and every BAR to be placed."""
    yield "allocator, blank machine"
    yield f"  {'functions':>9} {'BARs':>10} {'seconds':>9} {'refused':>8}"
    times = []
    for size in SIZES:
        machine = tree(size)
        times.append(timed(lambda m=machine: assign_resources(m)))  # type: ignore[misc]
        done = assign_resources(machine)
        assert not broken(done.machine)
        bars = sum(len(device.bars) for device in machine)
        yield f"  {size:>9} {bars:>10} {times[-1]:>9.3f} {len(done.refused):>8}"
    yield f"  grows with exponent {growth(times):.2f}; every layout sound"


def reading() -> Iterator[str]:
    """All recorded lspci text, and one text repeated for many domains."""
    yield "reading lspci -vvv and -xxx"
    texts = []
    for path in sorted((ROOT / "assets" / "recordings" / "pci").glob("*.json")):
        data = json.loads(path.read_text())
        texts.append("\n".join(data["lspci_vvv"] + data["lspci_xxx"]))
    size = sum(map(len, texts))
    seconds = timed(lambda: [read_lspci(text) for text in texts])
    yield f"  {len(texts)} recorded machines, {size / 1e6:.2f} MB: {seconds:.3f} s, {size / seconds / 1e6:.1f} MB/s"


def fuzzing(inputs: int) -> Iterator[str]:
    """Mutated inputs: read or refused by line, never anything else."""
    yield "broken inputs"
    for what, make, attempt, share in (
        ("lspci text", broken_texts, try_text, 0.7),
        ("recordings", broken_recordings, try_recording, 0.3),
    ):
        began, slowest = time.perf_counter(), 0.0
        seen: Counter[str] = Counter()
        for text in make(round(inputs * share), seed=inputs):
            start = time.perf_counter()
            seen[attempt(text)] += 1
            slowest = max(slowest, time.perf_counter() - start)
        assert set(seen) <= {"read", "refused"}, seen
        took = time.perf_counter() - began
        sums = ", ".join(f"{kind} {count}" for kind, count in sorted(seen.items()))
        yield f"  {what}: {seen.total()} tried in {took:.0f} s, slowest {slowest * 1e3:.0f} ms: {sums}, crashed 0"


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="broken inputs to try (default 100000)")
    arguments = parser.parse_args()
    for part in (matrices(), allocations(), reading(), fuzzing(arguments.inputs)):
        for line in part:
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
