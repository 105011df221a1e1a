"""What a notifier callback may not do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from p2plab.core.calls import Called
from p2plab.core.events import Entry
from p2plab.core.monitor import Finding
from p2plab.core.world import Stepped
from p2plab.mm.log import NotifierEnd, NotifierStart, NotifierWarned
from p2plab.p2p.events import MapAsked, UseAfterFree, WaitTimedOut
from p2plab.rules.base import Rule
from p2plab.rules.watch import CallbackRule


class StaysOutOfMm(CallbackRule):
    """Which actor is inside which callback."""

    name = "stays-out-of-mm"
    number = 25
    promise = "a callback neither takes mmap_lock nor looks vmas up: on munmap the vma is out of the tree already"
    source = "mm/vma.c (vms_complete_munmap_vmas)"
    sources: ClassVar = {"6.1": "mm/mmap.c (do_mas_align_munmap)", "rfc2019": "mm/mmap.c (__do_munmap)"}
    stated = False

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        inside = self.inside.get(entry.actor, ())
        self.exercised |= bool(inside)
        if inside and isinstance(event, Called) and event.function == "find_vma":
            yield self.broken(entry, inside[-1], f"{inside[-1]} looks up a vma inside its callback: {event.detail}")
        elif inside and isinstance(event, Stepped) and event.label.startswith("down_") and "mmap_lock" in event.label:
            yield self.broken(entry, inside[-1], f"{inside[-1]} wants mmap_lock inside its callback ({event.label})")
        self.follow(entry)


class NeverSleeps(CallbackRule):
    """Which actor is inside a callback that may not block."""

    name = "never-sleeps"
    number = 27
    promise = "a callback that may not block does not sleep: it is done at once, or answers -EAGAIN"
    source = "mm/mmu_notifier.c (mn_hlist_invalidate_range_start, non_block_start)"
    sources: ClassVar = {"rfc2019": "mm/mmu_notifier.c (__mmu_notifier_invalidate_range_start)"}
    stated = True

    def see(self, entry: Entry) -> Iterator[Finding]:
        inside, under_way = self.inside.get(entry.actor, ()), self.range_of(entry.actor)
        if inside and under_way is not None and not under_way[2]:
            self.exercised = True
            if isinstance(entry.event, Stepped):
                what = f"{inside[-1]} sleeps in a call that may not block ({entry.event.label}); the OOM reaper waits"
                yield self.broken(entry, inside[-1], what)
        self.follow(entry)


class RefusesRightly(Rule):
    """The kernel's own warnings about listeners."""

    name = "refuses-rightly"
    number = 27
    promise = "-EAGAIN is an answer to a call that may not block, and to no other"
    source = "include/linux/mmu_notifier.h; mm/mmu_notifier.c"
    stated = True

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.exercised |= isinstance(entry.event, NotifierStart)
        if isinstance(entry.event, NotifierWarned):
            event = entry.event
            yield self.broken(entry, event.listener, f"WARN: {event.listener} {event.why}")


class GivesUpForCause(Rule):
    """Per address space, how many invalidations are under way."""

    name = "gives-up-for-cause"
    number = 31
    promise = "an importer counts as many ends as starts: it waits only while an invalidation is under way"
    source = "mm/mmu_notifier.c (mn_hlist_invalidate_range_start); 20190129165428.3931-6-jglisse@redhat.com"
    sources: ClassVar = {
        "rfc2019": "mm/mmu_notifier.c (__mmu_notifier_invalidate_range_start); 20190129165428.3931-6-jglisse@redhat.com"
    }
    stated = True

    def __init__(self) -> None:
        super().__init__()
        self.under_way: dict[str, tuple[bool, ...]] = {}  #: actor -> its calls, each with whether it may block

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, NotifierStart):
            self.under_way[entry.actor] = (*without_refused(self.under_way.get(entry.actor, ())), event.blockable)
        elif isinstance(event, NotifierEnd):
            self.exercised = True
            self.under_way[entry.actor] = self.under_way.get(entry.actor, ())[:-1]
        elif isinstance(event, WaitTimedOut) and not any(True in calls for calls in self.under_way.values()):
            what = f"{event.importer} waited 1000 ms for the end of an invalidation, and none is under way"
            yield self.broken(entry, event.importer, what)


def without_refused(calls: tuple[bool, ...]) -> tuple[bool, ...]:
    """An actor's calls without the last one, if that was refused: a refused call has no end in the log."""
    return calls[:-1] if calls and not calls[-1] else calls


class VmaAlive(Rule):
    """Pointers used after their target was freed."""

    name = "vma-alive"
    number = 26
    promise = "the vma pointer may be used in the callback, and not after it returned"
    source = "mm/vma.c (remove_vma); 20190131190202.GC7548@mellanox.com asks"
    sources: ClassVar = {
        "6.1": "mm/mmap.c (remove_mt); 20190131190202.GC7548@mellanox.com asks",
        "rfc2019": "mm/mmap.c (remove_vma_list); 20190131190202.GC7548@mellanox.com asks",
    }
    stated = False

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.exercised |= isinstance(entry.event, NotifierEnd) and entry.event.event == "UNMAP"
        if isinstance(entry.event, UseAfterFree):
            yield self.broken(entry, entry.event.who, f"{entry.event.who} follows a pointer to {entry.event.what}")


class InsideOneVma(Rule):
    """Compares the range asked of p2p_map with its vma."""

    name = "inside-one-vma"
    number = 1
    promise = "p2p_map is asked for whole pages inside exactly one vma; the caller splits at its edges"
    source = "20190129174728.6430-6-jglisse@redhat.com"
    stated = True
    years = "2019"

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, MapAsked):
            self.exercised = True
            if not event.vm_start <= event.start < event.end <= event.vm_end:
                what = f"{event.start:#x}..{event.end:#x} is asked of the vma {event.vm_start:#x}..{event.vm_end:#x}"
                yield self.broken(entry, event.importer, what)
