"""The verdict on a case: was it caught by its rule, and is its good twin not accused?"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from p2plab.catalog.case import BROKEN, GOOD, Case
from p2plab.catalog.played import PLAYED
from p2plab.core.run import Run
from p2plab.core.schedule import by_seed, by_text
from p2plab.core.token import token_of
from p2plab.rules import Board, judge, reached, watched_by

#: No run of a case needs this many steps; one that takes them is a live-lock.
LONGEST_RUN = 5_000
#: Odd seeds begin after the importer's map, because a purely random order often begins with the end.
PROLOGUE = "app*7 nic"


@dataclass(frozen=True)
class CaseVerdict:
    """``fired``: rules that the story broke; ``accused``: rule -> first seed at which the good twin broke it.

    ``unmet``: goals that the good twin reached under no seed. ``seconds``: on this machine.
    """

    case: Case
    fired: tuple[str, ...]
    accused: dict[str, int]
    unmet: tuple[str, ...]
    seeds: int
    token: str
    seconds: float = field(compare=False, default=0.0)

    @property
    def caught(self) -> bool:
        """Whether the rule named for the case fired. A case that is not modelled is not caught."""
        return not self.case.unmodelled and self.case.rule in self.fired

    @property
    def sound(self) -> bool:
        """Caught, the twin not accused, and the twin reached its goals."""
        return self.caught and not self.accused and not self.unmet

    def as_json(self) -> dict[str, object]:
        """The verdict as plain values."""
        return {
            "name": self.case.scenario.name,
            "code": self.case.code,
            "caught": self.caught,
            "by": self.case.rule if self.caught else None,
            "fired": list(self.fired),
            "twin_accused": bool(self.accused),
            "accused_by": self.accused,
            "goals_unmet": list(self.unmet),
            "seeds": self.seeds,
            "token": self.token,
            "unmodelled": self.case.unmodelled or None,
            "linux": PLAYED[self.case.code].as_json() if self.case.code in PLAYED else None,
            "seconds": round(self.seconds, 3),
        }


def story_run(case: Case, driver: str = BROKEN) -> Run:
    """The case's story, told with the broken driver or with its twin."""
    run = Run(case.scenario, {"driver": driver})
    return run.driven(by_text(case.scenario.story, strict=driver == BROKEN), LONGEST_RUN)


def seed_run(case: Case, seed: int, driver: str = GOOD) -> Run:
    """A random order; odd seeds begin with the importer's first map."""
    run = Run(case.scenario, {"driver": driver})
    if seed % 2:
        run = run.driven(by_text(PROLOGUE, strict=False), LONGEST_RUN)
    return run.driven(by_seed(seed), LONGEST_RUN)


def board(run: Run) -> Board:
    """The board of the rules that the run's scenario watches, at its end."""
    return judge(run.log, watched_by(run.scenario))


def verdict(case: Case, seeds: int = 20) -> CaseVerdict:
    """Tell the story with the broken driver, and run the twin through its story and ``seeds`` random orders."""
    begun = time.perf_counter()
    told = story_run(case)
    fired = {finding.rule: None for finding in board(told).findings}
    accused: dict[str, int] = {}
    unmet = set(case.goals)
    for seed in range(-1, seeds):
        run = story_run(case, GOOD) if seed < 0 else seed_run(case, seed)
        for finding in board(run).findings:
            accused.setdefault(finding.rule, seed)
        if unmet:
            unmet -= {goal for goal, step in reached(run.log, unmet).items() if step is not None}
    return CaseVerdict(
        case, tuple(fired), accused, tuple(sorted(unmet)), seeds, token_of(told), time.perf_counter() - begun
    )


def verdicts(cases: Iterable[Case], seeds: int = 20) -> Iterator[CaseVerdict]:
    """One verdict after another, so that a caller can show progress."""
    for case in cases:
        yield verdict(case, seeds)
