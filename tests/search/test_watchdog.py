"""The budget of a step is the step's own."""

import gc

import pytest

from p2plab.search.watchdog import StepTooLong, Watchdog


def spin() -> None:
    """Until somebody stops it."""
    while True:
        pass


def test_a_collection_waits_until_a_step_is_over():
    """In a large process it takes longer than a step may: the step was blamed, or the exception lost in a finaliser."""
    watchdog = Watchdog(0.2)
    with watchdog:
        with watchdog.step():
            assert not gc.isenabled()
        assert gc.isenabled()
        with pytest.raises(StepTooLong), watchdog.step():
            spin()
        assert gc.isenabled()
