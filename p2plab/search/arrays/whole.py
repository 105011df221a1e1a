"""What only a whole graph can tell, in arrays: how many runs there are, and whether one never ends.

Neither depends on how the states are numbered. Orders are counted exactly, modulo several numbers at once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from p2plab.search.arrays.edges import Edges

if TYPE_CHECKING:
    from p2plab.search.arrays.graph import NumberedGraph

Ints = npt.NDArray[Any]

#: Orders are counted in graphs with up to this many steps, at some 50 bytes each.
MOST_COUNTED = 6_000_000
#: Number of states examined at a time.
BLOCK = 1 << 13


def cannot_terminate(graph: NumberedGraph) -> int | None:
    """As :func:`p2plab.search.liveness.cannot_terminate`, when all states are expanded."""
    count = len(graph)
    ends = np.zeros(count + 1, bool)  # the last one stands for "no such successor"
    ends[graph.terminal()] = True
    ends[[breach.state for breach in graph.breaches]] = True
    _follow(graph, ends)
    todo = np.flatnonzero(~ends[:count])[::-1]  # successors mostly have larger numbers
    while todo.size:
        left = []
        for states in np.array_split(todo, 1 + len(todo) // BLOCK):
            good = graph.edges.leads_to(states, ends)
            ends[states] = good
            left.append(states[~good])
        before, todo = len(todo), np.concatenate(left)
        if len(todo) == before:
            return first_met(graph, ~ends[:count])
    return None


def _follow(graph: NumberedGraph, ends: Ints) -> None:
    """Mark the states that terminate if always the last actor that can steps: after one step, two, four, ..."""
    count = len(graph)
    ways: Ints = np.arange(count, dtype=np.int32)
    for first in range(0, count, BLOCK):
        states = np.arange(first, min(count, first + BLOCK))
        states = states[~ends[states]]
        ways[states] = np.maximum(graph.edges.last(states), 0)
    before, now = -1, 0
    while now != before:
        before, now = now, 0
        for first in range(0, count, BLOCK):
            its = ways[first : first + BLOCK] = ways.take(ways[first : first + BLOCK])
            now += int(np.count_nonzero(ends.take(its)))
    for first in range(0, count, BLOCK):
        its = ways[first : first + BLOCK]
        ends[first : first + len(its)] |= ends.take(its)


def first_met(graph: NumberedGraph, wanted: Ints) -> int:
    """The first of the ``wanted`` states (a truth value each, one of them true), step by step, actors in their order.

    All states must be expanded. From then on the graph's path to that state is the way on which it was found.
    """
    actors = len(graph.actors)
    seen = np.zeros(len(graph), bool)
    level = np.zeros(1, np.int64)
    seen[0] = True
    ways: list[tuple[Ints, Ints]] = []
    while not wanted[level].any():
        followers = graph.edges.of(level).ravel().astype(np.int64)
        known = np.flatnonzero(followers >= 0)
        places = known[~seen[followers[known]]]
        places = places[np.sort(np.unique(followers[places], return_index=True)[1])]
        ways.append((level, places))
        level = followers[places]
        seen[level] = True
    at = int(np.argmax(wanted[level]))
    found = state = int(level[at])
    for before, places in reversed(ways):
        at, actor = divmod(int(places[at]), actors)
        graph.came_from[state], graph.came_by[state] = before[at], actor
        state = int(before[at])
    return found


# -- how many runs ---------------------------------------------------------------------------------------------------------


def count_orders(edges: Edges, many: int) -> int | None:
    """The number of runs from state 0 to their end in a graph of ``many`` states.

    None if loops make them endless, or if there are too many steps.
    """
    if edges.count > MOST_COUNTED:
        return None
    actors = edges.actors
    sources, targets = edges.steps(many)
    by_target = np.argsort(targets, kind="stable")
    before = sources[by_target]
    begins = np.concatenate([[0], np.cumsum(np.bincount(targets, minlength=many))])
    left = np.bincount(sources, minlength=many)
    steps, rounds = _last_first(left, before, begins)
    if steps is None:
        return None
    bits = 63 - actors.bit_length()
    moduli = _coprime(bits, 1 + int(rounds * math.log2(max(2, actors))) // (bits - 1))
    return _put_together([_count(steps, many, before, begins, modulus) for modulus in moduli], moduli)


def _last_first(left: Ints, before: Ints, begins: Ints) -> tuple[list[Ints] | None, int]:
    """The states in groups, each after its successors; None if there is a loop."""
    groups = [np.flatnonzero(left == 0)]
    done = 0
    while groups[-1].size:
        done += len(groups[-1])
        parents = before[_ranges(begins, groups[-1])]
        np.subtract.at(left, parents, 1)
        groups.append(np.unique(parents[left[parents] == 0]))
    return (groups[:-1] if done == len(left) else None), len(groups)


def _count(groups: list[Ints], many: int, before: Ints, begins: Ints, modulus: int) -> int:
    ways = np.zeros(many, np.int64)
    ways[groups[0]] = 1
    for group in groups:
        ways[group] %= modulus
        places = _ranges(begins, group)
        np.add.at(ways, before[places], np.repeat(ways[group], begins[group + 1] - begins[group]))
    return int(ways[0]) % modulus


def _ranges(begins: Ints, group: Ints) -> Ints:
    """The places of all edges into a group of states."""
    lengths = begins[group + 1] - begins[group]
    ends = np.cumsum(lengths)
    shift = np.repeat(begins[group] - (ends - lengths), lengths)
    places: Ints = np.arange(int(ends[-1]) if len(ends) else 0) + shift
    return places


def _coprime(bits: int, count: int) -> list[int]:
    """``count`` pairwise coprime numbers just below a power of two."""
    found: list[int] = []
    number = (1 << bits) - 1
    while len(found) < count:
        if all(math.gcd(number, other) == 1 for other in found):
            found.append(number)
        number -= 2
    return found


def _put_together(remainders: list[int], moduli: list[int]) -> int:
    """The smallest number with these remainders (the Chinese remainder theorem)."""
    number, product = 0, 1
    for remainder, modulus in zip(remainders, moduli, strict=True):
        number += product * ((remainder - number) * pow(product, -1, modulus) % modulus)
        product *= modulus
    return number
