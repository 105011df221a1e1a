"""A GPU with more memory than its BAR shows: it lends pages of the aperture, and moves them about when it must."""

from __future__ import annotations

from collections.abc import Callable

from p2plab.core import errno
from p2plab.core.actors import step, wait_event
from p2plab.core.errors import KernelError
from p2plab.mm import Vma
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer
from p2plab.p2p.memory import BufferObject
from p2plab.p2p.placing import Placing


class Gpu(Placing):
    """Serialises its moves against ``p2p_map``, as described on 29 January 2019 (<20190129204359.GM3176@redhat.com>)."""

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """Lend the addresses of an object that is not being moved; place it in the aperture first if necessary."""
        if not self.reaches(peer):
            return -errno.EREMOTEIO
        thing = self.object_behind(vma)
        while True:
            await wait_event(lambda: not thing.moving, f"{thing.name} has settled")
            async with self.lock:
                if thing.moving:
                    continue
                try:
                    self.check(vma, write)
                    places = self.place_of(thing, vma.pgoff_of(start), (end - start) // PAGE_SIZE)
                except KernelError as error:
                    return -error.errno
                self.lend(vma, peer, start, places, pa, write)
                return 0

    async def p2p_unmap(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int]) -> int:
        """Note that the addresses are back."""
        return await self.take_back(peer, start, end)

    async def defrag(self) -> None:
        """Close the holes of the aperture: each object in the way is taken back first, then moved."""
        for thing in self.in_the_way():
            await self.move(thing, lambda t=thing: self.pull_down(t))  # type: ignore[misc]

    async def move(self, thing: BufferObject, how: Callable[[], None], verb: str = "moves") -> None:
        """Take an object back, then move it: ``how`` does that in one step, and ends with :meth:`finish_move`."""
        await self.begin_move(thing)
        async with self.lock:
            await step(f"{verb} {thing.name}", how, duration=2)

    async def evict(self) -> None:
        """Take the least recently used object out of the aperture, to make room. -ENOSPC if nothing may go."""
        async with self.lock:
            thing = self.least_recent()
            if thing is None:
                raise KernelError("ENOSPC", "every object in the aperture is reserved")
            self.mark_moving(thing)
        await self.invalidate(thing)
        async with self.lock:
            await step(f"evicts {thing.name}", lambda: self._finish(thing, to_ram=False))

    async def migrate(self, thing: BufferObject) -> None:
        """Move an object to main memory, for the CPU or for a pin."""
        await self.move(thing, lambda: self._finish(thing, to_ram=True), "migrates")

    async def begin_move(self, thing: BufferObject) -> None:
        """From here on ``p2p_map`` waits; then every importer that mapped the object gives it back."""
        async with self.lock:
            self.mark_moving(thing)
        await self.invalidate(thing)

    def _finish(self, thing: BufferObject, to_ram: bool) -> None:
        try:
            (self.move_to_ram if to_ram else self.take_out)(thing)
        finally:
            self.finish_move(thing)
