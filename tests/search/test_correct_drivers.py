"""Drivers in the styles in which people write them hold, whatever they keep their state in."""

import pytest

from p2plab.everything import find
from p2plab.search import Pass, check
from tests.search.correct_drivers import STYLES


@pytest.mark.parametrize("driver", STYLES)
def test_a_correct_driver_holds(driver):
    """It is neither accused nor refused, and steps run again after other paths do the same."""
    answer = check(find("defrag-obedient"), importer=driver, knobs={"pages": 1}, budget=60)
    assert isinstance(answer, Pass), answer
    assert answer.complete
    assert answer.net.again > 0
