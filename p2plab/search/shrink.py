"""Smaller stories: the same promise broken with fewer switches, fewer steps, in a smaller scene.

Every reduction is run from its start and kept only if the same promise still breaks, in a story that is no longer than
the one before. The memoised search finds the fewest switches and steps that its scene allows, so only the scene remains
to be reduced: each number among the knobs to its smallest value. :func:`shorten` is for runs found otherwise, by plain
replay, by a seed or by hand.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from p2plab.core.errors import P2PError
from p2plab.core.monitor import findings_in
from p2plab.core.run import Run
from p2plab.core.scenario import Knob, Scenario, Value
from p2plab.search.confirm import confirm
from p2plab.search.drivers import cast
from p2plab.search.search import Search
from p2plab.search.verdict import Shrunk, Violation, switches_of
from p2plab.search.watchdog import STEP_SECONDS, StepTooLong, Watchdog, silence

Choices = tuple[str, ...]
#: (switches, steps): what makes a story long.
Length = tuple[int, int]

#: Not shrunk: an endless step takes its whole budget at each try, and the other is about all orders.
LEFT_ALONE = ("endless-step", "must-reach")

#: How long one slice of a search in a smaller scene takes (seconds).
_SLICE = 0.05
#: Ends the tries of :meth:`Shrinking._shorten`; no schedule is like it.
ENDED = ("",)


class Shrinking:
    """Makes one counterexample smaller, a slice at a time; ``answer`` is always the smallest so far."""

    def __init__(
        self, scene: Scenario, answer: Violation, seconds: float, options: Mapping[str, Any], exact: bool = True
    ) -> None:
        """``options`` are those of the search that found ``answer`` in ``scene``; ``seconds`` is for all tries together.

        ``exact``: whether the answer is known to be as short as its scene allows.
        """
        self.answer = answer
        self.done = answer.rule in LEFT_ALONE
        self._scene, self._before, self._exact = cast(scene, **answer.run.scenario.cast), answer, exact
        self._options = {name: value for name, value in options.items() if name not in scene.roles}
        self._known = self._scene.monitors
        self._rules: tuple[str, ...] = tuple(options.get("rules") or self._scene.rules)
        self._dog = Watchdog(float(options.get("step_seconds", STEP_SECONDS)))
        self._left = seconds
        self._until = 0.0
        self._tries = 0
        self._tried: set[tuple[Value, ...]] = set()
        self._work = self._all()

    def advance(self, seconds: float) -> bool:
        """Go on for about that long; whether it is done. A try that is under way may end a little later."""
        began = time.perf_counter()
        self._until = began + min(seconds, self._left)
        finished = False
        while not self.done and time.perf_counter() < self._until:
            finished = next(self._work, None) is None
            self.done = finished
        self._left -= time.perf_counter() - began
        if not self.done and self._left <= 0:
            self.done = True
        if self.done and self._tries:
            before = self._before
            story = Shrunk(before.run.settings, before.switches, before.steps, self._tries, finished)
            self.answer = dataclasses.replace(
                self.answer, effort=before.effort, shrunk=story, also=before.also, watched=before.watched,
                not_tested=before.not_tested, chance=before.chance,
            )  # fmt: skip
        return self.done

    # -- inside: each yield is a moment at which the work may be left -------------------------------------------------

    def _all(self) -> Iterator[bool]:
        if self.answer.rule in self._known and not self._exact:
            yield from self._shorten()
        for knob in self._scene.knobs:
            if not knob.choices and not knob.ticks:
                yield from self._knob(knob)
        if self.answer.run.settings != self._before.run.settings:
            yield from self._searched(self.answer.run.settings)  # a replayed story may be longer than need be

    def _knob(self, knob: Knob) -> Iterator[bool]:
        for value in smaller(knob, int(self.answer.run.settings[knob.name])):
            settings = {**self.answer.run.settings, knob.name: value}
            before = self.answer
            self._replayed(settings)
            yield True
            if self.answer is before:
                yield from self._searched(settings)
            if self.answer is not before:
                return

    def _replayed(self, settings: Mapping[str, Value]) -> None:
        """The same story in a smaller scene: a thousandth of a search, and often sufficient."""
        if self.answer.rule not in self._known or self.answer.then:
            return
        self._tries += 1
        with self._watched():
            choices = until_broken(self._scene, settings, self.answer.rule, self.answer.run.schedule)
            if choices is not None:
                self._take(settings, choices)

    def _take(self, settings: Mapping[str, Value], choices: Choices) -> None:
        """Keep that story if it breaks the same promise, and no other one first. Steps left out make none longer."""
        rule = self.answer.rule
        told = confirm(self._scene, settings, rule, choices)
        if told is None:
            return
        run, finding = told
        first = next(findings_in(run.log, [self._known[name] for name in {*self._rules, rule}]))
        if first.step < finding.step:
            return
        self.answer = Violation(
            self.answer.scene, rule, finding.culprit, finding.what, run, switches_of(choices), effort=self.answer.effort
        )

    def _searched(self, settings: Mapping[str, Value]) -> Iterator[bool]:
        """Every order of a smaller scene with no more switches than the story has."""
        if tuple(settings.values()) in self._tried:
            return
        self._tried.add(tuple(settings.values()))
        self._tries += 1
        changed = {
            "knobs": settings,
            "bound": self.answer.switches,
            "budget": None,
            "must_reach": (),
            "second_net": False,
        }
        try:
            search = Search(self._scene, **{**self._options, **changed})
            while (found := search.advance(min(_SLICE, max(0.001, self._until - time.perf_counter())))) is None:
                yield True
                if search.progress.states > max(200, 2 * self._before.effort.states):
                    return  # that is no smaller scene
        except P2PError:
            return
        if isinstance(found, Violation) and found.rule == self.answer.rule and length(found) <= length(self.answer):
            self.answer = found

    def _shorten(self) -> Iterator[bool]:
        settings = self.answer.run.settings
        tries = shorter(self._scene, settings, self.answer.rule, self.answer.run.schedule)
        choices: Choices | None = ()
        while choices != ENDED:
            with self._watched():
                choices = next(tries, ENDED)
                if choices:
                    self._take(settings, choices)
            self._tries += 1
            yield True

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Runs driver code inside: without output, within a time limit. Not every scene can be built with every value."""
        with contextlib.suppress(P2PError, StepTooLong), self._dog, silence():
            yield


def shorten(run: Run, rule: str, seconds: float = 5.0) -> Run:
    """The shortest story found around a run that breaks ``rule``: steps dropped, blocks dropped, blocks swapped.

    ValueError if the run does not break it.
    """
    deadline = time.perf_counter() + seconds
    best: Choices | None = None
    for found in shorter(run.scenario, run.settings, rule, run.schedule):
        best = found if found is not None else best
        if best is None:
            raise ValueError(f"the run does not break {rule}")
        if time.perf_counter() > deadline:
            break
    return Run(run.scenario, run.settings, best or ())


def shrink_scene(answer: Violation, scene: Scenario, seconds: float = 10.0, **options: Any) -> Violation:
    """The same promise broken in a smaller scene: each number among the knobs as small as possible.

    Only a story that is no longer than the one before is taken. ``options`` are those of
    :class:`~p2plab.search.search.Search` with which the answer was found.
    """
    shrinking = Shrinking(scene, answer, seconds, options)
    while not shrinking.advance(seconds):
        pass
    return shrinking.answer


def smaller(knob: Knob, value: int) -> Iterator[int]:
    """Smaller values, the smallest first, then closer and closer to the present one."""
    low = knob.low
    while low < value:
        yield low
        low += max(1, (value - low + 1) // 2)


def length(answer: Violation) -> Length:
    """How long a story is."""
    return answer.switches, answer.steps


def length_of(choices: Choices) -> Length:
    """How long a schedule is."""
    return switches_of(choices), len(choices)


def shorter(
    scene: Scenario, settings: Mapping[str, Value], rule: str, choices: Sequence[str]
) -> Iterator[Choices | None]:
    """Ever shorter stories that break ``rule``; None for each try that does not. The first: the given one, cut off."""
    best = until_broken(scene, settings, rule, choices)
    yield best
    found = best
    while best is not None and found is not None:
        best, found = found, None
        for candidate in reductions(best):
            broken = until_broken(scene, settings, rule, candidate)
            if broken is not None and length_of(broken) < length_of(best):
                found = broken
                yield found
                break
            yield None


def reductions(choices: Choices) -> Iterator[Choices]:
    """A block left out; two neighbouring blocks exchanged, which joins those beyond; a step left out."""
    blocks = [tuple(group) for _, group in itertools.groupby(choices)]
    for at in range(len(blocks)):
        yield _joined([*blocks[:at], *blocks[at + 1 :]])
    for at in range(len(blocks) - 1):
        yield _joined([*blocks[:at], blocks[at + 1], blocks[at], *blocks[at + 2 :]])
    for at in range(len(choices)):
        yield (*choices[:at], *choices[at + 1 :])


def until_broken(scene: Scenario, settings: Mapping[str, Value], rule: str, choices: Sequence[str]) -> Choices | None:
    """The steps of ``choices`` that can be taken, up to the one that breaks the rule; None if none does."""
    world = scene.world(**settings)
    watcher = scene.monitors[rule]()
    seen = 0
    taken: list[str] = []
    for choice in (None, *choices):
        if choice is not None:
            if world.why_not(choice):
                continue
            world.take(choice)
            taken.append(choice)
        for entry in world.log[seen:]:
            if any(True for _ in watcher.see(entry)):
                return tuple(taken)
        seen = len(world.log)
    return None


def _joined(blocks: Sequence[Choices]) -> Choices:
    return tuple(itertools.chain.from_iterable(blocks))
