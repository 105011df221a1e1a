"""A GPU that grants a pin: the object goes to main memory, and stays there (Jérôme Glisse, 30 January 2019)."""

from __future__ import annotations

from p2plab.core import errno
from p2plab.core.actors import step, wait_event
from p2plab.core.errors import KernelError
from p2plab.drivers.gpu import Gpu
from p2plab.mm import Vma
from p2plab.p2p.contract import Peer
from p2plab.p2p.memory import BufferObject


class PinningGpu(Gpu):
    """<20190130154328.GA3177@redhat.com>: a pin may be asked for, may be refused, and is best granted in main memory."""

    pinned: tuple[str, ...] = ()

    async def grant_pin(self, vma: Vma, peer: Peer) -> int:
        """Bring the object to main memory, and never move it again; -EOPNOTSUPP without main memory."""
        if self.fabric is None or self.fabric.ram is None:
            return -errno.EOPNOTSUPP
        thing = self.object_behind(vma)
        while True:
            await wait_event(lambda: not thing.moving, f"{thing.name} has settled")
            async with self.lock:
                if thing.moving:
                    continue
                self.pinned = (*self.pinned, thing.name)
                if thing.ram_frames:
                    return 0
                self.mark_moving(thing)
            await self.invalidate(thing)
            async with self.lock:
                await step(f"migrates {thing.name}", lambda: self._finish(thing, to_ram=True), duration=2)
            return 0

    async def begin_move(self, thing: BufferObject) -> None:
        """-EINVAL for a pinned object, before any importer is notified."""
        async with self.lock:
            if thing.name in self.pinned:
                raise KernelError("EINVAL", f"moving of {thing.name}, which is pinned, is forbidden")
            self.mark_moving(thing)
        await self.invalidate(thing)
