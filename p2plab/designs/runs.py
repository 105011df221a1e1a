"""The runs behind the matrix: the step list with a few settings, each in the order of its scene's story."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from p2plab.core.run import Run
from p2plab.core.token import token_of
from p2plab.designs import DESIGNS, SCENES

#: The settings of each run by its name; a design that lacks such an importer does without that run.
RUNS: dict[str, Mapping[str, str]] = {
    "move": {},
    "part": {"steps": "part"},
    "unplug": {"steps": "unplug"},
    "exit": {"steps": "exit"},
    "refused": {"trouble": "no-room"},
    "later": {"trouble": "later"},
    "unreachable": {"trouble": "unreachable"},
    "no-pages": {"trouble": "no-pages"},
    "keeps": {"importer": "keeps"},
    "cannot-stop": {"importer": "cannot-stop"},
    "long-term": {"importer": "long-term"},
    "revocable": {"importer": "revocable"},
    "no-peer": {"importer": "no-peer"},
    "stops": {"importer": "stops"},
    "fences": {"importer": "fences"},
    **{name: knobs for design in DESIGNS.values() for name, knobs in design.runs.items()},
}
LONGEST = 3_000


def has_run(design: str, name: str) -> bool:
    """Whether the design has the importer that the run needs."""
    return RUNS[name].get("importer", "good") in DESIGNS[design].play.importers


def settings_of(design: str, name: str, kernel: str = "") -> dict[str, str]:
    """The knobs of a run; the kernel only where it is not the design's newest."""
    older = kernel not in ("", DESIGNS[design].newest)
    return {**RUNS[name], "kernel": kernel} if older else dict(RUNS[name])


@functools.cache
def run(design: str, name: str, kernel: str = "") -> Run:
    """One of the runs, told to its end, in the design's newest kernel or another of its kernels."""
    return Run(SCENES[DESIGNS[design].scene], settings_of(design, name, kernel)).told(LONGEST)


@functools.cache
def token(design: str, name: str, kernel: str = "") -> str:
    """The run's token."""
    return token_of(run(design, name, kernel))
