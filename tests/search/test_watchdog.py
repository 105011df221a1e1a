"""The budget of a step is the step's own."""

import gc
import time

import pytest

from p2plab.core.actors import step
from p2plab.core.world import World
from p2plab.drivers.nic import ObedientNic
from p2plab.everything import find
from p2plab.search import Violation, check
from p2plab.search.watchdog import StepTooLong, Watchdog


def spin() -> None:
    """Until somebody stops it."""
    while True:
        pass


def test_a_collection_waits_until_a_step_is_over():
    """In a large process it takes longer than a step may: the step was blamed, or the exception lost in a finaliser."""
    gc.enable()  # whatever the tests before it left
    watchdog = Watchdog(0.2)
    with watchdog:
        with watchdog.step():
            assert not gc.isenabled()
        assert gc.isenabled()
        with pytest.raises(StepTooLong), watchdog.step():
            spin()
        assert gc.isenabled()


def test_a_step_that_sleeps_is_woken_up():
    """It computes nothing and would not come back for a minute."""
    watchdog = Watchdog(0.1)
    with watchdog, pytest.raises(StepTooLong), watchdog.step():
        time.sleep(60)


def test_an_ordinary_run_is_watched_while_somebody_watches():
    """A replay that confirms or draws a story runs the driver's code as well."""

    async def spins() -> None:
        await step("begins")
        spin()

    world = World(lambda world: world.actor("a", spins))
    with Watchdog(0.1), pytest.raises(StepTooLong):
        world.take("a")


class Waits(ObedientNic):
    """The most natural habit of C: nobody else can change what it waits for."""

    async def invalidate_range_start(self, range):
        while self.held:
            pass
        return 0


class Throws(ObedientNic):
    """Its own mistake, in its own callback."""

    async def invalidate_range_start(self, range):
        raise ValueError("mine")


def test_a_loop_in_a_callback_is_a_step_without_end():
    """Found once, and not searched for in every order again."""
    answer = check(find("defrag-obedient"), importer=Waits, shrink=False)
    assert isinstance(answer, Violation)
    assert answer.rule == "endless-step"
    assert "Waits.invalidate_range_start, line " in answer.what


def test_an_exception_in_a_callback_is_the_driver_s():
    """It is told as a crash, of the driver whose callback it was, and not of who called it."""
    answer = check(find("defrag-obedient"), importer=Throws, shrink=False)
    assert isinstance(answer, Violation)
    assert (answer.rule, answer.culprit) == ("no-crash", "nic")
    assert "nic crashed: ValueError: mine (in Throws.invalidate_range_start:" in answer.what
