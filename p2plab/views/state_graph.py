"""A small state graph as a picture: one column a step from the start, one colour an actor, broken promises by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from p2plab.search.graph import StateGraph
from p2plab.search.steps import NOWHERE, breach_of
from p2plab.views.picture import AMBER, BLUE, GREEN, INK, MINT, ORANGE, PALE, PINK, SKY, ColumnBuilder, Picture

#: Colours of the actors' steps, in the order in which they appear; a legend names them.
ACTORS = (BLUE, ORANGE, GREEN, PINK, SKY, INK)


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
    """The states found so far, nearest to the start first, up to ``most``. A step that breaks a rule ends in its own node."""
    depths = {0: 0}
    kinds = dict.fromkeys(graph.terminal(), "rest")
    kinds |= {state: graph.breaches[breaches[0]].broken.rule for state, breaches in graph.breaches_of.items()}
    edges: list[GraphEdge] = []
    queue = [0]
    for state in queue:
        for actor, successor in enumerate(graph.successors[state] or ()):
            if successor == NOWHERE:
                continue
            leaf = graph.table.look_up(graph.rows[state], actor)
            target = successor
            if successor < NOWHERE:  # the state after a broken promise was never entered: give it a new number
                target = len(graph) + breach_of(successor)
                kinds[target] = graph.breaches[breach_of(successor)].broken.rule
            if target not in depths:
                if len(depths) >= most:
                    continue
                depths[target] = depths[state] + 1
                if successor >= 0:
                    queue.append(target)
            edges.append(GraphEdge(state, target, graph.actors[actor], leaf.label if leaf is not None else ""))
    nodes = tuple(GraphNode(state, depth, kinds.get(state, "")) for state, depth in depths.items())
    return GraphPicture(nodes, tuple(edges), len(depths) < len(graph))


def state_graph(graph: GraphPicture) -> Picture:
    """Nodes and steps with places between 0 and 1 from top to bottom, and whole numbers from left to right."""
    columns: dict[int, list[int]] = {}
    for node in graph.nodes:
        columns.setdefault(node.depth, []).append(node.number)
    places = {
        number: (float(depth), (row + 1) / (len(column) + 1))
        for depth, column in columns.items()
        for row, number in enumerate(column)
    }
    nodes = ColumnBuilder("x", "y", "label", "colour", "size", "hover")
    for node in graph.nodes:
        x, y = places[node.number]
        broken = node.kind not in ("", "rest")
        colour = AMBER if broken else MINT if node.kind == "rest" else PALE
        said = f"breaks {node.kind}" if broken else "at rest" if node.kind else "on the way"
        label, size = (node.kind, 13) if broken else ("", 9)
        nodes.row(
            x=x, y=y, label=label, colour=colour, size=size, hover=f"state {node.number}, step {node.depth}: {said}"
        )
    steps = ColumnBuilder("x0", "y0", "x1", "y1", "actor", "colour")
    actors = list(dict.fromkeys(edge.actor for edge in graph.edges))
    for edge in graph.edges:
        (x0, y0), (x1, y1) = places[edge.source], places[edge.target]
        colour = ACTORS[actors.index(edge.actor) % len(ACTORS)]
        steps.row(x0=x0, y0=y0, x1=x1, y1=y1, actor=edge.actor, colour=colour)
    return Picture(_words(graph, actors), {"nodes": nodes.columns, "steps": steps.columns})


def state_graph_figure(depth: int) -> Any:
    """Feeds on ``nodes`` and ``steps`` of :func:`state_graph`."""
    from p2plab.views import figures as f  # Bokeh is imported only where something is drawn

    across, down = (-0.6, depth + 1.2), (0, 1)
    plot = f.new_figure("Every state that the search met", x=across, y=down, height=360)
    steps = f.new_source("steps", "x0", "y0", "x1", "y1", "actor", "colour")
    plot.segment("x0", "y0", "x1", "y1", source=steps, line_color="colour", line_width=1.3, legend_field="actor")
    nodes = f.new_source("nodes", "x", "y", "label", "colour", "size", "hover")
    drawn = plot.scatter("x", "y", size="size", source=nodes, fill_color="colour", line_color=INK)
    plot.text("x", "y", text="label", source=nodes, x_offset=9, **(f.LABEL | {"text_align": "left"}))
    f.hover(plot, drawn)
    f.legend_above(plot)
    plot.yaxis.visible = False
    plot.xaxis.axis_label = "steps from the start"
    return plot


def depth_of(graph: GraphPicture) -> int:
    """The number of steps of the longest shortest path."""
    return max((node.depth for node in graph.nodes), default=0)


def _words(graph: GraphPicture, actors: list[str]) -> str:
    broken = sorted({node.kind for node in graph.nodes if node.kind not in ("", "rest")})
    rest = sum(1 for node in graph.nodes if node.kind == "rest")
    more = "; there are more that are not drawn" if graph.cut else ""
    states = sum(
        node.kind in ("", "rest") for node in graph.nodes
    )  # what comes after a broken promise was not searched
    said = f"Broken: {', '.join(broken)}." if broken else "Nothing breaks in what is drawn."
    return (
        f"State graph of the search: {states} states and {len(graph.edges)} transitions of {', '.join(actors)}{more}. "
        f"{rest} of them are at rest. {said}"
    )
