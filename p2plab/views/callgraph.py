"""The reviewer's question as a picture: which code set the two callbacks and which called them, read from a run's log.

Logan Gunthorpe, 29 January 2019 (<ae928aa5-a659-74d5-9734-15dfefafd3ea>), asked exactly that about the posted patches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from p2plab.core.calls import Called
from p2plab.core.events import Entry
from p2plab.p2p.events import OpsSet
from p2plab.p2p.wiring import CALLBACKS

NOBODY = "nobody"
#: The functions whose callers are shown; all other calls are left out.
SHOWN = (
    *("hmm_range_dma_map", "hmm_range_dma_unmap", "vma_p2p_map", "vma_p2p_unmap"),
    *("p2p_ioremap_device_memory", "vma_dma_map_range", "vma_dma_unmap_range", "pin"),
    *(*CALLBACKS, "devmem.p2p_map", "devmem.p2p_unmap"),
)


@dataclass(frozen=True)
class Edge:
    """``caller`` called ``function`` of ``target``, ``times`` times."""

    caller: str
    target: str
    function: str
    times: int


@dataclass(frozen=True)
class CallGraph:
    """``setters``: callback -> its setter; ``edges``: the calls; ``uncalled``: callbacks that were never called."""

    setters: dict[str, tuple[str, ...]]
    edges: tuple[Edge, ...]
    uncalled: tuple[str, ...]

    @property
    def parties(self) -> tuple[str, ...]:
        """All parties in the picture, callers first; ``nobody`` is one of them where it sets or calls."""
        names = [edge.caller for edge in self.edges] + [edge.target for edge in self.edges]
        names += [who for setters in self.setters.values() for who in setters]
        return tuple(dict.fromkeys([*names, *([NOBODY] if self.uncalled else [])]))


def call_graph(log: Iterable[Entry]) -> CallGraph:
    """The graph, from the log alone."""
    setters: dict[str, dict[str, None]] = {name: {} for name in CALLBACKS}
    edges: dict[tuple[str, str, str], int] = {}
    for entry in log:
        event = entry.event
        if isinstance(event, OpsSet):
            for function in event.functions:
                setters[function][event.by] = None
        elif isinstance(event, Called) and event.function in SHOWN:
            key = (event.caller or entry.actor, event.target, event.function)
            edges[key] = edges.get(key, 0) + 1
    called = {function for _, _, function in edges}
    return CallGraph(
        {name: tuple(who) or (NOBODY,) for name, who in setters.items()},
        tuple(Edge(*key, times) for key, times in edges.items()),
        tuple(name for name in CALLBACKS if name not in called),
    )


def call_graph_text(graph: CallGraph) -> str:
    """The same as lines of text: first the setters, then the calls, then what was never called."""
    lines = [f"{name} set by {', '.join(who)}" for name, who in graph.setters.items()]
    lines += [
        f"{edge.caller} calls {edge.target}.{edge.function} ({edge.times} {'time' if edge.times == 1 else 'times'})"
        for edge in graph.edges
    ]
    lines += [f"{name} called by {NOBODY}" for name in graph.uncalled]
    return "\n".join(lines)
