"""Your own importer: does it obey in every order of events?

This one does not wait for the beat that is in flight. Check it here or in a terminal:
p2plab check defrag-obedient --importer examples/my_nic.py:MyNic
"""

import p2plab
from p2plab.drivers.nic import ObedientNic
from p2plab.views.report import headline


class MyNic(ObedientNic):
    """Clears its translations, gives the pages back, and is done: too early."""

    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(range.start, range.end)
            # await self.engine.drain(range.start, range.end)
            await self.p2p_unmap(range.start, range.end)
        return 0


if __name__ == "__main__":
    answer = p2plab.check("defrag-obedient", importer=MyNic)
    print(headline(answer).partition(" (")[0])
    print(answer.what)
