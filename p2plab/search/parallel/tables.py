"""What a worker must know of the steps met so far: the decision trees and what each leaf does, as arrays of integers."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from p2plab.search.flat import Effects, FlatTree, Leaves
from p2plab.search.layout import Layout
from p2plab.search.parallel.team import Message
from p2plab.search.steps import StepTable

Ints = npt.NDArray[Any]

_OF_A_TREE = ("roots", "columns", "offsets", "sizes", "children")


def packed(table: StepTable, leaves: Leaves, layout: Layout) -> Message:
    """All that a worker needs for its look-ups."""
    actors = len(table.columns.actors)
    trees = [FlatTree(table, actor, leaves) for actor in range(actors)]
    leaves.refresh(layout, table.columns.rules)
    assert leaves.effects is not None
    message: Message = {
        "actors": actors,
        "rules": table.columns.rules,
        "layout": layout.packed(),
        "enabled": leaves.enabled,
        "waiting": leaves.waiting,
        "linked": leaves.linked,
        "broken": leaves.broken,
        "events": leaves.events,
        "keep": leaves.effects.keep,
        "put": leaves.effects.put,
    }
    for actor, tree in enumerate(trees):
        message |= {f"{name}{actor}": getattr(tree, name) for name in _OF_A_TREE}
    return message


class _Tree(FlatTree):
    """A tree that was sent."""

    def __init__(self, message: Message, actor: int) -> None:
        self.roots, self.columns, self.offsets, self.sizes, self.children = (
            message[f"{name}{actor}"] for name in _OF_A_TREE
        )


class Tables:
    """The same on the worker's side."""

    def __init__(self, message: Message) -> None:
        self.actors, self.rules = int(message["actors"]), int(message["rules"])
        self.layout = Layout.of_fields(message["layout"])
        self.trees: list[FlatTree] = [_Tree(message, actor) for actor in range(self.actors)]
        self.enabled: Ints = message["enabled"]
        self.waiting: Ints = message["waiting"]
        self.linked: Ints = message["linked"]
        self.broken: Ints = message["broken"]
        self.events: Ints = message["events"]
        self.effects = Effects(message["keep"], message["put"], self.layout, self.rules)
