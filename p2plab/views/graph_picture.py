"""A small state graph as a picture: one column a step from the start, one colour an actor, broken promises by name."""

from __future__ import annotations

from p2plab.search.picture import GraphPicture
from p2plab.views.picture import AMBER, BLUE, GREEN, INK, MINT, ORANGE, PALE, PINK, SKY, ColumnBuilder, Picture

#: Colours of the actors' steps, in the order in which they appear; a legend names them.
ACTORS = (BLUE, ORANGE, GREEN, PINK, SKY, INK)


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


def depth_of(graph: GraphPicture) -> int:
    """How many steps the longest of the shortest ways has."""
    return max((node.depth for node in graph.nodes), default=0)


def _words(graph: GraphPicture, actors: list[str]) -> str:
    broken = sorted({node.kind for node in graph.nodes if node.kind not in ("", "rest")})
    rest = sum(1 for node in graph.nodes if node.kind == "rest")
    more = "; there are more that are not drawn" if graph.cut else ""
    said = f"Broken: {', '.join(broken)}." if broken else "Nothing breaks in what is drawn."
    return (
        f"State graph of the search: {len(graph.nodes)} states and {len(graph.edges)} steps of {', '.join(actors)}{more}. "
        f"{rest} of them are at rest. {said}"
    )
