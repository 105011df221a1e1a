"""What a class costs: memory and processor time of every process of the hub, told apart by whose it is and what it does."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

#: The parts of a class. ``driver`` is the simulation of the browsers itself.
HUB, PROXY, SERVER, KERNEL, DRIVER = "hub", "proxy", "server", "kernel", "driver"


@dataclass(frozen=True)
class Usage:
    """One process: whose (empty for the hub's own), which part, bytes (PSS shares common pages out), seconds of processor."""

    student: str
    part: str
    pss: int
    rss: int
    seconds: float
    pid: int


def usage(hub_pid: int, *, memory: bool = True) -> list[Usage]:
    """Every living process below the hub. Reading PSS takes milliseconds a process, so it can be left out."""
    found = [_look(process, memory) for process in psutil.Process(hub_pid).children(recursive=True)]
    found.append(_look(psutil.Process(hub_pid), memory))
    return [each for each in found if each is not None]


def _look(process: psutil.Process, memory: bool) -> Usage | None:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        words = process.cmdline()
        times = process.cpu_times()
        size = process.memory_full_info() if memory else process.memory_info()
        student = process.environ().get("JUPYTERHUB_USER", "")
        return Usage(
            student,
            _part(" ".join(words), student),
            getattr(size, "pss", 0),
            size.rss,
            times.user + times.system,
            process.pid,
        )
    return None


def _part(command: str, student: str) -> str:
    if not student:
        return PROXY if "configurable-http-proxy" in command else HUB
    return KERNEL if "ipykernel" in command else SERVER


@dataclass
class Load:
    """How busy the machine was from ``start`` to ``stop``: a sample each half second, and who it was busy for."""

    hub_pid: int
    samples: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._end = threading.Event()
        self._seen: dict[int, tuple[str, float]] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Load:
        psutil.cpu_percent()
        self._before = {each.pid: each.seconds for each in usage(self.hub_pid, memory=False)}
        self._own = sum(psutil.Process().cpu_times()[:2])
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()
        self._count()
        self._own = sum(psutil.Process().cpu_times()[:2]) - self._own

    def _watch(self) -> None:
        while not self._end.wait(0.5):
            self.samples.append(psutil.cpu_percent())
            if len(self.samples) % 4 == 0:
                self._count()

    def _count(self) -> None:
        for each in usage(self.hub_pid, memory=False):
            self._seen[each.pid] = each.part, each.seconds - self._before.get(each.pid, 0)

    @property
    def busy(self) -> float:
        """Share of the time in which the whole machine was busy, 0 to 1: samples of 95 % and more."""
        return sum(sample >= 95 for sample in self.samples) / len(self.samples) if self.samples else 0.0

    def seconds(self) -> dict[str, float]:
        """Seconds of processor by part. A process that ended between two samples is counted up to the last one."""
        totals: dict[str, float] = defaultdict(float)
        for part, seconds in self._seen.values():
            totals[part] += seconds
        return {**totals, DRIVER: self._own}


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies (nearest rank); nan where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * len(ordered) + 0.5) - 1)] if ordered else float("nan")


def by_student(found: list[Usage]) -> Iterator[tuple[str, dict[str, Usage]]]:
    """Each student's processes, by part."""
    names = sorted({each.student for each in found} - {""})
    for name in names:
        yield name, {each.part: each for each in found if each.student == name}
