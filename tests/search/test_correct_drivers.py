"""Drivers in the styles in which people write them hold, whatever they keep their state in."""

import sys

import pytest

from p2plab.everything import find
from p2plab.search import Pass, check
from tests.search.correct_drivers import STYLES, WithItertools


@pytest.mark.parametrize("driver", STYLES)
def test_a_correct_driver_holds(driver):
    """It is neither accused nor refused, and steps run again after other paths do the same."""
    if driver is WithItertools and sys.version_info >= (3, 14):
        pytest.skip("from Python 3.14 on an iterator of itertools does not say how far it is: tried by plain replay")
    answer = check(find("defrag-obedient"), importer=driver, knobs={"pages": 1}, budget=60)
    assert isinstance(answer, Pass), answer
    assert answer.complete
    assert answer.net.again > 0
