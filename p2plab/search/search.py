"""``Search`` explores every order of a scene's events, a slice at a time, and returns its answer as a value."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2plab.core import known
from p2plab.core.errors import BadInput, P2PError, comes_from_outside, text_of
from p2plab.core.events import Event
from p2plab.core.monitor import DeadlockMonitor, Goal, LeadsTo, Monitor
from p2plab.core.names import unknown
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import by_seed, straight
from p2plab.core.tracked import Untrackable
from p2plab.core.world import World
from p2plab.search.closed import Closed, Refused
from p2plab.search.confirm import cause_of, confirm
from p2plab.search.drivers import cast, played
from p2plab.search.freeze import Unfreezable
from p2plab.search.graph import Graph, StateGraph, Story
from p2plab.search.liveness import Lasso, lasso, stays_open
from p2plab.search.model import Model
from p2plab.search.monitors import Monitors, watched
from p2plab.search.net import BESIDE_THE_NET, SecondNet, audit, named
from p2plab.search.plain import Plain
from p2plab.search.recorder import Recorder
from p2plab.search.sources import world_of
from p2plab.search.stages import Stages
from p2plab.search.steps import NotDeterministic
from p2plab.search.verdict import Effort, Incomplete, Pass, RandomOrders, Verdict, Violation, switches_of
from p2plab.search.watchdog import STEP_SECONDS, StepTooLong, Watchdog, silence, where
from p2plab.search.world import SearchWorld, maker

if TYPE_CHECKING:
    from p2plab.search.arrays.search import ArraySearch
    from p2plab.search.pct import Chance

#: Number of states after which a search switches to arrays; numpy is imported only then.
SMALL = 10_000
#: The share of the budget that an unfinished search leaves for random orders, and the maximum in seconds.
CHANCE, MOST_CHANCE = 0.2, 30.0
#: Without a budget, random orders get the same share of the time that the search took, and at least this many seconds.
LEAST_CHANCE = 1.0
#: Number of steps shown of an order that may never terminate.
_TOLD = 200
#: Seconds for inspecting a user's code and what it imports.
_LOADING = 5.0
#: Steps of a run that shows what the shipped drivers do.
_LONG_ENOUGH = 2_000


@dataclass(frozen=True)
class Progress:
    """How far a search has got: states visited, states per second, steps in the frontier, switches tried, seconds."""

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
        knobs: Mapping[str, object] | None = None,
        rules: Sequence[str] | None = None,
        bound: int | None = None,
        budget: float | None = 10.0,
        states: int = 3_000_000,
        must_reach: Sequence[str] = (),
        step_seconds: float = STEP_SECONDS,
        symmetry: bool = True,
        second_net: bool = True,
        closed: Closed | None = None,
        **roles: type | None,
    ) -> None:
        """:exc:`BadInput` for a class, knob, rule, kind of event or number that cannot be used.

        ``roles``: your classes, by role (``importer=MyNic``). ``bound``: maximum number of switches; ``budget``: seconds;
        ``states``: maximum number of states to visit; ``must_reach``: kinds of event that some order must reach;
        ``symmetry``: whether states that differ only in interchangeable actors are searched once; ``second_net``: whether
        memoised steps are run again along other paths, for a quarter of the search's time; ``closed``: the code of the
        classes, if it was inspected before.
        """
        self.scene = cast(scene, **roles)
        self.knobs = self.scene.settings(knobs or {})
        self.rules = tuple(self.scene.rules if rules is None else rules)
        self.must_reach = tuple(must_reach)
        self.goals = self._goals()
        self.bound, self.budget, self.most_states = bound, budget, states
        self._check_arguments()
        self.closed = closed if closed is not None else self._looked_through()
        self.verdict: Verdict | None = None
        self._dog = Watchdog(step_seconds)
        self._before = 0.0  #: seconds of earlier slices
        self._computed = 0.0  #: seconds of computing until this slice, which are fewer on a busy machine
        self._began: float | None = None  #: when the slice that runs began
        self._symmetry, self._second_net = symmetry, second_net
        self._net: SecondNet | None = None
        self._net_is_over = False  #: the budget is used up; what was run again until then counts
        self._stages: Stages | None = None
        self._plain: Plain | None = None
        self._why_plain = ""
        self._chance: Chance | None = None
        self._why_chance: tuple[str, float] | None = (
            None  #: why the search ended, and the seconds for random orders then
        )

    def _looked_through(self) -> Closed:
        with Watchdog(_LOADING) as dog, silence(), dog.step():
            return Closed([*self.scene.cast.values(), *world_of(self.scene.build)])

    # -- from outside -----------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> Verdict | None:
        """Continue for about that long. Returns the verdict once there is one."""
        if self.verdict is not None:
            return self.verdict
        self._began = time.perf_counter()
        self._computing = time.process_time()
        if self.budget is not None:
            seconds = min(seconds, max(0.0, self._until() - self._before))
        with self._dog, silence():
            try:
                if self._why_chance is not None:
                    self._chance_slice(*self._why_chance, seconds)
                else:
                    self._slice(seconds)
            except Unfreezable as error:
                self._fall_back(str(error))
            except NotDeterministic as error:
                self._found_out(error)
            except StepTooLong as error:
                self.verdict = self._incomplete(f"the scene cannot be built, a step never ends: {where(error)}")
        self._before, self._began = self._seconds, None
        self._computed += time.process_time() - self._computing
        if self.verdict is None and self.budget is not None and self._before >= self._until():
            self._time_is_up(f"the budget of {self.budget:g} s is used up")
        return self.verdict

    def _until(self) -> float:
        """Seconds after which this part of the search ends; random orders get the rest of the budget."""
        assert self.budget is not None
        if self._is_searched or self._why_chance is not None:
            return self.budget
        return self.budget - min(CHANCE * self.budget, MOST_CHANCE)

    @property
    def _is_searched(self) -> bool:
        """Whether every state was visited and only the second net is left to do."""
        return self._plain is None and self._stages is not None and self._stages.current.done

    def _time_is_up(self, why: str) -> None:
        if self._why_chance is not None:
            self.verdict = self._incomplete(self._why_chance[0])
        else:
            self.try_at_random(why)

    def try_at_random(self, why: str, seconds: float | None = None) -> None:
        """Try random orders for that many seconds (default: the rest of the budget), then answer *not decided*, with ``why``.

        If every state was visited already, this ends the second net instead.
        """
        if self._is_searched:
            self._net_is_over = True
        else:
            self._go_on_at_random(why, seconds)

    def _go_on_at_random(self, why: str, seconds: float | None = None) -> None:
        if seconds is None and self.budget is not None:
            seconds = self.budget - self._seconds
        elif seconds is None:
            seconds = max(LEAST_CHANCE, CHANCE * self._seconds)
        self._why_chance = why, seconds

    def cancel(self) -> Verdict:
        """Stop. The verdict says how far the search got."""
        if self.verdict is None:
            self.verdict = self._incomplete(self._why_chance[0] if self._why_chance is not None else "it was cancelled")
        return self.verdict

    @property
    def at_random(self) -> bool:
        """Whether the search had to stop and now tries random orders."""
        return self._why_chance is not None

    @property
    def progress(self) -> Progress:
        """How far it has got."""
        effort = self._effort()
        search = self._plain or (self._stages.current if self._stages is not None else None)
        rate = effort.states / effort.seconds if effort.seconds else 0.0
        frontier, switches = (search.frontier, search.switches) if search is not None else (0, 0)
        return Progress(effort.states, rate, frontier, switches, effort.seconds)

    @property
    def graph(self) -> StateGraph | None:
        """The states visited so far; None before the first slice."""
        return self._stages.layers.graph if self._stages is not None else None

    @property
    def arrays(self) -> ArraySearch | None:
        """The search in arrays, once the search has switched to them."""
        return self._stages.arrays if self._stages is not None else None

    @property
    def exact(self) -> bool:
        """Whether a counterexample is known to be the shortest; replay without memoisation finds a short one."""
        return self._plain is None and self._chance is None

    # -- a slice ----------------------------------------------------------------------------------------------------

    def _slice(self, seconds: float) -> None:
        if self._plain is not None:
            self._plain_slice(self._plain, seconds)
            return
        stages = self._begun()
        stages.advance(seconds)
        if stages.found is not None:
            self._show_story(stages.found)
        elif stages.current.done and self._netted(stages.graph, seconds):
            self._nothing_broke(stages.graph, stages.current.complete, stages.current.switches)
        if self.verdict is None and len(stages.graph) > self.most_states:
            self._go_on_at_random(f"there are more than {self.most_states} states")

    def _begun(self) -> Stages:
        if self._stages is None:
            self._monitors = Monitors(self._watched)
            model = Model(self._recorder(), self._monitors)
            symmetry = self._symmetry and not any(issubclass(rule, LeadsTo) for rule in self._watched)
            self._stages = Stages(model, self.bound, self.most_states, SMALL, symmetry)
        return self._stages

    def _chance_slice(self, why: str, whole: float, seconds: float) -> None:
        chance = self._chance
        if chance is None:
            from p2plab.search.pct import Chance, InWorlds, LookedUp  # most searches come to their end without it

            switches = (self._plain or self._begun().current).switches - 1
            if self._plain is not None:
                runner: InWorlds | LookedUp = InWorlds(self._maker(), watched(self._watched), self._dog)
            else:
                runner = LookedUp(self._begun().model)
            chance = self._chance = Chance(runner, switches, whole)
        chance.advance(seconds)
        if self._plain is not None:
            self._look_outside()
        if chance.found is not None:
            self._show_story(chance.found)
        elif chance.done:
            self.verdict = self._incomplete(why)

    def _recorder(self) -> Recorder:
        try:
            return Recorder(self._maker(), self._dog, self.closed)
        except Untrackable as error:
            raise Refused(f"{error} ({where(error)})") from None
        except P2PError:
            raise
        except BaseException as error:
            if comes_from_outside(error):
                raise
            what = f"{type(error).__name__}: {text_of(error)}"
            raise BadInput(f"the scene cannot be built: {what} (in {where(error)})") from None

    def _maker(self) -> Callable[[], SearchWorld]:
        scene, knobs = self.scene, self.knobs
        return maker(lambda world: scene.build(world, knobs), scene.cast)

    def _show_story(self, story: Story) -> None:
        rule, what, schedule = story.broken.rule, story.broken.what, story.choices
        confirmed = confirm(self.scene, self.knobs, rule, schedule)
        if confirmed is None:
            error = NotDeterministic(f"a run that broke {rule} ({what}) did not break it when it was executed again")
            self._found_out(error)
            return
        run, finding = confirmed
        kept = next((a.crash for a in run.world.actors.values() if isinstance(a.crash, Untrackable)), None)
        if kept is not None:
            raise Refused(f"{kept} ({where(kept)})")
        if rule == DeadlockMonitor.name and self.scene.breaks != rule and (cause := cause_of(run, self._watched)):
            rule, finding = cause.rule, cause
        then = schedule[len(run)] if len(run) < len(schedule) else ""
        said = what if rule == "endless-step" else finding.what
        self.verdict = Violation(
            self.scene.name, rule, finding.culprit, said, run, story.switches, then, self._effort(),
            watched=self.rules, not_tested=self._not_tested, chance=self._tried,
        )  # fmt: skip

    def _netted(self, graph: Graph, seconds: float) -> bool:
        """Whether the second net is done, which runs memoised steps again along other paths."""
        if not self._second_net:
            audit(graph)
            return True
        if self._net is None or self._net.graph is not graph:
            if not self._net_is_over:
                audit(graph, BESIDE_THE_NET)
            self._net = SecondNet(graph, self._computed + time.process_time() - self._computing)
        return self._net_is_over or self._net.advance(seconds)

    def _look_outside(self) -> None:
        """:exc:`Refused` if a driver changed what is neither an attribute nor a local variable."""
        if self.closed.functions:
            self.closed.look("some step", everywhere=True)

    def _found_out(self, error: NotDeterministic) -> None:
        """A driver is not deterministic: because of something that it changed outside, or for an unknown reason."""
        self._look_outside()
        self.verdict = self._incomplete(named(error))

    def _nothing_broke(self, graph: Graph, complete: bool, switches: int) -> None:
        self._look_outside()
        never = [goal for goal in self.goals if not _reached(graph, goal)]
        if never and not complete:
            self._go_on_at_random(f"no order with at most {switches} switches reaches {never[0].name}")
        elif never:
            run = Run(self.scene, self.knobs).driven(_for_a_while)
            self._violation("must-reach", never[0].name, f"no order of events ever reaches {never[0].what}", run)
        elif idler := self._idle_role(graph):
            self.verdict = self._incomplete(idler)
        elif not complete or not (self._never_rests(graph) or self._left_open(graph)):
            orders = graph.count_orders() if complete else None
            orbits, net = graph.orbits, None if self._net is None else self._net.result
            idle = self._not_tested
            self.verdict = Pass(
                self.scene.name,
                self.bound,
                complete,
                orders,
                idle,
                self._effort(),
                orbits,
                net,
                watched=self.rules,
                knobs=self.scene.given(self.knobs),
            )

    def _never_rests(self, graph: Graph) -> bool:
        state = graph.cannot_terminate()
        if state is None:
            return False
        if self._stages is not None and self._stages.symmetric is not None:
            self._stages.without_symmetry("some order never comes to rest, and its loop is looked for")
            return True
        around = lasso(graph, state)
        who = " and ".join(dict.fromkeys(around.cycle))
        what = f"the last {len(around.cycle)} steps, of {who}, go round for ever: no order comes to rest from there"
        self._violation("retry-for-ever", around.cycle[0], what, self._run_of(around))
        return True

    def _left_open(self, graph: Graph) -> bool:
        """Whether a leads-to of your own stays open for ever on some fair run; the verdict is then its lasso."""
        for number, rule in enumerate(self._monitors.rules):
            if not isinstance(rule, LeadsTo):
                continue
            column = graph.model.columns.memory
            memories = (self._monitors.memory(graph.row(state)[column], number) for state in range(len(graph)))
            still = {state for state, memory in enumerate(memories) if getattr(memory, "open", False)}
            found = stays_open(graph, still, {int(state) for state in graph.terminal()})
            if found is None:
                continue
            who = " and ".join(dict.fromkeys(found.cycle))
            around = f"the last {len(found.cycle)} steps, of {who}, go round for ever, and are fair"
            what = f"{rule.promise}: not in this run, {around if found.cycle else 'which comes to rest without it'}"
            self._violation(rule.name, (found.cycle or found.stem)[-1], what, self._run_of(found))
            return True
        return False

    def _run_of(self, found: Lasso) -> Run:
        """A lasso, executed. :exc:`NotDeterministic` where the cycle does not come back to where it began."""
        run = Run(self.scene, self.knobs, (*found.stem, *found.cycle))
        if found.cycle and run.at(len(run)).state() != run.at(len(found.stem)).state():
            raise NotDeterministic("a loop that the search saw does not come back to where it began")
        return run

    def _violation(self, rule: str, culprit: str, what: str, run: Run) -> None:
        switches = switches_of(run.schedule)
        self.verdict = Violation(
            self.scene.name, rule, culprit, what, run, switches, effort=self._effort(),
            watched=self.rules, not_tested=self._not_tested,
        )  # fmt: skip

    # -- the plain search -------------------------------------------------------------------------------------------

    def _fall_back(self, why: str) -> None:
        self._chance = None
        self._why_plain = why
        self._plain = Plain(self._maker(), watched(self._watched), self._dog, self.bound)

    def _plain_slice(self, plain: Plain, seconds: float) -> None:
        try:
            plain.advance(seconds)
        except StepTooLong as error:
            self.verdict = self._incomplete(f"a step never ends: {where(error)}")
            return
        self._look_outside()
        if plain.done and plain.found is not None:
            self._show_story(plain.found)
        elif plain.done and plain.complete:
            self.verdict = self._incomplete(
                "nothing broke in any order, and nothing was looked up: no proof by the search"
            )
        elif plain.done:
            self._go_on_at_random("the bound is reached, or some run is too long")

    # -- inside -----------------------------------------------------------------------------------------------------

    def _check_arguments(self) -> None:
        for name in self.rules:
            if name not in self.scene.monitors:
                raise BadInput(unknown("rule", name, list(self.scene.monitors)))
        kinds = known.events() if self.must_reach else {}
        for kind in self.must_reach:
            if kind not in kinds and kind not in _kinds_of(Event):  # a driver's file may have some of its own
                raise BadInput(f"there is no kind of event {kind[:40]!r} that could be reached")
        if self.bound is not None and not 0 <= self.bound <= 1_000_000:
            raise BadInput(f"bound={str(self.bound)[:20]} is not possible; allowed: 0 to 1000000 switches")
        if self.budget is not None and not 0 < self.budget <= 1e6:
            raise BadInput(f"budget={str(self.budget)[:20]} is not possible; allowed: more than 0 s, up to 1000000 s")

    def _incomplete(self, why: str) -> Incomplete:
        if self._why_plain:
            why = f"{why} (every run was replayed, because {self._why_plain})"
        search = self._plain or (self._stages.current if self._stages is not None else None)
        tried = search.switches - 1 if search is not None else -1
        grows, busiest = self._largest()
        return Incomplete(
            self.scene.name, why, tried if tried >= 0 else None, self._effort(), self.rules, self._not_tested,
            grows, busiest, self._advice(tried) if self._stages is not None else (), self._tried,
            self.scene.given(self.knobs),
        )  # fmt: skip

    @property
    def _tried(self) -> RandomOrders | None:
        """The random orders that were tried."""
        return self._chance.tried if self._chance is not None and self._chance.orders else None

    def _largest(self) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
        """The cell with the most values and the actor with the most positions, among the states visited."""
        if self._stages is None:
            return None, None
        columns = self._stages.model.columns
        cells = [(len(columns.values[column]), ".".join(cell)) for cell, column in columns.of.items()]
        actors = [(len(values), name) for name, values in zip(columns.actors, columns.values, strict=False)]
        return tuple((name, many) for many, name in (max(found, default=(0, "")) for found in (cells, actors)))  # type: ignore[return-value]

    def _advice(self, tried: int) -> tuple[str, ...]:
        """What to try after an unfinished search."""
        numbers = [knob for knob in self.scene.knobs if not knob.choices and not knob.ticks]
        large = [f"{knob.name}={knob.low}" for knob in numbers if int(self.knobs[knob.name]) > knob.low]
        more = [f"a smaller scene ({', '.join(large[:3])})"] if large else []
        return (*more, f"a bound (at most {max(2, tried + 2)} switches)", "a longer budget", "more workers")

    @property
    def _watched(self) -> list[type[Monitor]]:
        monitors = self.scene.monitors
        return [monitors[name] for name in self.rules]

    @property
    def _not_tested(self) -> tuple[str, ...]:
        """The rules that no order so far has tested."""
        if self._stages is None:
            return self.rules
        tested = {*self._monitors.exercised, DeadlockMonitor.name}
        return tuple(name for name in self.rules if name not in tested)

    def _goals(self) -> list[Goal]:
        """What some order must reach: what the caller asks for, and what the scene and the files of your classes declare."""
        asked = [Goal(kind, kind, functools.partial(_is, kind)) for kind in self.must_reach]
        if not self.scene.cast:
            return asked
        own = [goal for goal in self.scene.own.values() if isinstance(goal, Goal)]
        return [*asked, *(known.goals()[name] for name in self.scene.must), *own, *self._of_the_exporter()]

    def _of_the_exporter(self) -> list[Goal]:
        """What an exporter of yours must do: take memory back, where the shipped one does so in a run with the same knobs."""
        shipped = known.scenes().get(self.scene.name)
        goal = known.goals().get("takes-back")
        if "exporter" not in self.scene.cast or shipped is None or goal is None:
            return []
        run = Run(shipped, dict(self.knobs)).driven(by_seed(0), _LONG_ENOUGH)
        return [goal] if any(goal.reached(entry.event) for entry in run.log) else []

    def _idle_role(self, graph: Graph) -> str:
        """Why nothing is known about a class in a role: no step of the scene reached it. Empty if one did."""
        told = [event for number, events in enumerate(graph.model.table.events) if number for _, event in events]
        idle = [role for role in self.scene.cast if not played(self.scene, self.knobs, role, told)]
        if not idle:
            return ""
        given = self.scene.cast[idle[0]].__name__
        return f"no step reaches {given} ({idle[0]}) in any order, so nothing is known of it"

    @property
    def _seconds(self) -> float:
        return self._before + (time.perf_counter() - self._began if self._began is not None else 0.0)

    def _effort(self) -> Effort:
        if self._plain is not None:
            return Effort(self._plain.runs, 0, self._seconds, self._plain.runs)
        if self._stages is None:
            return Effort(seconds=self._seconds)
        graph = self._stages.graph
        return Effort(graph.full, graph.transitions, self._seconds, graph.model.recorder.misses)


def _kinds_of(kind: type[Event]) -> set[str]:
    """The names of all kinds of event defined so far."""
    return {kind.__name__}.union(*map(_kinds_of, kind.__subclasses__()))


def _for_a_while(world: World) -> Iterator[str]:
    """An order that lets each actor go on as long as it can; cut, because it may never terminate."""
    return itertools.islice(straight(world), _TOLD)


def _is(kind: str, event: Event) -> bool:
    return event.kind == kind


def _reached(graph: Graph, goal: Goal) -> bool:
    return any(goal.reached(event) for events in graph.model.table.events for _, event in events)
