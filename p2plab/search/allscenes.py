"""One question, all scenes: a driver in every scene that takes it, the budget shared out, and one answer."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from p2plab.core import known
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.scenario import Knob, Scenario, Value
from p2plab.search.checking import Checking
from p2plab.search.crew import Copies, Here, Searches, Work
from p2plab.search.drivers import cast
from p2plab.search.parallel.share import MOST
from p2plab.search.rounds import Known, Task, in_order, round_of, states_of
from p2plab.search.search import Progress
from p2plab.search.shrink import shrink_scene
from p2plab.search.verdict import Effort, Incomplete, Pass, Verdict, Violation

#: In the first round all scenes together take at most this share of the budget (one in so many), twice as much in each later.
SHARES = 2
#: This share of the budget is left for random orders in the scenes that are not decided by then.
CHANCE = 0.1
_USED_UP = "its share of the budget is used up"
_ENDLESS = 1e9
#: Seconds for making the smallest story smaller.
SHRINKING = 5.0


@dataclass(frozen=True)
class Trial:
    """A scene, some of its knobs, and the role that the class plays in it; ``same`` are scenes that are equal to it."""

    scene: Scenario
    role: str
    knobs: Mapping[str, Value]
    same: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``defrag-obedient process=forks``."""
        return " ".join(
            [
                self.scene.name,
                *(f"{name}={value}" for name, value in self.knobs.items() if name not in self.scene.small),
            ]
        )


@dataclass(frozen=True, repr=False)
class AllScenes(Verdict):
    """The answers of all scenes that a driver fits. ``rows`` has a trial and its verdict each, ``left`` those not begun."""

    driver: str
    rows: tuple[tuple[Trial, Verdict], ...]
    left: tuple[str, ...] = ()
    smallest: Violation | None = None  #: the smallest story of all, made smaller
    effort: Effort = field(default_factory=Effort, compare=False)
    watched: tuple[str, ...] = field(default=(), compare=False)
    not_tested: tuple[str, ...] = field(default=(), compare=False)  #: the promises that no scene exercised
    by_name: tuple[str, ...] = field(
        default=(), compare=False
    )  #: scenes that take the class but are searched only when named

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
    met: list[tuple[Any, int]] = []
    for scene in known.scenes().values():
        role = _role_in(scene, given)
        if role is None or _is_about_hardware(scene):
            continue
        for knobs in _variants(scene, role, given):
            what = _signature(scene, role, given, knobs)
            before = next((number for other, number in met if what is not None and other == what), None)
            if before is None:
                met.append((what, len(found)))
                found.append(Trial(scene, role, knobs))
            elif scene.name != found[before].scene.name:
                names = dict.fromkeys((*found[before].same, scene.name))
                found[before] = dataclasses.replace(found[before], same=tuple(names))
    if not found:
        raise BadInput(_nowhere(given))
    return found


def by_name(given: type) -> tuple[str, ...]:
    """The scenes that take a class and are about hardware that is off in other scenes: a correct driver may break there."""
    return tuple(
        name
        for name, scene in known.scenes().items()
        if _is_about_hardware(scene) and _role_in(scene, given) is not None
    )


def _role_in(scene: Scenario, given: type) -> str | None:
    return next((name for name, role in scene.roles.items() if not role.why_not(given)), None)


def _nowhere(given: object) -> str:
    name = given.__name__ if isinstance(given, type) else repr(given)[:40]
    roles = [role for scene in known.scenes().values() for role in scene.roles.values()]
    bases = {f"{base.__module__}.{base.__qualname__}": None for role in roles for base in role.bases.values()}
    return f"no scene takes {name}: derive it from {', '.join(bases)}"


def _variants(scene: Scenario, role: str, given: type) -> Iterator[Mapping[str, Value]]:
    """The knobs to try a scene with: its small ones, and each of its variants."""
    cast = scene.with_cast({role: given})
    knobs = {knob.name: knob for knob in cast.knobs}
    small = {name: value for name, value in scene.small.items() if name in knobs}
    yield small
    for variant in scene.variants:
        if all(name in knobs and _is_another(knobs[name], value) for name, value in variant.items()):
            yield {**small, **variant}


def _is_about_hardware(scene: Scenario) -> bool:
    """Whether a scene is about hardware that is off in other scenes."""
    return getattr(scene.monitors.get(scene.breaks), "kind", "") == "hardware"


def _is_another(knob: Knob, value: Value) -> bool:
    """Whether a knob takes a value that is not its default."""
    return value != knob.default and (not knob.choices or value in knob.choices)


def _signature(scene: Scenario, role: str, given: type, knobs: Mapping[str, Value]) -> Any:
    """The parts of a scene with the class in its role: equal ones need only one search. None: not known."""
    made_of = getattr(scene.build, "made_of", None)
    return None if made_of is None else made_of(scene.with_cast({role: given}).settings(knobs), {role: given})


class CheckingAllScenes:
    """As :class:`~p2plab.search.checking.Checking`, for all scenes: advance, cancel, progress.

    Once something breaks, the remaining scenes are searched only for a smaller story, under a bound. Which
    answers count does not depend on the number of ``workers`` (:mod:`p2plab.search.rounds`).
    """

    def __init__(
        self,
        given: type,
        *,
        budget: float | None = 60.0,
        rules: Sequence[str] | None = None,
        shrink: bool = True,
        states: int = 3_000_000,
        bound: int | None = None,
        workers: int = 1,
    ) -> None:
        """``budget``: seconds for all scenes together (None: no limit). ``workers``: processes that share the scenes.

        The rest as for one scene. :exc:`BadInput` as there.
        """
        self.driver = getattr(given, "__name__", repr(given)[:40])
        self.trials = trials(given)
        self.verdict: AllScenes | None = None
        self._given, self._budget, self._shrink = given, budget, shrink
        self._options: dict[str, Any] = {"rules": rules, "states": states, "bound": bound}
        self._began = time.perf_counter()
        self._known: dict[Task, Known] = {}
        self._order = in_order(len(self.trials), bound, {})
        self._at_random: float | None = None  #: seconds for a scene's random orders, once the budget is nearly used up
        if not 1 <= workers <= MOST:
            raise BadInput(f"workers={str(workers)[:20]} is not possible; allowed: 1 to {MOST}")
        self._workers = min(workers, len(self.trials)) if hasattr(os, "fork") else 1
        self._searches = Searches(self._make, bound, _USED_UP)
        self._searches.begin(Task(0, bound))  # errors in the class or the options show here
        self._crew: Here | Copies | None = None

    def advance(self, seconds: float) -> AllScenes | None:
        """Go on for about that long; the verdict, once every scene has one or the budget is used up."""
        if self.verdict is not None:
            return self.verdict
        try:
            self._go_on(seconds)
        except BaseException as error:
            if not isinstance(error, KeyboardInterrupt):  # which is followed by a cancel
                self.close()
            raise
        return self.verdict

    def _go_on(self, seconds: float) -> None:
        if self._crew is None and self._workers > 1:
            self._crew = Copies(self._searches, self._workers, self._scene_of)
        elif self._crew is None:
            self._crew = Here(self._searches)
        for task, answer in self._crew.advance(self._works(), min(seconds, max(0.01, self._left()))):
            before = self._known.get(task, Known()).round
            if answer is None:
                self._known[task] = Known(self._order.wanted.get(task, before) + 1)
            else:
                self._known[task] = Known(max(before, round_of(answer.effort.states)), answer)
            self._order = in_order(len(self.trials), self._options["bound"], self._known)
        if not self._order.wanted or self._left() <= 0:
            self._end(_USED_UP)
        elif self._budget is not None and self._at_random is None and self._left() < CHANCE * self._budget:
            self._at_random = self._left() * self._workers / len(self._undecided)

    def _works(self) -> dict[Task, Work]:
        """The wanted tasks and their limits: a number of states per round, or seconds if a driver is slow."""
        if self._at_random is not None:
            return {task: Work(task, 0, _ENDLESS, self._at_random) for task in self._undecided.values()}
        whole = float("inf") if self._budget is None else self._budget * self._workers / (SHARES * len(self.trials))
        share = max(0.25, whole)
        return {
            task: Work(task, states_of(round), min(_ENDLESS, share * 2**round))
            for task, round in self._order.wanted.items()
        }

    @property
    def _undecided(self) -> dict[int, Task]:
        """The scenes without an answer, each with its most urgent task."""
        return {task.scene: task for task in reversed(self._order.wanted) if task.scene not in self._order.rows}

    def cancel(self) -> AllScenes:
        """Stop here; the verdict names the scenes not begun or not finished."""
        if self.verdict is None:
            self._end("it was cancelled")
        assert self.verdict is not None
        return self.verdict

    def close(self) -> None:
        """End the worker processes."""
        if self._crew is not None:
            self._crew.close()

    @property
    def progress(self) -> Progress:
        """The joint progress of the scenes being searched."""
        now = list(self._crew.at_work.values()) if self._crew is not None else []
        return Progress(
            sum(one.states for one in now),
            sum(one.rate for one in now),
            sum(one.frontier for one in now),
            max((one.switches for one in now), default=0),
            max((one.seconds for one in now), default=0.0),
        )

    @property
    def doing(self) -> str:
        """``12 of 31 answered, disasters``."""
        at_work = self._crew.at_work if self._crew is not None else ()
        now = "".join(f", {self.trials[scene].name}" for scene in sorted({task.scene for task in at_work}))
        return f"{len(self.rows)} of {len(self.trials)} answered{now}"

    @property
    def rows(self) -> list[tuple[Trial, Verdict]]:
        """The scenes that have an answer, in the order of the list."""
        return [(self.trials[scene], self._order.rows[scene]) for scene in sorted(self._order.rows)]

    def _end(self, why: str) -> None:
        undecided = self._undecided
        so_far = (self._crew if self._crew is not None else self._searches).cancel() if undecided else {}
        self.close()
        for scene, task in undecided.items():
            answer = so_far.get(task)
            if answer is not None:
                self._order.rows[scene] = (
                    dataclasses.replace(answer, why=why) if isinstance(answer, Incomplete) else answer
                )
        self.verdict = self._all()

    def _left(self) -> float:
        return float("inf") if self._budget is None else self._budget - (time.perf_counter() - self._began)

    def _make(self, task: Task) -> Checking:
        """The search of a scene: under a bound, once there is a story to beat."""
        trial = self.trials[task.scene]
        roles: dict[str, Any] = {trial.role: self._given}
        # A story is confirmed by executing it; the second net is for answers that nothing breaks.
        options = {**self._options, "bound": task.bound, "second_net": task.bound == self._options["bound"]}
        return Checking(trial.scene, shrink=False, knobs=trial.knobs, budget=None, **roles, **options)

    def _scene_of(self, task: Task) -> Scenario:
        """The scene with the class in its role, for the stories of a task."""
        trial = self.trials[task.scene]
        return cast(trial.scene, **{trial.role: self._given})

    def _smallest_yet(self) -> tuple[Trial, Violation] | None:
        """The smallest story so far, as found; findings about all orders do not count."""
        broken = [
            (trial, answer)
            for trial, answer in self.rows
            if isinstance(answer, Violation) and answer.rule != "must-reach"
        ]
        return min(broken, key=lambda row: (row[1].switches, row[1].steps), default=None)

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
            tuple(trial.name for number, trial in enumerate(self.trials) if number not in self._order.rows),
            self._smallest(),
            Effort(int(states), int(steps), seconds, int(misses)),
            watched,
            tuple(name for name in watched if name not in tested),
            by_name(self._given),
        )

    def _smallest(self) -> Violation | None:
        any_ = next(((trial, answer) for trial, answer in self.rows if isinstance(answer, Violation)), None)
        found = self._smallest_yet() or any_
        if found is None:
            return None
        trial, answer = found
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
    workers: int = 1,
) -> AllScenes:
    """Your class in every scene that takes it: see :class:`CheckingAllScenes`. An interrupt keeps what is known so far.

    In a notebook a line under the cell says which scene is at work.
    """
    checking = CheckingAllScenes(
        given, budget=budget, rules=rules, shrink=shrink, states=states, bound=bound, workers=workers
    )
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
