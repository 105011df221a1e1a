"""What the core promises to both sides: which memory the OOM reaper spares, and what HMM's two loops must have done."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.events import Entry
from p2plab.core.monitor import Finding
from p2plab.mm.log import NotifierStart, VmaMapped, VmaUnmapped
from p2plab.p2p.events import HmmRangeMapped, HmmRangeUnmapped
from p2plab.rules.base import Rule


class ReaperSparesDevices(Rule):
    """The device mappings of each address space: those of files that a driver maps."""

    name = "reaper-spares-devices"
    number = 28
    promise = "a call that may not block never reaches a device vma: the OOM reaper passes over VM_PFNMAP"
    source = "mm/oom_kill.c (__oom_reap_task_mm)"
    stated = True

    def __init__(self) -> None:
        super().__init__()
        self.devices: frozenset[tuple[str, int, int]] = frozenset()

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, VmaMapped) and ":" in event.file:  # "gpu:A": a driver's file
            self.devices |= {(event.mm, event.start, event.end)}
        elif isinstance(event, VmaUnmapped):
            self.devices = frozenset(
                (mm, start, end)
                for mm, start, end in self.devices
                if mm != event.mm or end <= event.start or event.end <= start
            )
        elif isinstance(event, NotifierStart) and not event.blockable:
            self.exercised = True
            if any(mm == event.mm and start < event.end and event.start < end for mm, start, end in self.devices):
                what = "the OOM reaper asks, without waiting, for a device vma: an artificial kernel, the real one passes over"
                yield self.broken(entry, entry.actor, what)


class HmmComplete(Rule):
    """The results of HMM's two loops."""

    name = "hmm-complete"
    number = 8
    promise = "hmm_range_dma_map gives each page of the range its own address, and hmm_range_dma_unmap takes all back"
    source = "20190129174728.6430-5-jglisse@redhat.com and -6-"
    stated = False
    years = "2019"

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, HmmRangeMapped):
            self.exercised = True
            if event.missing or event.counted != event.pages:
                yield self.broken(entry, "hmm", str(event))
        elif isinstance(event, HmmRangeUnmapped):
            self.exercised = True
            if event.left:
                yield self.broken(entry, "hmm", str(event))
