"""The messages between a shared search and its workers, wherever they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from p2plab.core.errors import P2PError

#: Values are numbers, words, or numpy arrays of integers.
Message = dict[str, Any]


class Lost(Exception):
    """Workers died and their states are gone: ``parts`` must be begun and loaded again."""

    def __init__(self, parts: list[int]) -> None:
        super().__init__(f"parts {parts}")
        self.parts = parts


class NoWorkers(P2PError):
    """No worker is left, or new ones die as well."""


LATE = "a worker did not answer by the end of the budget: the search is given up"


class Team(Protocol):
    """Workers with ``parts`` parts. Each method may raise :class:`Lost`; repeated messages get the same answers."""

    parts: int

    def ask(self, kind: str, messages: Mapping[int, Message]) -> dict[int, Message]:
        """A message to some of the parts at once, and their answers."""

    def exchange(self, messages: Mapping[int, Message]) -> dict[int, Message]:
        """``insert``, to all parts: each message comes with the states for it in the other parts' outboxes."""

    def replace(self, parts: list[int]) -> None:
        """Find other workers for parts that were lost; they are empty. :exc:`NoWorkers`."""

    def limit(self, seconds: float | None) -> None:
        """Give up on a worker that has not answered within ``seconds`` from now: :exc:`NoWorkers`. None: never."""

    def close(self) -> None:
        """Let the workers go. May be called twice."""
