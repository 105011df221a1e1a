"""What a worker must know of the steps met so far: the decision trees and what each leaf does, as arrays of integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from p2plab.check.flat import FlatTree, Leaves
from p2plab.check.parallel.team import Message
from p2plab.check.steps import StepTable

Ints = npt.NDArray[Any]

_OF_A_TREE = ("roots", "columns", "offsets", "sizes", "children")


def packed(table: StepTable, leaves: Leaves) -> Message:
    """All that a worker needs for its look-ups."""
    actors = len(table.columns.actors)
    trees = [FlatTree(table, actor, leaves) for actor in range(actors)]
    leaves.refresh()
    counts = [len(leaf.writes) for leaf in leaves.all]
    writes = [write for leaf in leaves.all for write in leaf.writes]
    message: Message = {
        "actors": actors,
        "rules": table.columns.rules,
        "width": len(table.columns),
        "enabled": leaves.enabled,
        "waiting": leaves.waiting,
        "linked": leaves.linked,
        "broken": leaves.broken,
        "events": leaves.events,
        "first_write": np.cumsum([0, *counts], dtype=np.int64),
        "write_column": np.array([column for column, _ in writes], np.int64),
        "write_value": np.array([value for _, value in writes], np.int64),
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
        self.actors, self.rules, self.width = int(message["actors"]), int(message["rules"]), int(message["width"])
        self.trees: list[FlatTree] = [_Tree(message, actor) for actor in range(self.actors)]
        self.enabled: Ints = message["enabled"]
        self.waiting: Ints = message["waiting"]
        self.linked: Ints = message["linked"]
        self.broken: Ints = message["broken"]
        self.events: Ints = message["events"]
        self._first: list[int] = message["first_write"].tolist()
        self._columns: list[int] = message["write_column"].tolist()
        self._values: list[int] = message["write_value"].tolist()

    def writes(self, leaf: int) -> list[tuple[int, int]]:
        """The columns that a leaf writes, with their values."""
        part = slice(self._first[leaf], self._first[leaf + 1])
        return list(zip(self._columns[part], self._values[part], strict=True))
