"""Frozen values tell apart what behaves differently, and nothing else."""

import enum
import sys
import threading
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from p2plab.core.actors import step
from p2plab.core.tracked import Tracked
from p2plab.core.world import World
from p2plab.search.freeze import Freezer, Unfreezable


class Colour(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    a: int
    b: int


@dataclass(frozen=True)
class Point:
    x: int


def frozen(value):
    return Freezer().whole(value)


def closure(n):
    return lambda: n


def at(value):
    """A generator that has gone through some of a value."""
    yield from value


def test_values_that_behave_differently_are_different():
    """Types, order, aliasing, closures, defaults, positions."""
    shared: list[int] = []
    begun, further = at([1, 2]), at([1, 2])
    next(begun), next(further), next(further)
    values = [
        1, True, 1.0, "1", b"1", None, (1,), [1], {1: 2}, {2: 1}, {1}, frozenset({1}), Colour.RED, Pair(1, 2), (1, 2),
        Point(1), Point(2), closure(1), closure(2), lambda n=1: n, lambda n=2: n, [shared, shared], [[], []], range(3),
        iter([1, 2]), begun, further, ValueError("x"), ValueError("y"), KeyError("x"), int, str.upper, "a".upper, ...,
    ]  # fmt: skip
    seen = [frozen(value) for value in values]
    assert len(set(seen)) == len(values)


def test_values_that_behave_alike_are_equal():
    """Made twice, frozen alike."""
    for make in (lambda: [1, {"a": (2, None)}], lambda: closure(3), lambda: ValueError("x"), lambda: Point(4), dict):
        assert frozen(make()) == frozen(make())


@pytest.mark.parametrize("text", ["x", b"x"])
def test_large_texts_that_are_equal_are_one_object(text):
    """Two states are compared at every look-up: fifty million characters would be read each time."""
    one, other = frozen((text * 5_000,))[1], frozen((text * 5_000,))[1]
    assert one is other or one[1] is other[1]
    assert frozen((text * 5_000,)) != frozen((text * 5_001,))


def test_a_coroutine_is_where_it_stands_and_what_it_has():
    """Equal after equal steps; different after another, or with another local value."""

    async def walk(n):
        for item in (n, n, 7):
            await step(f"at {item}")

    def walked(n, steps):
        coroutine = walk(n)
        for _ in range(steps):
            coroutine.send(None)
        value = frozen(coroutine)
        coroutine.close()
        return value

    assert walked(1, 2) == walked(1, 2)
    assert len({walked(n, steps) for n in (1, 2) for steps in (1, 2, 3)}) == 6


@pytest.mark.parametrize("value", [object(), memoryview(b"x"), sys.stdout, threading.Lock()])
def test_what_cannot_be_frozen_is_refused_by_name(value):
    """Sentinels, which have nothing but their identity; buffers, files, locks of the operating system."""
    with pytest.raises(Unfreezable, match=type(value).__qualname__):
        frozen(value)


def test_a_cell_may_not_reach_what_changes_unseen():
    """A plain object behind a bound method, a list in a closure."""

    class Plain:
        def method(self):
            pass

    cell = ("Box0", "callback")
    for value in (Plain().method, closure([1])):
        with pytest.raises(Unfreezable, match=r"Box0.callback reaches a"):
            Freezer(cell).whole(value)


def test_recursion_ends_in_a_sentence():
    """A list a hundred thousand deep."""
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unfreezable, match="nest too deep"):
        frozen(deep)
    while deep:  # let go of it from the outside in
        deep = deep[0]


def test_a_shared_container_is_named_and_not_copied():
    """An actor that keeps a list of a driver refers to the attribute; a replaced one is refused."""

    class Box(Tracked):
        def __init__(self):
            self.items = [1]

    def build(world):
        world.things = {"box": Box()}

    box = World(build).things["box"]
    kept = box.items
    freezer = Freezer()
    assert freezer.whole(kept) == ("in cell", "Box0", "items")
    assert freezer.held == {("Box0", "items")}
    box.items = []
    with pytest.raises(Unfreezable, match="one that was replaced since"):
        frozen(kept)
