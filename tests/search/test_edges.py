"""Successors of many states: what is added comes back, and who never comes to rest is found in any graph."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2plab.core.actors import step
from p2plab.core.tracked import Tracked
from p2plab.core.world import World
from p2plab.search.arrays import whole
from p2plab.search.arrays.edges import Edges
from p2plab.search.arrays.graph import ArrayGraph
from p2plab.search.arrays.whole import cannot_terminate, count_orders
from p2plab.search.model import Model
from p2plab.search.monitors import Monitors
from p2plab.search.recorder import Recorder
from p2plab.search.steps import NOWHERE, breach_of
from p2plab.search.watchdog import Watchdog
from p2plab.search.world import maker


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    """Successors by state and actor, some steps nowhere. Every state but the first is reached from the one before."""
    many, actors = draw(st.integers(1, 30)), draw(st.sampled_from([1, 3, 8, 11]))
    rows = [[draw(st.integers(NOWHERE, many - 1)) for _ in range(actors)] for _ in range(many)]
    for state in range(1, many):
        rows[state - 1][draw(st.integers(0, actors - 1))] = state
    return rows


def edges_of(rows: list[list[int]], cuts: list[int]) -> Edges:
    """They are added in pieces."""
    matrix = np.array(rows, np.int32)
    edges = Edges(matrix.shape[1])
    for states in np.split(np.arange(len(rows)), sorted({cut % len(rows) for cut in cuts})):
        able = matrix[states] != NOWHERE
        edges.add(states, np.ascontiguousarray(able.T), matrix[states][able])
    return edges


@given(rows=graphs(), cuts=st.lists(st.integers(0, 100), max_size=3))
def test_successors_come_back_as_they_were_added(rows, cuts):
    """One by one, all together, and as a list of steps."""
    edges = edges_of(rows, cuts)
    everybody = np.arange(len(rows))
    assert edges.of(everybody[::-1]).tolist() == rows[::-1]
    assert [edges.of(np.array([state]))[0].tolist() for state in range(len(rows))] == rows
    sources, targets = edges.steps(len(rows))
    steps = [(state, to) for state, row in enumerate(rows) for to in row if to >= 0]
    assert list(zip(sources.tolist(), targets.tolist(), strict=True)) == steps
    able = [state for state, row in enumerate(rows) if max(row) >= 0]
    assert edges.last(np.array(able, np.int64)).tolist() == [[to for to in rows[s] if to >= 0][-1] for s in able]
    wanted = np.append(everybody % 3 == 0, False)
    expected = [any(to >= 0 and to % 3 == 0 for to in row) for row in rows]
    assert edges.leads_to(everybody, wanted).tolist() == expected


def test_a_goal_is_a_successor_and_no_state():
    """A step that breaks something has its goal's code."""
    edges = Edges(2)
    edges.add(np.array([7]), np.array([[True], [True]]), np.array([breach_of(3), 0]))
    assert edges.of(np.array([7])).tolist() == [[breach_of(3), 0]]
    assert edges.known(np.array([6, 7, 100_000])).tolist() == [False, True, False]
    everything_but_the_last = np.append(np.ones(9, bool), False)
    assert edges.leads_to(np.array([7]), everything_but_the_last).tolist() == [True]
    everything_but_the_last[0] = False
    assert edges.leads_to(np.array([7]), everything_but_the_last).tolist() == [False]


def test_any_of_hundreds_of_actors_may_have_led_to_a_state():
    """Each adds a number of its own once; the way to a state names the one who stepped, the last as well."""

    def build(world: World) -> None:
        cells = [Cell() for _ in range(300)]
        for number, cell in enumerate(cells):

            async def job(cell: Cell = cell) -> None:
                await step("sets it", lambda: setattr(cell, "value", 1))

            world.actor(f"a{number}", job)

    with Watchdog() as dog:
        graph = ArrayGraph(Model(Recorder(maker(build, {}), dog), Monitors([])))
        graph.expand(np.zeros(1, np.int64))
    assert [graph.path(state) for state in range(1, len(graph))] == [[f"a{number}"] for number in range(300)]


class Cell(Tracked):
    """Set once."""

    def __init__(self) -> None:
        self.value = 0


def the_slow_way(rows: list[list[int]]) -> int | None:
    """The first state, as it is met step by step, from which no way leads to rest."""
    calm = {state for state, row in enumerate(rows) if max(row) < 0}
    for _ in rows:
        calm |= {state for state, row in enumerate(rows) if calm & set(row)}
    met, todo = {0}, [0]
    for state in todo:
        for to in rows[state]:
            if to >= 0 and to not in met:
                met.add(to)
                todo.append(to)
    return next((state for state in todo if state not in calm), None)


@given(rows=graphs(), block=st.sampled_from([1, 2, 7, 1 << 13]))
def test_the_first_that_never_rests_is_found_in_any_graph(rows, block):
    """Loops that can be left, loops that cannot, and none."""
    graph = SimpleNamespace(
        edges=edges_of(rows, []), breaches=[], actors=rows[0], came_from=np.zeros(99), came_by=np.zeros(99)
    )
    graph.terminal = lambda: np.array([state for state, row in enumerate(rows) if max(row) < 0], np.int64)
    graph = type("Graph", (SimpleNamespace,), {"__len__": lambda _: len(rows)})(**vars(graph))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole, "BLOCK", block)
        assert cannot_terminate(graph) == the_slow_way(rows)


def test_orders_are_counted_where_no_loop_makes_them_endless():
    """Two ways to rest, by three orders; and a loop."""
    rows = [[1, 2], [NOWHERE, 3], [3, 4], [NOWHERE, NOWHERE], [NOWHERE, NOWHERE]]
    assert count_orders(edges_of(rows, []), len(rows)) == 3
    assert count_orders(edges_of([[1, NOWHERE], [0, NOWHERE]], []), 2) is None
