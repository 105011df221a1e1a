"""One real hub for this folder's tests, where its proxy is installed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ways.classroom.hub import Hub, NoHub, hub, proxy_command

REQUIRED = os.environ.get("P2PLAB_CLASS") == "required"


@pytest.fixture(scope="session")
def class_hub() -> Iterator[Hub]:
    """A hub with nobody in it yet."""
    try:
        proxy_command()
    except NoHub as error:
        if REQUIRED:
            raise
        pytest.skip(f"NO HUB HERE: {error}")
    with hub() as running:
        yield running
