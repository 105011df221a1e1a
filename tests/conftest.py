"""What holds for every test: the collector stays on, and Hypothesis asks what is true and not how fast this machine is."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("p2plab", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("p2plab")


@pytest.fixture(autouse=True)
def collector_on() -> Iterator[None]:
    """A test that leaves the garbage collector off fails by itself, and not those after it."""
    yield
    on = gc.isenabled()
    gc.enable()
    assert on, "the garbage collector was left off"
