"""Helpers for stories about one address space: run a coroutine alone, and listeners that write down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from p2plab.core.actors import run_alone
from p2plab.core.world import World


@pytest.fixture
def alone() -> Callable[[Callable[[], Awaitable[Any]]], World]:
    """Run one coroutine to its end in a world of its own; the world, for its log."""

    def run(story: Callable[[], Awaitable[Any]]) -> World:
        return World(lambda _world: run_alone(story))

    return run
