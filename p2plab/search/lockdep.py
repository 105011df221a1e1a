"""The graph of lock classes over all scenes of a driver, in several orders each: what a kernel's lockdep would report then.

Lockdep learns from everything that was executed, at any time by any task: a lock order of one scene and the opposite one of
another make a cycle. So all runs go into one graph here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from p2plab.core.lock_classes import ANNOTATIONS, Lockdep, Report
from p2plab.core.lockdep import LockHistory
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario, Value
from p2plab.core.schedule import by_seed, by_text
from p2plab.search.allscenes import trials

#: Number of random orders of each scene in addition to its story; maximum number of steps of a run.
SEEDS, LONGEST_RUN = 4, 5_000


@dataclass(frozen=True)
class Learned:
    """Lockdep's result for ``runs`` runs of these ``scenes``; ``report`` is its only one, or None."""

    kernel: str
    scenes: tuple[str, ...]
    runs: int
    lockdep: Lockdep

    @property
    def report(self) -> Report | None:
        """The first cycle or recursion that it saw; it stops recording after that."""
        return self.lockdep.report

    def lines(self) -> Iterator[str]:
        """As lockdep prints it, and what its silence covers."""
        many = f"{self.runs} runs of {len(self.scenes)} scenes" if len(self.scenes) > 1 else f"{self.runs} runs"
        if self.report is None:
            yield f"lockdep of Linux {self.kernel}: silent after {many}"
            yield "It knows locks and lock maps. A wait for anything else (the end of a move, DMA) is none to it."
            if self.lockdep.hides:
                yield f"Its checked reader {self.lockdep.hides} ended chains here: `--kernel 6.12-notrace` shows what it hides."
            return
        yield f"lockdep of Linux {self.kernel}, after {many}:"
        yield ""
        yield from self.report.lines()

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        report = self.report
        return {
            "kernel": self.kernel,
            "scenes": list(self.scenes),
            "runs": self.runs,
            "report": None
            if report is None
            else {
                "kind": report.kind,
                "who": report.who,
                "where": report.where,
                "wanted": report.wanted.lock_class,
                "held": report.held.lock_class,
                "chain": list(report.classes),
                "text": list(report.lines()),
            },
            "dependencies": {first: sorted(links) for first, links in sorted(self.lockdep.after.items())},
        }


def of_scenes(scenes: Iterable[tuple[str, Scenario, dict[str, Value]]], kernel: str, seeds: int = SEEDS) -> Learned:
    """Run each scene (its name in the report, the scene, its knobs) in its story and in ``seeds`` random orders."""
    lockdep = Lockdep(ANNOTATIONS[kernel])
    names: dict[str, None] = {}
    runs = 0
    for name, scene, knobs in scenes:
        names[name] = None
        for seed in range(-1, seeds):
            order = by_text(scene.story, strict=False) if seed < 0 else by_seed(seed)
            run = Run(scene, knobs).driven(order, LONGEST_RUN)
            runs += 1
            history = run.world.lock_order
            assert isinstance(history, LockHistory)
            lockdep.feed(history.history, f"{name}, {'its story' if seed < 0 else f'seed {seed}'}")
            if lockdep.report is not None:
                return Learned(kernel, tuple(names), runs, lockdep)
    return Learned(kernel, tuple(names), runs, lockdep)


def of_driver(given: type, kernel: str, seeds: int = SEEDS) -> Learned:
    """Run a driver's class in every scene that takes it. :exc:`BadInput` where none does."""
    return of_scenes(
        ((trial.name, trial.scene.with_cast({trial.role: given}), dict(trial.knobs)) for trial in trials(given)),
        kernel,
        seeds,
    )
