"""A small state graph as plain values, for a view to draw: nodes, edges, where a promise breaks."""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.search.graph import NOWHERE, StateGraph, goal_of

#: A graph with more states than this is not worth drawing.
MOST = 600


@dataclass(frozen=True)
class GraphNode:
    """A state: its number, its steps from the start (the fewest), and what it is: ``""``, ``rest`` or a rule broken."""

    number: int
    depth: int
    kind: str


@dataclass(frozen=True)
class GraphEdge:
    """A step of ``actor`` from one state to another; ``label`` is what the step does."""

    source: int
    target: int
    actor: str
    label: str


@dataclass(frozen=True)
class GraphPicture:
    """The graph; ``cut`` says that there are more states than are shown."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    cut: bool


def picture_of(graph: StateGraph, most: int = MOST) -> GraphPicture:
    """The states met so far, nearest to the start first, up to ``most``. A step that breaks a rule ends in a node."""
    depths = {0: 0}
    kinds = dict.fromkeys(graph.at_rest, "rest")
    kinds |= {state: graph.goals[goals[0]].broken.rule for state, goals in graph.goals_of.items()}
    edges: list[GraphEdge] = []
    queue = [0]
    for state in queue:
        for actor, successor in enumerate(graph.successors[state] or ()):
            if successor == NOWHERE:
                continue
            leaf = graph.table.look_up(graph.rows[state], actor)
            target = successor
            if successor < NOWHERE:  # the state after a broken promise was never entered: give it a number of its own
                target = len(graph) + goal_of(successor)
                kinds[target] = graph.goals[goal_of(successor)].broken.rule
            if target not in depths:
                if len(depths) >= most:
                    continue
                depths[target] = depths[state] + 1
                if successor >= 0:
                    queue.append(target)
            edges.append(GraphEdge(state, target, graph.actors[actor], leaf.label if leaf is not None else ""))
    nodes = tuple(GraphNode(state, depth, kinds.get(state, "")) for state, depth in depths.items())
    return GraphPicture(nodes, tuple(edges), len(depths) < len(graph))
