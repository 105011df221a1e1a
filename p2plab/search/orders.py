"""How many orders there are, in a graph of millions of states: exact, by counting modulo several numbers at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.search.edges import Edges

Ints = npt.NDArray[Any]


def count_orders(edges: Edges, many: int) -> int | None:
    """The number of orders from state 0 to rest among so many states; None if loops make them endless."""
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
    """The states in groups, each after all that it leads to; None if there is a loop."""
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
    """So many numbers just below a power of two of which no two have a factor in common."""
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
