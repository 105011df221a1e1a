"""``Search``: every order of events of a scene, a slice at a time, and the answer as a value."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2plab.check.audit import audit, named
from p2plab.check.confirm import confirm
from p2plab.check.drivers import cast
from p2plab.check.folds import Folds, watched
from p2plab.check.freeze import Unfreezable
from p2plab.check.graph import StateGraph
from p2plab.check.layers import Layers
from p2plab.check.liveness import count_orders, lap, restless
from p2plab.check.plain import Plain
from p2plab.check.quiet import QuietWorld, maker
from p2plab.check.recorder import Recorder
from p2plab.check.silence import silence
from p2plab.check.steps import NotDeterministic
from p2plab.check.verdict import Effort, Incomplete, Pass, Verdict, Violation, switches_of
from p2plab.check.watchdog import STEP_SECONDS, StepTooLong, Watchdog, where
from p2plab.core.errors import BadInput, P2PError
from p2plab.core.events import Event
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import straight
from p2plab.rules import RULES
from p2plab.rules.health import NoDeadlock

if TYPE_CHECKING:
    from p2plab.check.wide import WideGraph
    from p2plab.check.widesearch import WideSearch

#: States after which a search is one for arrays: numpy is imported only then.
SMALL = 4_000


@dataclass(frozen=True)
class Progress:
    """How far a search is: states met, those a second, steps waiting to be followed, switches tried, seconds."""

    states: int
    rate: float
    frontier: int
    switches: int
    seconds: float


class Search:
    """A search that can be watched and stopped: call :meth:`advance` until there is a ``verdict``."""

    def __init__(
        self,
        scene: Scenario,
        *,
        importer: type | None = None,
        exporter: type | None = None,
        knobs: Mapping[str, object] | None = None,
        rules: Sequence[str] | None = None,
        bound: int | None = None,
        budget: float | None = 10.0,
        states: int = 3_000_000,
        must_reach: Sequence[str] = (),
        step_seconds: float = STEP_SECONDS,
    ) -> None:
        """:exc:`BadInput` for a class, knob, rule, kind of event or number that cannot be used.

        ``bound``: switches; ``budget``: seconds; ``states``: at most so many; ``must_reach``: kinds of event.
        """
        self.scene = cast(scene, importer, exporter)
        self.knobs = self.scene.settings(knobs or {})
        self.rules = tuple(self.scene.rules if rules is None else rules)
        self.must_reach = tuple(must_reach)
        self.bound, self.budget, self.most_states = bound, budget, states
        self._check_arguments()
        self.verdict: Verdict | None = None
        self._dog = Watchdog(step_seconds)
        self._before = 0.0  #: seconds of earlier slices
        self._began: float | None = None  #: when the slice that runs began
        self._layers: Layers | None = None
        self._small = SMALL
        self._wide: WideSearch | None = None
        self._plain: Plain | None = None
        self._why_plain = ""
        self._classes = tuple(given for given in (importer, exporter) if given is not None)

    # -- from outside -----------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> Verdict | None:
        """Search on for about that long; the verdict, once there is one."""
        if self.verdict is not None:
            return self.verdict
        self._began = time.perf_counter()
        if self.budget is not None:
            seconds = min(seconds, self.budget - self._before)
        with self._dog, silence():
            try:
                self._slice(seconds)
            except Unfreezable as error:
                self._fall_back(str(error))
            except NotDeterministic as error:
                self.verdict = self._incomplete(named(error, self._classes))
            except StepTooLong as error:
                self.verdict = self._incomplete(f"the scene cannot be built, a step never ends: {where(error)}")
        self._before, self._began = self._seconds, None
        if self.verdict is None and self.budget is not None and self._seconds >= self.budget:
            self.verdict = self._incomplete(f"the budget of {self.budget:g} s is used up")
        return self.verdict

    def cancel(self) -> Verdict:
        """Stop here; the verdict says how far the search came."""
        if self.verdict is None:
            self.verdict = self._incomplete("it was cancelled")
        return self.verdict

    @property
    def progress(self) -> Progress:
        """How far it is."""
        effort = self._effort()
        search = self._plain or self._wide or self._layers
        rate = effort.states / effort.seconds if effort.seconds else 0.0
        frontier, switches = (search.frontier, search.switches) if search is not None else (0, 0)
        return Progress(effort.states, rate, frontier, switches, effort.seconds)

    @property
    def graph(self) -> StateGraph | None:
        """The states met so far; None before the first slice."""
        return self._layers.graph if self._layers is not None else None

    @property
    def wide(self) -> WideSearch | None:
        """The search in arrays, once the search has grown to be one."""
        return self._wide

    @property
    def exact(self) -> bool:
        """Whether a story found is known to be the shortest; plain replay gives a short one."""
        return self._plain is None

    # -- a slice ----------------------------------------------------------------------------------------------------

    def _slice(self, seconds: float) -> None:
        if self._plain is not None:
            self._plain_slice(self._plain, seconds)
            return
        if self._layers is None:
            self._folds = Folds([RULES[name] for name in self.rules])
            graph = StateGraph(self._recorder(), self._folds)
            self._layers = Layers(graph, self.bound)
        if self._wide is None:
            self._layers.advance(seconds, states=min(self._small, self.most_states))
            self._judge(self._layers, self._layers.found[0] if self._layers.found else None)
        else:
            self._wide.advance(seconds, self.most_states)
            self._judge(self._wide, self._wide.found)
        if self.verdict is None and self._effort().states > self.most_states:
            self.verdict = self._incomplete(f"there are more than {self.most_states} states")
        elif self.verdict is None and self._wide is None and self._layers.graph.expanded >= self._small:
            self._grow(self._layers.graph)

    def _judge(self, search: Layers | WideSearch, found: tuple[int, int, tuple[str, ...]] | None) -> None:
        if found is not None:
            switches, goal, schedule = found
            broken = search.graph.goals[goal].broken
            self._show(broken.rule, broken.what, switches, schedule)
        elif search.done:
            self._nothing_broke(search.graph, search.complete, search.switches)

    def _grow(self, graph: StateGraph) -> None:
        try:
            from p2plab.check.widesearch import WideSearch
        except ImportError:  # in a browser there may be no numpy: the small search goes on by itself
            self._small = self.most_states
            return
        self._wide = WideSearch(graph, self.bound)

    def _recorder(self) -> Recorder:
        try:
            return Recorder(self._maker(), self._dog)
        except P2PError:
            raise
        except Exception as error:  # noqa: BLE001  whatever a class's __init__ raises is said in a sentence
            at = where(error)
            raise BadInput(f"the scene cannot be built: {type(error).__name__}: {error} (in {at})") from None

    def _maker(self) -> Callable[[], QuietWorld]:
        scene, knobs = self.scene, self.knobs
        return maker(lambda world: scene.build(world, knobs), scene.cast)

    def _show(self, rule: str, what: str, switches: int, schedule: Sequence[str]) -> None:
        confirmed = confirm(self.scene, self.knobs, rule, schedule, self._dog)
        if confirmed is None:
            error = NotDeterministic(f"a run that broke {rule} ({what}) did not break it when it was executed again")
            self.verdict = self._incomplete(named(error, self._classes))
            return
        run, finding = confirmed
        then = schedule[len(run)] if len(run) < len(schedule) else ""
        said = what if rule == "endless-step" else finding.what
        self.verdict = Violation(self.scene.name, rule, finding.culprit, said, run, switches, then, self._effort())

    def _nothing_broke(self, graph: StateGraph | WideGraph, complete: bool, switches: int) -> None:
        audit(graph, self._classes)
        never = [kind for kind in self.must_reach if not _told(graph, kind)]
        if never and not complete:
            self.verdict = self._incomplete(f"no order with at most {switches} switches reaches {never[0]}")
        elif never:
            run = Run(self.scene, self.knobs).driven(straight)
            self._violation("must-reach", never[0], f"no order of events ever reaches {never[0]}", run)
        elif not complete or not self._never_rests(graph):
            orders = count_orders(graph) if complete and isinstance(graph, StateGraph) else None
            tested = {*self._folds.exercised, NoDeadlock.name}
            idle = tuple(name for name in self.rules if name not in tested)
            self.verdict = Pass(self.scene.name, self.bound, complete, orders, idle, self._effort())

    def _never_rests(self, graph: StateGraph | WideGraph) -> bool:
        state = restless(graph) if isinstance(graph, StateGraph) else graph.restless()
        if state is None:
            return False
        there, around = lap(graph, state)
        run = Run(self.scene, self.knobs, (*graph.path(state), *there, *around))
        if run.at(len(run)).state() != run.at(len(run) - len(around)).state():
            raise NotDeterministic("a loop that the search saw does not come back to where it began")
        who = " and ".join(dict.fromkeys(around))
        what = f"the last {len(around)} steps, of {who}, go round for ever: no order comes to rest from there"
        self._violation("retry-for-ever", around[0], what, run)
        return True

    def _violation(self, rule: str, culprit: str, what: str, run: Run) -> None:
        switches = switches_of(run.schedule)
        self.verdict = Violation(self.scene.name, rule, culprit, what, run, switches, effort=self._effort())

    # -- the plain search -------------------------------------------------------------------------------------------

    def _fall_back(self, why: str) -> None:
        self._why_plain = why
        self._plain = Plain(self._maker(), watched([RULES[name] for name in self.rules]), self._dog, self.bound)

    def _plain_slice(self, plain: Plain, seconds: float) -> None:
        try:
            plain.advance(seconds)
        except StepTooLong as error:
            self.verdict = self._incomplete(f"a step never ends: {where(error)}")
            return
        if plain.done and plain.found is not None:
            switches, broken, schedule = plain.found
            self._show(broken.rule, broken.what, switches, schedule)
        elif plain.done and plain.complete and not self.must_reach:
            self.verdict = Pass(self.scene.name, self.bound, True, None, (), self._effort())
        elif plain.done:
            self.verdict = self._incomplete("the bound is reached, or some run is too long")

    # -- inside -----------------------------------------------------------------------------------------------------

    def _check_arguments(self) -> None:
        for name in self.rules:
            if name not in RULES:
                raise BadInput(f"there is no rule {name[:40]!r}; there are {', '.join(RULES)}")
        for kind in self.must_reach:
            if kind not in Event.kinds:
                raise BadInput(f"there is no kind of event {kind[:40]!r} that could be reached")
        if self.bound is not None and not 0 <= self.bound <= 1_000_000:
            raise BadInput(f"bound={str(self.bound)[:20]} is not possible; allowed: 0 to 1000000 switches")
        if self.budget is not None and not 0 < self.budget <= 1e6:
            raise BadInput(f"budget={str(self.budget)[:20]} is not possible; allowed: more than 0 s, up to 1000000 s")

    def _incomplete(self, why: str) -> Incomplete:
        if self._why_plain:
            why = f"{why} (every run was replayed, because {self._why_plain})"
        search = self._plain or self._wide or self._layers
        tried = search.switches - 1 if search is not None else -1
        return Incomplete(self.scene.name, why, tried if tried >= 0 else None, self._effort())

    @property
    def _seconds(self) -> float:
        return self._before + (time.perf_counter() - self._began if self._began is not None else 0.0)

    def _effort(self) -> Effort:
        if self._plain is not None:
            return Effort(self._plain.runs, 0, self._seconds, self._plain.runs)
        graph = self.graph
        if graph is None:
            return Effort(seconds=self._seconds)
        if self._wide is not None:
            wide = self._wide.graph
            return Effort(len(wide), wide.transitions, self._seconds, wide.recorder.misses)
        return Effort(len(graph), graph.transitions, self._seconds, graph.recorder.misses)


def _told(graph: StateGraph | WideGraph, kind: str) -> bool:
    return any(event.kind == kind for events in graph.table.events for _, event in events)
