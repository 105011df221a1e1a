"""Finding out drivers that do not always do the same: what differs each time must not be taken for what always happens."""

from __future__ import annotations

import random
from collections.abc import Sequence

from p2plab.search.graph import Graph
from p2plab.search.steps import NotDeterministic

#: Paths replayed from scratch at the end of a search.
AUDITS = 12


def audit(graph: Graph) -> None:
    """Replay some paths from scratch, half of them to their rest. :exc:`NotDeterministic` if one comes out differently."""
    resting = [int(state) for state in graph.terminal()]
    pick = random.Random(len(graph))
    for number in range(AUDITS):
        among: Sequence[int] = resting if number % 2 and resting else range(len(graph))
        state = among[int(pick.random() * len(among))]
        graph.model.recorder.audit(graph.rows_of_path(state), graph.path(state))


def named(error: NotDeterministic) -> str:
    """The sentence for a driver that was found out."""
    return f"not deterministic: {error}. Time, chance, globals and leftovers must not decide what a driver does"
