"""Reservation locks in one transaction: any order, and the younger backs off."""

import pytest

from p2plab.core.locks import WwAcquireCtx, WwMutex, lock_all
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import by_seed, by_text


def crossing(world, settings):
    """Two tasks, the same two locks in opposite orders."""
    a, b = WwMutex("a.resv"), WwMutex("b.resv")

    async def task(stamp, first, second):
        await lock_all(WwAcquireCtx(stamp), (first, second))
        first.unlock()
        second.unlock()

    world.actor("old", lambda: task(1, a, b))
    world.actor("young", lambda: task(2, b, a))


SCENE = Scenario("crossing", "two transactions", crossing)


def test_the_younger_lets_go_and_both_come_to_their_end():
    """old has a, young has b: young gets -EDEADLK, old goes on."""
    run = Run(SCENE).driven(by_text("old*1 young*1 young old young ...", strict=False))
    assert "backs off" in [str(entry.event) for entry in run.log]
    assert not run.world.blocked


@pytest.mark.parametrize("seed", range(12))
def test_no_order_deadlocks_or_inverts(seed):
    """Lockdep knows that locks of one transaction have no order."""
    run = Run(SCENE).driven(by_seed(seed))
    assert not run.world.blocked
    assert not [entry for entry in run.log if entry.event.kind in ("Deadlock", "LockInversion")]
