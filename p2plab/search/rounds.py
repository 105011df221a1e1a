"""The order in which a check of many scenes counts its answers: as one process would, for any number of them.

In each round every scene without an answer gets a number of states, in the order of the list; in the next round four times
as many. Once something breaks, all that comes later in this order is searched again under a bound, for a smaller story only. So
the wanted searches and the counting answers depend on numbers of states, not on which process was quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from p2plab.search.verdict import Verdict, Violation

#: States that a scene gets in the first round, and the factor from one round to the next.
FIRST, MORE = 1_000, 4


class Task(NamedTuple):
    """The search of a scene (by its place in the list) under a bound (switches; None: every order)."""

    scene: int
    bound: int | None


class Known(NamedTuple):
    """What is known of a task: the first round that it has not used up, or the one in which its answer came."""

    round: int = 0
    answer: Verdict | None = None


class Order(NamedTuple):
    """``rows``: the answers that count, by scene. ``wanted``: the round up to which a task is wanted, the most urgent first.

    While something is wanted, the rows assume that what is not known breaks nothing.
    """

    rows: dict[int, Verdict]
    wanted: dict[Task, int]


def states_of(round: int) -> int:
    """The number of states of a scene at the end of a round."""
    return FIRST * int(MORE**round)


def round_of(states: int) -> int:
    """The round in which an answer with that many states comes."""
    round = 0
    while states_of(round) < states:
        round += 1
    return round


def in_order(scenes: int, bound: int | None, known: Mapping[Task, Known]) -> Order:
    """What one process would have done by now, as far as known; ``bound`` is the one that was asked for."""
    rows: dict[int, Verdict] = {}
    wanted: dict[Task, int] = {}
    left, round = list(range(scenes)), 0
    while any(Task(scene, bound) not in wanted for scene in left):
        for scene in tuple(left):
            task = Task(scene, bound)
            there = known.get(task, Known())
            if there.round > round or task in wanted:
                continue
            if there.answer is None:
                wanted[task] = round
                continue
            rows[scene] = there.answer
            left.remove(scene)
            bound = lower(bound, there.answer)
        round += 1
    return Order(rows, wanted)


def lower(bound: int | None, answer: Verdict) -> int | None:
    """The bound after an answer: a story is smaller than another with no more switches. Findings on all orders do not count."""
    if not isinstance(answer, Violation) or answer.rule == "must-reach":
        return bound
    return answer.switches if bound is None else min(bound, answer.switches)
