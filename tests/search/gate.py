"""The soundness gate: two searches of one program must agree on states, transitions, broken promises and rest."""

import numpy as np

from p2plab.rules.health import LockOrderKept, NoCrash
from p2plab.search.arrays.graph import NumberedGraph
from p2plab.search.arrays.search import Breadth
from p2plab.search.closed import Closed, Refused
from p2plab.search.freeze import Unfreezable
from p2plab.search.graph import StateGraph
from p2plab.search.layers import Layers
from p2plab.search.model import Model
from p2plab.search.monitors import Monitors, watched
from p2plab.search.recorder import Recorder
from p2plab.search.steps import ABSENT, NOWHERE, NotDeterministic
from p2plab.search.symmetry.graph import SymmetricGraph
from p2plab.search.symmetry.members import NotSymmetric, interchangeable
from p2plab.search.watchdog import Watchdog
from p2plab.search.world import maker
from tests.search.naive import Explored, explore
from tests.search.programs import NeverTwice, program

RULES = (NeverTwice, LockOrderKept, NoCrash)


def memoised(build, rules=RULES, limit=5_000) -> Explored:
    """What the memoised search finds, in the reference's terms."""
    with Watchdog() as dog:
        closed = Closed([build.driver]) if hasattr(build, "driver") else None
        graph = StateGraph(Model(Recorder(maker(build, {}), dog, closed), Monitors(rules)))
        layers = Layers(graph, stop_at_first=False)
        layers.advance(60, states=limit)
    return explored(graph, layers.complete)


def hidden(seed, place, limit) -> tuple[str, str]:
    """How a program with a bit in a place ends (``refused``, ``too large``, ``compared``), and what differs."""
    try:
        found = memoised(program(seed, place), limit=limit)
        if not found.complete:
            return "too large", ""
        build = program(seed, place)
        return "compared", difference(memoised(build), reference(build))
    except (Refused, Unfreezable, NotDeterministic) as error:
        return ("refused", "") if not place.seen or isinstance(error, Unfreezable) else ("refused", str(error))


def explored(graph: StateGraph, complete: bool) -> Explored:
    """A graph in the reference's terms."""
    keys = [(a, frozenset((cell, value) for cell, value in b if value != ABSENT), c) for a, b, c in graph.in_full()]
    result = Explored(set(keys), complete=complete, transitions=graph.transitions)
    assert len(result.states) == len(keys), "two numbers for one state"
    for breach in graph.breaches:
        what = breach.broken.what
        if breach.broken.rule == "no-deadlock":
            what = "all wait" if "all wait" in what else "cycle"
        if breach.broken.rule != "calls-return":
            actor = None if breach.actor is None else graph.actors[breach.actor]
            result.broken.add((keys[breach.state], actor, breach.broken.rule, what))
    result.at_rest = {keys[state] for state in graph.terminal()}
    return result


def explored_wide(graph: NumberedGraph) -> Explored:
    """A graph in arrays in the reference's terms."""
    small = StateGraph(graph.model)
    small.rows = [graph.row(state) for state in range(len(graph))]
    small.breaches, small.transitions = graph.breaches, graph.transitions
    small._terminal = graph.terminal().tolist()
    return explored(small, True)


def reference(build, rules=RULES, limit=5_000) -> Explored:
    """What the plain search finds."""
    return explore(maker(build, {}), watched(rules), limit)


def difference(one: Explored, other: Explored) -> str:
    """The first thing on which two searches disagree; empty if there is none."""
    for name in ("complete", "states", "transitions", "broken", "at_rest"):
        a, b = getattr(one, name), getattr(other, name)
        if a != b:
            counts = f"{len(a)} and {len(b)}, of which {len(a & b)} in common" if isinstance(a, set) else f"{a} and {b}"
            return f"{name}: {counts}"
    return ""


def by_symmetry(build, rules=RULES, limit=2_000) -> tuple[str, int, int]:
    """What differs between the search by symmetry and the full one, the members' permutations, and the states.

    No permutations: nobody is interchangeable, or not after all. Unless nothing differs the text says what does.
    """
    with Watchdog() as dog:
        small = StateGraph(Model(Recorder(maker(build, {}), dog), Monitors(rules)))
        layers = Layers(small, stop_at_first=False)
        layers.advance(60, states=limit)
        if not layers.complete:
            return "", 0, 0
        for symmetry, ordered in interchangeable(small.model):
            try:
                graph = SymmetricGraph(small.model, symmetry, ordered)
                breadth = Breadth(graph)
                while not breadth.complete:
                    breadth.one_chunk()
            except NotSymmetric:
                continue
            return orbits_differ(small, graph), symmetry.order, len(small)
        return "", 0, len(small)


def adopted(monitors: Monitors, other: Monitors, combination: int) -> int:
    """The number in one search of what the same rules remember in another."""
    memories = enumerate(other.together[combination])
    return monitors._combine(tuple(monitors._number(rule, other._memories[rule][memory]) for rule, memory in memories))


def translated(row, small: StateGraph, graph: SymmetricGraph) -> list[int]:
    """A state of one graph as the other numbers its values; a cell that never changed in the other is left out."""
    new = [0] * len(graph.columns)
    for column, value in enumerate(row):
        if column == small.columns.memory:
            new[column] = adopted(graph.model.monitors, small.model.monitors, value)
        elif column < small.columns.memory:
            new[column] = graph.columns.number(column, small.columns.frozen(column, value))
    for cell, there in graph.columns.of.items():
        if cell in small.columns.of:
            column = small.columns.of[cell]
            new[there] = graph.columns.number(there, small.columns.frozen(column, row[column]))
    return new


def orbits_differ(small: StateGraph, graph: SymmetricGraph) -> str:
    """The first thing on which a full graph and that of its orbits disagree; empty if there is none."""
    rows = np.array([translated(row, small, graph) for row in small.rows])
    graph.learn()
    _, hashes, _, sizes = graph.representatives(rows)
    orbit_of = hashes.tolist()
    _, own, _, _ = graph.representatives(graph.layout.unpack(graph.visited.words[:, : len(graph)]))
    known = own.tolist()
    if set(orbit_of) != set(known) or len(set(known)) != len(known):
        return f"orbits: {len(set(orbit_of))} and {len(known)}, {len(set(orbit_of) & set(known))} in common"
    if graph.full != len(small):
        return f"the sizes of the orbits: {graph.full}, states: {len(small)}"
    size = dict(zip(orbit_of, sizes.tolist(), strict=True))
    if (
        many := sum(
            size[known[state]] * sum(to != NOWHERE for to in graph.followers(state)) for state in range(len(graph))
        )
    ) != small.transitions:
        return f"steps: {many} and {small.transitions}"
    for what, full, orbits in (
        ("at rest", {orbit_of[s] for s in small.terminal()}, {known[s] for s in graph.terminal().tolist()}),
        ("broken", {(orbit_of[g.state], g.broken.rule) for g in small.breaches},
         {(known[g.state], g.broken.rule) for g in graph.breaches}),
    ):  # fmt: skip
        if full != orbits:
            return f"{what}: {len(full)} and {len(orbits)}, {len(full & orbits)} in common"
    return ""
