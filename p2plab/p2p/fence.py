"""``dma_fence``: a promise that work ends, and what may be done between making and keeping it.

Source of the rules: drivers/dma-buf/dma-fence.c ("fence cross-driver contract"), drivers/dma-buf/dma-resv.c
(``dma_resv_lockdep``): a notifier may wait for a fence, so a thread that must signal one may neither reclaim
memory nor take a lock that is held around a wait for a fence.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

from p2plab.core.actors import wait_event
from p2plab.core.events import Event, emit
from p2plab.core.lockdep import DMA_FENCE
from p2plab.core.locks import LockAcquired, LockReleased, lock_map, note_wanted
from p2plab.core.tracked import Tracked


@dataclass(frozen=True, slots=True)
class FenceSignalled(Event):
    """All waiters for the fence can go on."""

    fence: str

    def __str__(self) -> str:
        return f"{self.fence} signals"


class DmaFence(Tracked):
    """``struct dma_fence``. ``signaller`` is the actor that will signal it."""

    def __init__(self, name: str, signaller: str) -> None:
        self.name = name
        self.signaller = signaller
        self.signalled = False

    async def wait(self) -> None:
        """``dma_fence_wait``: sleep until it is signalled."""
        note_wanted(DMA_FENCE, "map")
        await wait_event(lambda: self.signalled, self.name, waits_for=lambda: (self.signaller,))

    def signal(self) -> None:
        """``dma_fence_signal``, within the running step."""
        self.signalled = True
        emit(FenceSignalled(self.name))


class signalling:
    """``with signalling(): …`` (``dma_fence_begin_signalling``): others may be waiting for what is done inside."""

    __slots__ = ("section",)

    def __init__(self) -> None:
        self.section = lock_map(DMA_FENCE, "read")

    def __enter__(self) -> None:
        self.section.__enter__()
        emit(LockAcquired(DMA_FENCE, "map"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.section.__exit__(kind, error, trace)
        if kind is not GeneratorExit:
            emit(LockReleased(DMA_FENCE, "map"))
