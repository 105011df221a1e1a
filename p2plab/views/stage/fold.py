"""Folding a row of many cells: what matters keeps its own cell, runs of others share one, which opens on a click.

Free runs fold in any row that is longer than :data:`FEW`; others only in rows with more than :data:`MANY` in use. A block of
up to :data:`INSIDE` cells brings them along, so that the browser can open it; the parts of a larger one are requested.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

FEW, MANY, INSIDE = 16, 64, 64
#: A run shorter than this is not worth a block.
SHORTEST = 4
#: Maximum number of items of a row; an opened block is cut into this many parts.
ITEMS, PARTS = 48, 8


@dataclass(frozen=True)
class Block:
    """Cells ``first`` to ``last`` of a row, all of one kind (``kind`` is empty for free cells, ``mixed`` for several)."""

    row: str
    first: int
    last: int
    kind: str

    @property
    def key(self) -> str:
        """The key of the block on the stage, by which it is opened."""
        return f"{self.row}:{self.first}-{self.last}"

    def __len__(self) -> int:
        return self.last - self.first + 1


def folded(
    row: str, kinds: Sequence[str], keep: Callable[[int], bool], opened: Collection[str] = (), many: int = MANY
) -> list[int | Block]:
    """The items of a row: a cell by its place, or a block. ``kinds``: what each cell is; ``keep``: it is never folded."""
    if len(kinds) <= FEW:
        return list(range(len(kinds)))
    dense = sum(1 for kind in kinds if kind) <= many
    items: list[int | Block] = []
    start = 0
    while start < len(kinds):
        end = start
        if not keep(start) and not (kinds[start] and dense):
            while end + 1 < len(kinds) and kinds[end + 1] == kinds[start] and not keep(end + 1):
                end += 1
        items += _run(Block(row, start, end, kinds[start]), opened)
        start = end + 1
    return _few(row, items, keep, opened) if len(items) > max(ITEMS, many + SHORTEST) else items


def _run(block: Block, opened: Collection[str]) -> list[int | Block]:
    if len(block) < SHORTEST or (block.key in opened and len(block) <= INSIDE):
        return list(range(block.first, block.last + 1))
    if block.key not in opened:
        return [block]
    size = -(-len(block) // PARTS)
    items: list[int | Block] = []
    for first in range(block.first, block.last + 1, size):
        items += _run(Block(block.row, first, min(first + size - 1, block.last), block.kind), opened)
    return items


def _few(row: str, items: list[int | Block], keep: Callable[[int], bool], opened: Collection[str]) -> list[int | Block]:
    """Join neighbours of different kinds until there are few enough."""
    size = -(-len(items) // ITEMS) + 1
    fewer: list[int | Block] = []
    group: list[int | Block] = []

    def close() -> None:
        if group:
            first = group[0] if isinstance(group[0], int) else group[0].first
            last = group[-1] if isinstance(group[-1], int) else group[-1].last
            block = Block(row, first, last, "mixed")
            fewer.extend(group if len(group) < SHORTEST or block.key in opened else [block])
        group.clear()

    for item in items:
        if isinstance(item, int) and keep(item):
            close()
            fewer.append(item)
            continue
        group.append(item)
        if len(group) >= max(size, SHORTEST):
            close()
    close()
    return fewer
