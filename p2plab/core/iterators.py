"""Iterators over tracked containers: a loop that awaits inside reads the container again in each step, and says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from p2plab.core.running import running


class TrackedIterator(Iterator[Any]):
    """Iterates over a tracked ``container`` from ``position`` on; ``native`` gives Python's own iterator over it.

    Python's own would go on reading in later steps without anybody noticing. Where it goes on is a function of the
    container's content, its ``position`` and, for dicts and sets, the ``size`` at the start: what a replay can tell.
    """

    __slots__ = ("_footprint", "_here", "_native", "container", "position", "size")

    def __init__(self, container: Any, native: Callable[[Any], Iterator[Any]], size: int | None = None) -> None:
        self.container = container
        self.position: int | None = 0  #: None once exhausted
        self.size = size
        self._native = native
        self._here = native(container)
        self._footprint = running.footprint

    def __next__(self) -> Any:
        if self.position is None:
            raise StopIteration
        if running.footprint is not self._footprint:
            self._go_on_in_this_step()
        try:
            value = next(self._here)
        except StopIteration:
            self.position = None
            raise
        self.position += 1
        return value

    def _go_on_in_this_step(self) -> None:
        self._footprint = running.footprint
        if running.footprint is not None:
            running.footprint.read(self.container.cell)
        here = self._native(self.container)
        if self.size is not None and sum(1 for _ in self._native(self.container)) != self.size:
            raise RuntimeError("the dict or set changed its size during iteration")
        self._here = islice(here, self.position, None)
