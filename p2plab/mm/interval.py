"""``mmu_interval_notifier``: a listener for one range, and the sequence numbers by which an importer sees a collision.

Source of the rules: mm/mmu_notifier.c of Linux 6.12 (invariants 36 to 40). Sequence numbers are plain integers: even
while no monitored range is being invalidated, odd while one is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import wait_event
from p2plab.core.errors import KernelError
from p2plab.core.lockdep import NOTIFIER
from p2plab.core.locks import lock_map
from p2plab.core.tracked import Tracked
from p2plab.mm.flags import ULONG_MAX

if TYPE_CHECKING:
    from p2plab.mm.notifier import MmuNotifierRange
    from p2plab.mm.space import AddressSpace

FIRST_SEQ = 2


class MmuIntervalNotifier(Tracked):
    """A listener for bytes [start, end) of one address space. Override :meth:`invalidate`.

    Or, since 7.3, :meth:`invalidate_start` and :meth:`invalidate_finish`, with ``two_pass`` set: the first may leave work for
    the second, which comes after every listener's first (<20260303133409.11609-2-thomas.hellstrom@linux.intel.com>).
    """

    two_pass = False

    name: str = ""
    mm: AddressSpace | None = None
    start: int = 0
    end: int = 0
    invalidate_seq: int = 0

    async def invalidate(self, range: MmuNotifierRange, cur_seq: int) -> bool:
        """Drop the translations, after :meth:`set_seq` under your own lock. False only in a non-blocking call."""
        raise NotImplementedError

    async def invalidate_start(self, range: MmuNotifierRange, cur_seq: int) -> tuple[bool, bool]:
        """The first pass, after :meth:`set_seq`: as :meth:`invalidate`, and whether the second has to come."""
        raise NotImplementedError

    async def invalidate_finish(self, range: MmuNotifierRange, cur_seq: int) -> None:
        """The second pass: from its return on nothing uses the range. It cannot fail."""
        raise NotImplementedError

    def set_seq(self, cur_seq: int) -> None:
        """``mmu_interval_set_seq``: call it first in :meth:`invalidate`, always, under the lock of the translations."""
        self.invalidate_seq = cur_seq

    def read_retry(self, seq: int) -> bool:
        """``mmu_interval_read_retry``, under the same lock: True if the range was invalidated since ``seq``."""
        return self.invalidate_seq != seq


class IntervalTree(Tracked):
    """All interval notifiers of one address space, and the address space's sequence number."""

    def __init__(self) -> None:
        self.nodes: list[MmuIntervalNotifier] = []  #: by start, in order of insertion where starts are equal
        self.deferred: list[MmuIntervalNotifier] = []
        self.invalidate_seq = FIRST_SEQ
        self.active_invalidate_ranges = 0
        self.in_use = False

    @property
    def is_invalidating(self) -> bool:
        """Whether a monitored range is being invalidated: the sequence number is odd."""
        return bool(self.invalidate_seq & 1)

    def inv_start_range(self, start: int, end: int) -> tuple[list[MmuIntervalNotifier], int]:
        """``mn_itree_inv_start_range``: the notifiers to call for bytes [start, end), and the sequence number to store."""
        self.active_invalidate_ranges += 1
        met = [node for node in self.nodes if node.start < end and start < node.end]
        if met:
            self.invalidate_seq |= 1
        return met, self.invalidate_seq

    def inv_end(self) -> None:
        """``mn_itree_inv_end``: the last end makes the number even, and waiting adds and removes then happen."""
        self.active_invalidate_ranges -= 1
        if self.active_invalidate_ranges or not self.is_invalidating:
            return
        self.invalidate_seq += 1
        for node in self.deferred:
            if node in self.nodes:
                self.nodes.remove(node)
            else:
                self._insert(node)
        self.deferred.clear()

    def add(self, node: MmuIntervalNotifier) -> None:
        """``__mmu_interval_notifier_insert``: at once, or at the last end if a monitored range is being invalidated."""
        self.in_use = True
        if self.active_invalidate_ranges:
            if self.is_invalidating:
                self.deferred.insert(0, node)
            else:
                self.invalidate_seq |= 1  # which ranges are under way is not known: assume that this is one of them
                self._insert(node)
            node.invalidate_seq = self.invalidate_seq
        else:
            node.invalidate_seq = self.invalidate_seq - 1
            self._insert(node)

    def drop(self, node: MmuIntervalNotifier) -> int:
        """Take a notifier out; the sequence number to wait for, or 0 if it is out already."""
        if not self.is_invalidating:
            self.nodes.remove(node)
            return 0
        if node not in self.nodes:
            self.deferred.remove(node)
            return 0
        self.deferred.insert(0, node)
        return self.invalidate_seq

    def _insert(self, node: MmuIntervalNotifier) -> None:
        place = sum(1 for other in self.nodes if other.start <= node.start)
        self.nodes.insert(place, node)

    def _check(self) -> None:
        starts = [node.start for node in self.nodes]
        assert starts == sorted(starts), "interval notifiers out of order"
        assert self.active_invalidate_ranges == 0, f"{self.active_invalidate_ranges} invalidations have no end"
        assert not self.is_invalidating, f"sequence number {self.invalidate_seq} is odd at rest"
        assert not self.deferred, "an add or a remove is still deferred at rest"


async def mmu_interval_notifier_insert(node: MmuIntervalNotifier, mm: AddressSpace, start: int, length: int) -> None:
    """Listen for ``length`` bytes from ``start``. EOVERFLOW for an empty or wrapping range, ENOSYS before Linux 5.5.

    Takes mmap_lock for writing if this is the first one.
    """
    if not mm.kernel.interval_notifiers:
        raise KernelError("ENOSYS", f"{mm.kernel} has no mmu_interval_notifier; it came with Linux 5.5")
    if length <= 0 or start < 0 or start + length - 1 > ULONG_MAX:
        raise KernelError("EOVERFLOW", f"{length} bytes from {start:#x} are no range of 64-bit addresses")
    itree = mm.notifier_subscriptions.itree
    if not itree.in_use:
        async with mm.mmap_write():
            await mm.notifier_subscriptions.take_all_locks()
            itree.in_use = True
    node.mm, node.start, node.end = mm, start, start + length
    itree.add(node)


async def mmu_interval_notifier_remove(node: MmuIntervalNotifier) -> None:
    """Listen no more. Sleeps until an invalidation that is under way is over: for ever, if its end never comes."""
    assert node.mm is not None
    itree = node.mm.notifier_subscriptions.itree
    seq = itree.drop(node)
    with lock_map(NOTIFIER):
        pass  # it may have to wait for a notifier: lockdep is told so each time
    if seq:
        await wait_event(lambda: itree.invalidate_seq != seq, "mmu_interval_notifier_remove")


async def mmu_interval_read_begin(node: MmuIntervalNotifier) -> int:
    """The number to remember before a page-table walk; sleeps while the range is being invalidated."""
    assert node.mm is not None
    itree = node.mm.notifier_subscriptions.itree
    seq = node.invalidate_seq
    with lock_map(NOTIFIER):
        pass  # it may have to wait for a notifier: lockdep is told so each time
    if seq == itree.invalidate_seq:
        await wait_event(lambda: itree.invalidate_seq != seq, "mmu_interval_read_begin")
    return seq
