"""Listeners that write down each call, in pages, with how mmap_lock is held at that moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from p2plab.mm.flags import ULONG_MAX
from p2plab.mm.interval import MmuIntervalNotifier
from p2plab.mm.notifier import MmuNotifier, MmuNotifierRange

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace

Note = Callable[[dict[str, Any]], None]
ToPage = Callable[[int], int]


def _span(range: MmuNotifierRange, page: ToPage) -> dict[str, Any]:
    if (range.start, range.end) == (0, ULONG_MAX):
        return {"start": None, "end": None}
    return {"start": page(range.start), "end": page(range.end)}


class NotifierRecorder(MmuNotifier):
    """An ordinary listener with all three callbacks."""

    name = "recorder"

    def __init__(self, note: Note, page: ToPage) -> None:
        self.note = note
        self.page = page

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Write the call down."""
        lock = {"blockable": range.blockable, "mmap_lock": range.mm.mmap_lock_state(), "locks": range.locks}
        self.note({"cb": "start", "event": range.event} | _span(range, self.page) | lock)
        return 0

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """Write the call down."""
        self.note({"cb": "end", "event": range.event} | _span(range, self.page) | {"blockable": range.blockable})

    async def release(self, mm: AddressSpace) -> None:
        """Write the call down."""
        self.note({"cb": "release", "start": None, "end": None, "blockable": True, "mmap_lock": mm.mmap_lock_state()})


class IntervalRecorder(MmuIntervalNotifier):
    """An interval notifier that writes down; with ``refuse`` it answers false whenever it may."""

    name = "interval recorder"

    def __init__(self, note: Note, page: ToPage, refuse: bool) -> None:
        self.note = note
        self.page = page
        self.refuse = refuse

    async def invalidate(self, range: MmuNotifierRange, cur_seq: int) -> bool:
        """Store the sequence number and write the call down."""
        lock = {"blockable": range.blockable, "mmap_lock": range.mm.mmap_lock_state(), "locks": range.locks}
        self.note({"cb": "interval", "event": range.event} | _span(range, self.page) | lock)
        if self.refuse and not range.blockable:
            return False
        self.set_seq(cur_seq)
        return True
