"""One question, all scenes: a driver in every scene that takes it, the budget shared out, one answer for all."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario, Value
from p2plab.everything import SCENES
from p2plab.search.checking import Checking
from p2plab.search.search import Progress
from p2plab.search.shrink import shrink_scene
from p2plab.search.verdict import Effort, Pass, Verdict, Violation

#: What a scene is also tried with: each of these alone, where the scene has the knob and the value.
VARIANTS: tuple[Mapping[str, Value], ...] = (
    {"process": "unmaps"},
    {"process": "unmaps-part"},
    {"process": "forks"},
    {"process": "exits"},
    {"moves": 2},
    {"importers": 2},
    {"iommu": "on"},
    {"what": "reset"},
    {"what": "suspend"},
)
#: The scenes that are tried with them: the usual machine, and what may befall it.
VARIED = ("defrag-obedient", "disasters")
#: In these scenes fewer pages say as much and take less time.
SMALLER: Mapping[str, Mapping[str, Value]] = {"defrag-obedient": {"pages": 2}}
#: A scene may take so many times its share of what is left of the budget.
GENEROUS = 4
#: Seconds for making the smallest story smaller.
SHRINKING = 5.0


@dataclass(frozen=True)
class Trial:
    """A scene, some of its knobs, and the role that the class plays in it; ``same`` are scenes that come to the same."""

    scene: Scenario
    role: str
    knobs: Mapping[str, Value]
    same: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``defrag-obedient process=forks``."""
        return " ".join(
            [self.scene.name, *(f"{name}={value}" for name, value in self.knobs.items() if name != "pages")]
        )


@dataclass(frozen=True, repr=False)
class AllScenes(Verdict):
    """The answers of all scenes that a driver fits. ``rows`` has a trial and its verdict each, ``left`` what was not begun."""

    driver: str
    rows: tuple[tuple[Trial, Verdict], ...]
    left: tuple[str, ...] = ()
    smallest: Violation | None = None  #: the smallest story of all, made smaller
    effort: Effort = field(default_factory=Effort, compare=False)
    watched: tuple[str, ...] = field(default=(), compare=False)
    not_tested: tuple[str, ...] = field(default=(), compare=False)  #: the promises that no scene put to the test

    @property
    def scene(self) -> str:  # type: ignore[override]
        """All of them."""
        return f"all scenes that take {self.driver}"

    @property
    def run(self) -> Run | None:
        """The smallest story, or None."""
        return None if self.smallest is None else self.smallest.run

    @property
    def table(self) -> tuple[tuple[str, str], ...]:
        """A row a scene: its name and knobs, and the verdict in a word."""
        return (
            *((trial.name, answer.word) for trial, answer in self.rows),
            *((name, "NOT BEGUN") for name in self.left),
        )

    @property
    def word(self) -> str:
        """``HOLDS`` if every scene does, ``BREAKS`` and the rule of the smallest story, else ``NOT DECIDED``."""
        if self.smallest is not None:
            return self.smallest.word
        whole = not self.left and all(isinstance(answer, Pass) and answer.complete for _, answer in self.rows)
        return "HOLDS" if whole else "NOT DECIDED"


def trials(given: type) -> list[Trial]:
    """Every scene that takes a class, each different one once. :exc:`BadInput` where none does."""
    found: list[Trial] = []
    known: list[tuple[Any, int]] = []
    for scene in SCENES.values():
        role = next((name for name, role in scene.roles.items() if not role.why_not(given)), None)
        if role is None:
            continue
        for knobs in _variants(scene, role, given):
            what = _signature(scene, role, given, knobs)
            before = next((number for other, number in known if what is not None and other == what), None)
            if before is None:
                known.append((what, len(found)))
                found.append(Trial(scene, role, knobs))
            elif scene.name != found[before].scene.name:
                names = dict.fromkeys((*found[before].same, scene.name))
                found[before] = dataclasses.replace(found[before], same=tuple(names))
    if not found:
        raise BadInput(_nowhere(given))
    return found


def _nowhere(given: object) -> str:
    name = given.__name__ if isinstance(given, type) else repr(given)[:40]
    roles = [role for scene in SCENES.values() for role in scene.roles.values()]
    bases = {f"{base.__module__}.{base.__qualname__}": None for role in roles for base in role.bases.values()}
    return f"no scene takes {name}: derive it from {', '.join(bases)}"


def _variants(scene: Scenario, role: str, given: type) -> Iterator[Mapping[str, Value]]:
    """The knobs to try a scene with: as it is, and with one of :data:`VARIANTS` each."""
    cast = scene.with_cast({role: given})
    knobs = {knob.name: knob for knob in cast.knobs}
    small = {name: value for name, value in SMALLER.get(scene.name, {}).items() if name in knobs}
    yield small
    for variant in VARIANTS if scene.name in VARIED else ():
        (name, value), *_ = variant.items()
        if name in knobs and value != knobs[name].default and (not knobs[name].choices or value in knobs[name].choices):
            yield {**small, name: value}


def _signature(scene: Scenario, role: str, given: type, knobs: Mapping[str, Value]) -> Any:
    """What a scene is made of once a class plays in it: two that are equal need one search. None: nothing is known of it."""
    choose = getattr(scene.build, "choose", None)
    if choose is None:
        return None
    settings = scene.with_cast({role: given}).settings(knobs)
    rig, plan = choose(settings)
    usual = ("driver", "importer", "exporter", "pages", "dma", "iommu")
    return rig, plan.played_by({role: given}), {name: value for name, value in settings.items() if name not in usual}


class CheckingAllScenes:
    """As :class:`~p2plab.search.checking.Checking`, for all scenes: advance, cancel, and the progress of the one at work."""

    def __init__(
        self,
        given: type,
        *,
        budget: float | None = 60.0,
        rules: Sequence[str] | None = None,
        shrink: bool = True,
        states: int = 3_000_000,
        bound: int | None = None,
    ) -> None:
        """``budget``: seconds for all scenes together (None: no limit). The rest as for one scene. :exc:`BadInput` as there."""
        self.driver = getattr(given, "__name__", repr(given)[:40])
        self.trials = trials(given)
        self.verdict: AllScenes | None = None
        self.rows: list[tuple[Trial, Verdict]] = []
        self._given, self._budget, self._shrink = given, budget, shrink
        self._options: dict[str, Any] = {"rules": rules, "states": states, "bound": bound}
        self._began = time.perf_counter()
        self._now: Checking | None = None
        self._begin()

    def advance(self, seconds: float) -> AllScenes | None:
        """Go on for about that long; the verdict, once every scene has one or the budget is used up."""
        if self.verdict is not None:
            return self.verdict
        assert self._now is not None
        answer = self._now.advance(seconds)
        if answer is not None:
            self.rows.append((self.trials[len(self.rows)], answer))
            if len(self.rows) == len(self.trials) or self._left() <= 0:
                self.verdict = self._all()
            else:
                self._begin()
        return self.verdict

    def cancel(self) -> AllScenes:
        """Stop here; the scenes that were not begun, or not ended, are named."""
        if self.verdict is None:
            if self._now is not None and len(self.rows) < len(self.trials):
                self.rows.append((self.trials[len(self.rows)], self._now.cancel()))
            self.verdict = self._all()
        return self.verdict

    @property
    def progress(self) -> Progress:
        """How far the scene at work is."""
        assert self._now is not None
        return self._now.progress

    @property
    def doing(self) -> str:
        """``12 of 31, disasters``."""
        number = min(len(self.rows), len(self.trials) - 1)
        return f"{number + 1} of {len(self.trials)}, {self.trials[number].name}"

    def _left(self) -> float:
        return float("inf") if self._budget is None else self._budget - (time.perf_counter() - self._began)

    def _begin(self) -> None:
        trial = self.trials[len(self.rows)]
        left, scenes = self._left(), len(self.trials) - len(self.rows)
        share = None if self._budget is None else max(0.05, min(left, GENEROUS * left / scenes))
        roles: dict[str, Any] = {trial.role: self._given}
        self._now = Checking(trial.scene, shrink=False, knobs=trial.knobs, budget=share, **roles, **self._options)

    def _all(self) -> AllScenes:
        answers = [answer for _, answer in self.rows]
        watched = tuple(dict.fromkeys(name for answer in answers for name in answer.watched))
        tested = {name for answer in answers for name in answer.watched if name not in answer.not_tested}
        efforts = [answer.effort for answer in answers]
        sums = (sum(getattr(one, name) for one in efforts) for name in ("states", "transitions", "seconds", "misses"))
        states, steps, seconds, misses = sums
        return AllScenes(
            self.driver,
            tuple(self.rows),
            tuple(trial.name for trial in self.trials[len(self.rows) :]),
            self._smallest(),
            Effort(int(states), int(steps), seconds, int(misses)),
            watched,
            tuple(name for name in watched if name not in tested),
        )

    def _smallest(self) -> Violation | None:
        broken = [(trial, answer) for trial, answer in self.rows if isinstance(answer, Violation)]
        if not broken:
            return None
        trial, answer = min(broken, key=lambda row: (row[1].rule == "must-reach", row[1].switches, row[1].steps))
        if not self._shrink:
            return answer
        seconds = SHRINKING if self._budget is None else max(0.5, min(SHRINKING, self._left()))
        options = {name: value for name, value in self._options.items() if name != "bound"}
        roles: dict[str, Any] = {trial.role: self._given}
        small = shrink_scene(answer, trial.scene, seconds, **roles, **options)
        return dataclasses.replace(small, watched=answer.watched, not_tested=answer.not_tested)


def check_all(
    given: type,
    *,
    budget: float | None = 60.0,
    rules: Sequence[str] | None = None,
    shrink: bool = True,
    states: int = 3_000_000,
    bound: int | None = None,
) -> AllScenes:
    """Your class in every scene that takes it: see :class:`CheckingAllScenes`. An interrupt keeps what is known by then.

    In a notebook a line under the cell says which scene is at work.
    """
    checking = CheckingAllScenes(given, budget=budget, rules=rules, shrink=shrink, states=states, bound=bound)
    show = _shown()
    try:
        while checking.advance(0.5) is None:
            show(f"{checking.doing}: {checking.progress.states:,} states")
    except KeyboardInterrupt:
        return checking.cancel()
    finally:
        show("")
    assert checking.verdict is not None
    return checking.verdict


def _shown() -> Callable[[str], None]:
    """Shows a line that changes in place under a notebook's cell; elsewhere nothing."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None or not hasattr(shell, "kernel"):
        return lambda _text: None
    handle = sys.modules["IPython"].display.display({"text/plain": ""}, raw=True, display_id=True)
    return lambda text: handle.update({"text/plain": text}, raw=True)
