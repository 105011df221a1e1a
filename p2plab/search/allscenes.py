"""One question, all scenes: a driver in every scene that takes it, the budget shared out, one answer for all."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from p2plab.core import known
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.scenario import Knob, Scenario, Value
from p2plab.search.checking import Checking
from p2plab.search.search import Progress
from p2plab.search.shrink import shrink_scene
from p2plab.search.verdict import Effort, Incomplete, Pass, Verdict, Violation

#: So many rounds would use the budget up if no scene had an answer in the first; each later round gives twice as much.
ROUNDS = 4
#: Seconds of the first round where there is no budget.
SHARE = 2.0
#: This share of the budget is left for random orders in the scenes that are not decided by then.
CHANCE = 0.1
_USED_UP = "its share of the budget is used up"
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
            [
                self.scene.name,
                *(f"{name}={value}" for name, value in self.knobs.items() if name not in self.scene.small),
            ]
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
    met: list[tuple[Any, int]] = []
    for scene in known.scenes().values():
        role = next((name for name, role in scene.roles.items() if not role.why_not(given)), None)
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


def _nowhere(given: object) -> str:
    name = given.__name__ if isinstance(given, type) else repr(given)[:40]
    roles = [role for scene in known.scenes().values() for role in scene.roles.values()]
    bases = {f"{base.__module__}.{base.__qualname__}": None for role in roles for base in role.bases.values()}
    return f"no scene takes {name}: derive it from {', '.join(bases)}"


def _variants(scene: Scenario, role: str, given: type) -> Iterator[Mapping[str, Value]]:
    """The knobs to try a scene with: as small as it says, and with one of its variants each."""
    cast = scene.with_cast({role: given})
    knobs = {knob.name: knob for knob in cast.knobs}
    small = {name: value for name, value in scene.small.items() if name in knobs}
    yield small
    for variant in scene.variants:
        if all(name in knobs and _is_another(knobs[name], value) for name, value in variant.items()):
            yield {**small, **variant}


def _is_about_hardware(scene: Scenario) -> bool:
    """Whether a scene is about hardware that is off elsewhere: a right driver of other hardware breaks there."""
    return getattr(scene.monitors.get(scene.breaks), "kind", "") == "hardware"


def _is_another(knob: Knob, value: Value) -> bool:
    """Whether a knob takes a value that is not its default."""
    return value != knob.default and (not knob.choices or value in knob.choices)


def _signature(scene: Scenario, role: str, given: type, knobs: Mapping[str, Value]) -> Any:
    """What a scene is made of once a class plays in it: two that are equal need one search. None: nothing is known of it."""
    made_of = getattr(scene.build, "made_of", None)
    return None if made_of is None else made_of(scene.with_cast({role: given}).settings(knobs), {role: given})


class CheckingAllScenes:
    """As :class:`~p2plab.search.checking.Checking`, for all scenes: advance, cancel, and the progress of the one at work.

    Once something breaks, the scenes that have no answer yet are searched for a smaller story only: under a bound.
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
    ) -> None:
        """``budget``: seconds for all scenes together (None: no limit). The rest as for one scene. :exc:`BadInput` as there."""
        self.driver = getattr(given, "__name__", repr(given)[:40])
        self.trials = trials(given)
        self.verdict: AllScenes | None = None
        self._answers: dict[int, Verdict] = {}
        self._given, self._budget, self._shrink = given, budget, shrink
        self._options: dict[str, Any] = {"rules": rules, "states": states, "bound": bound}
        self._began = time.perf_counter()
        self._begun: dict[int, Checking] = {}
        self._queue = deque(range(len(self.trials)))  #: the scenes without an answer, the one at work first
        self._share = SHARE if budget is None else max(0.05, budget / (ROUNDS * len(self.trials)))
        self._used = 0.0  #: of its share, by the scene at work
        self._at_random = False  #: whether what is left of the budget goes to random orders
        self._now()

    def advance(self, seconds: float) -> AllScenes | None:
        """Go on for about that long; the verdict, once every scene has one or the budget is used up."""
        if self.verdict is not None:
            return self.verdict
        number, began = self._queue[0], time.perf_counter()
        checking = self._now()
        answer = checking.advance(min(seconds, max(0.01, self._share - self._used), max(0.01, self._left())))
        if answer is None and checking.search.at_random and self._smallest_yet() is not None:
            answer = checking.cancel()  # no random order tells a smaller story than the one at hand
        self._used += time.perf_counter() - began
        if answer is not None:
            self._answers[number] = answer
            self._queue.popleft()
            self._used = 0.0
        elif self._used >= self._share and not self._at_random:  # later it gets more
            self._queue.rotate(-1)
            self._used = 0.0
            if self._queue[0] <= number:
                self._share *= 2
        if not self._queue or self._left() <= 0:
            self._end(_USED_UP)
        elif self._budget is not None and not self._at_random and self._left() < CHANCE * self._budget:
            self._go_on_at_random()
        return self.verdict

    def _go_on_at_random(self) -> None:
        """What is left of the budget, shared out among the scenes that are not decided."""
        self._at_random = True
        seconds = self._left() / len(self._queue)
        for number in self._queue:
            self._checking(number).search.try_at_random(_USED_UP, seconds)

    def cancel(self) -> AllScenes:
        """Stop here; the scenes that were not begun, or not ended, are named."""
        if self.verdict is None:
            self._end("it was cancelled")
        assert self.verdict is not None
        return self.verdict

    @property
    def progress(self) -> Progress:
        """How far the scene at work is."""
        return (self._now() if self._queue else self._begun[len(self.trials) - 1]).progress

    @property
    def doing(self) -> str:
        """``12 of 31 answered, disasters``."""
        now = f", {self.trials[self._queue[0]].name}" if self._queue else ""
        return f"{len(self._answers)} of {len(self.trials)} answered{now}"

    @property
    def rows(self) -> list[tuple[Trial, Verdict]]:
        """The scenes that have an answer, in the order of the list."""
        return [(self.trials[number], self._answers[number]) for number in sorted(self._answers)]

    def _end(self, why: str) -> None:
        for number in self._queue:
            if number in self._begun:
                answer = self._begun[number].cancel()
                self._answers[number] = (
                    dataclasses.replace(answer, why=why) if isinstance(answer, Incomplete) else answer
                )
        self.verdict = self._all()

    def _left(self) -> float:
        return float("inf") if self._budget is None else self._budget - (time.perf_counter() - self._began)

    def _now(self) -> Checking:
        """The search of the scene at work."""
        return self._checking(self._queue[0])

    def _checking(self, number: int) -> Checking:
        """The search of a scene: begun anew, under a bound, once there is a story that a smaller one would have to beat."""
        bound = self._bound()
        if number not in self._begun or (number in self._queue and self._begun[number].search.bound != bound):
            trial = self.trials[number]
            roles: dict[str, Any] = {trial.role: self._given}
            # A story is confirmed by itself: the net is for those who are told that nothing breaks.
            options = {**self._options, "bound": bound, "second_net": self._smallest_yet() is None}
            self._begun[number] = Checking(
                trial.scene, shrink=False, knobs=trial.knobs, budget=None, **roles, **options
            )
        return self._begun[number]

    def _bound(self) -> int | None:
        """The most switches that are of interest: those asked for, and of the smallest story so far."""
        smallest, asked = self._smallest_yet(), self._options["bound"]
        bounds = [bound for bound in (asked, None if smallest is None else smallest[1].switches) if bound is not None]
        return min(bounds, default=None)

    def _smallest_yet(self) -> tuple[Trial, Violation] | None:
        """The smallest story so far, as it was found; what is about all orders is none."""
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
            tuple(trial.name for number, trial in enumerate(self.trials) if number not in self._answers),
            self._smallest(),
            Effort(int(states), int(steps), seconds, int(misses)),
            watched,
            tuple(name for name in watched if name not in tested),
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
