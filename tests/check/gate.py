"""The soundness gate: two searches of one program must agree on states, transitions, broken promises and rest."""

from p2plab.check.folds import Folds, watched
from p2plab.check.graph import StateGraph
from p2plab.check.layers import Layers
from p2plab.check.naive import Explored, explore
from p2plab.check.quiet import maker
from p2plab.check.recorder import Recorder
from p2plab.check.steps import ABSENT
from p2plab.check.watchdog import Watchdog
from p2plab.check.wide import WideGraph
from p2plab.rules.health import LockOrderKept, NoCrash
from tests.check.programs import NeverTwice

RULES = (NeverTwice, LockOrderKept, NoCrash)


def memoised(build, rules=RULES, limit=5_000) -> Explored:
    """What the memoised search finds, in the reference's terms."""
    with Watchdog() as dog:
        graph = StateGraph(Recorder(maker(build, {}), dog), Folds(rules))
        layers = Layers(graph, stop_at_first=False)
        layers.advance(60, states=limit)
    return explored(graph, layers.complete)


def explored(graph: StateGraph, complete: bool) -> Explored:
    """A graph in the reference's terms."""
    keys = [(a, frozenset((cell, value) for cell, value in b if value != ABSENT), c) for a, b, c in graph.in_full()]
    result = Explored(set(keys), complete=complete, transitions=graph.transitions)
    assert len(result.states) == len(keys), "two numbers for one state"
    for goal in graph.goals:
        what = goal.broken.what
        if goal.broken.rule == "no-deadlock":
            what = "all wait" if "all wait" in what else "cycle"
        if goal.broken.rule != "calls-return":
            actor = None if goal.actor is None else graph.actors[goal.actor]
            result.broken.add((keys[goal.state], actor, goal.broken.rule, what))
    result.at_rest = {keys[state] for state in graph.at_rest}
    return result


def explored_wide(graph: WideGraph) -> Explored:
    """A wide graph in the reference's terms."""
    small = graph.small
    small.rows = [graph.row(state) for state in range(len(graph))]
    small.goals, small.transitions = graph.goals, graph.transitions
    small.at_rest = graph.resting().tolist()
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
