"""Which allocations reclaim, and so call notifiers: what `lock-order` makes of each kind under a callback's lock."""

import pytest

from p2plab.core.lockdep import LockInversion
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.drivers.nic import ObedientNic
from p2plab.everything import find
from p2plab.mm.gfp import (
    GFP_ATOMIC,
    GFP_KERNEL,
    GFP_NOFS,
    GFP_NOIO,
    GFP_NOWAIT,
    kzalloc,
    memalloc_nofs,
    memalloc_noreclaim,
)


def inversions(gfp, inside) -> int:
    """How many inversions a driver makes that allocates in its callback, or with its lock held in map."""

    class Allocates(ObedientNic):
        async def let_go(self, start, end):
            if inside:
                await kzalloc("a list", gfp)
            await super().let_go(start, end)

        async def p2p_map(self, start, end):
            if not inside:
                async with self.lock:
                    await kzalloc("a list", gfp)
            return await super().p2p_map(start, end)

    scene: Scenario = find("defrag-obedient").with_cast({"importer": Allocates})
    log = Run(scene).told().log
    return sum(isinstance(entry.event, LockInversion) for entry in log)


@pytest.mark.parametrize("inside", [True, False], ids=["in the callback", "under its lock"])
@pytest.mark.parametrize(
    ("gfp", "reclaims"),
    [
        (GFP_KERNEL, True),
        (GFP_NOFS, True),
        (GFP_NOIO, True),
        (memalloc_nofs(GFP_KERNEL), True),
        (GFP_NOWAIT, False),
        (GFP_ATOMIC, False),
        (memalloc_noreclaim(GFP_KERNEL), False),
    ],
    ids=lambda value: str(value),
)
def test_only_without_direct_reclaim_may_a_driver_allocate_there(gfp, reclaims, inside):
    """GFP_NOFS and memalloc_nofs do not help: reclaim calls notifiers then too."""
    assert bool(inversions(gfp, inside)) == reclaims
