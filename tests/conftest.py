"""What holds for every test: the collector stays on, and Hypothesis asks what is true and not how fast this machine is."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("p2plab", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("p2plab")


#: Files that take longest, the longest first: shared out among processes, none of them is what all others wait for.
LONG = (
    "browser/test_stage.py",
    "browser/test_lite.py",
    "browser/test_accessibility.py",
    "site/test_site.py",
    "course/test_marking.py",
    "search/test_parallel.py",
    "course/test_hints.py",
    "cli/test_manual.py",
    "search/test_cluster.py",
    "test_notebooks.py",
    "classroom/test_class.py",
    "search/test_soundness.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long files first where tests are shared out, those of the browser after all others; the order within a file stays."""
    place = {f"tests/{name}": at for at, name in enumerate(LONG)}

    def when(item: pytest.Item) -> tuple[bool, int]:
        return item.get_closest_marker("browser") is not None, place.get(item.nodeid.partition("::")[0], len(LONG))

    if hasattr(config, "workerinput"):
        items.sort(key=when)


@pytest.fixture(autouse=True)
def collector_on() -> Iterator[None]:
    """A test that leaves the garbage collector off fails by itself, and not those after it."""
    yield
    on = gc.isenabled()
    gc.enable()
    assert on, "the garbage collector was left off"
