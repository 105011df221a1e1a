"""Smaller stories: a run that breaks a promise with fewer switches, fewer steps, or in a smaller scene.

Every reduction is run again and kept only if the same promise still breaks. What a search finds has the fewest switches
and steps already; :func:`shorten` is for runs found otherwise, by a seed or by hand.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence

from p2plab.check.search import Search
from p2plab.check.verdict import Violation, switches_of
from p2plab.core.errors import P2PError
from p2plab.core.run import Run
from p2plab.core.scenario import Knob, Scenario
from p2plab.rules import RULES

Choices = tuple[str, ...]


def shorten(run: Run, rule: str, seconds: float = 5.0) -> Run:
    """The shortest story found around a run that breaks ``rule``: steps dropped, blocks dropped, blocks swapped.

    ValueError if the run does not break it.
    """
    deadline = time.perf_counter() + seconds
    best = _until_broken(run, rule, run.schedule)
    if best is None:
        raise ValueError(f"the run does not break {rule}")
    smaller: Choices | None = best
    while smaller is not None:
        best, smaller = smaller, None
        for candidate in _reductions(best):
            if time.perf_counter() > deadline:
                break
            found = _until_broken(run, rule, candidate)
            if found is not None and _size(found) < _size(best):
                smaller = found
                break
    return Run(run.scenario, run.settings, best)


def shrink_scene(answer: Violation, scene: Scenario, seconds: float = 10.0) -> Violation:
    """The same promise broken in a smaller scene: each number among the knobs as small as it can be.

    Only a story that is no longer than the one before is taken.
    """
    deadline = time.perf_counter() + seconds
    if answer.rule not in RULES:
        return answer
    for knob in (knob for knob in scene.knobs if not knob.choices):
        for value in _smaller(knob, int(answer.run.settings[knob.name])):
            left = deadline - time.perf_counter()
            if left <= 0:
                return answer
            found = _search(answer, scene, knob.name, value, min(left, seconds / 4))
            if found is not None:
                answer = found
                break
    return answer


def _smaller(knob: Knob, value: int) -> Iterator[int]:
    """Smaller values, the smallest first, then ever nearer to the present one."""
    low = knob.low
    while low < value:
        yield low
        low += max(1, (value - low + 1) // 2)


def _search(answer: Violation, scene: Scenario, name: str, value: int, seconds: float) -> Violation | None:
    cast = {**scene.cast, **answer.run.scenario.cast}
    try:
        search = Search(
            scene,
            importer=cast.get("importer"),
            exporter=cast.get("exporter"),
            knobs={**answer.run.settings, name: value},
            rules=[answer.rule],
            bound=answer.switches,
            budget=seconds,
        )
    except P2PError:
        return None  # not every scene can be built with every value
    try:
        while (found := search.advance(0.5)) is None:
            pass
    except P2PError:
        return None
    if isinstance(found, Violation) and (found.switches, found.steps) <= (answer.switches, answer.steps):
        return found
    return None


def _size(choices: Choices) -> tuple[int, int]:
    return switches_of(choices), len(choices)


def _reductions(choices: Choices) -> Iterator[Choices]:
    blocks = [tuple(group) for _, group in itertools.groupby(choices)]
    for at in range(len(blocks)):
        yield _joined([*blocks[:at], *blocks[at + 1 :]])
    for at in range(len(blocks) - 1):  # two neighbours change places, and join those beyond
        yield _joined([*blocks[:at], blocks[at + 1], blocks[at], *blocks[at + 2 :]])
    for at in range(len(choices)):
        yield (*choices[:at], *choices[at + 1 :])


def _joined(blocks: Sequence[Choices]) -> Choices:
    return tuple(itertools.chain.from_iterable(blocks))


def _until_broken(run: Run, rule: str, choices: Sequence[str]) -> Choices | None:
    """The steps of ``choices`` that can be taken, up to the one that breaks the rule; None if none does."""
    world = run.scenario.world(**run.settings)
    watcher = RULES[rule]()
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
