"""What the designs of today promise on top of the common rules: notified first, nothing set up between, references held."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.calls import Called, Returned
from p2plab.core.events import Entry
from p2plab.core.monitor import Finding
from p2plab.mm.log import NotifierEnd, NotifierStart
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import (
    TOLD,
    BeatLanded,
    DeviceGone,
    Lent,
    P2PMapped,
    P2PUnmapped,
    PageMoved,
    ReferencePut,
    ReferenceTaken,
    SlotFreed,
    TranslationSet,
)
from p2plab.p2p.memory import RAM_BASE
from p2plab.rules.base import Rule


class ToldFirst(Rule):
    """Per importer: its pages, their addresses, and whether it was notified since it got them."""

    name = "told-first"
    kind = "design"
    promise = "mapped memory changes hands only after its importer was notified, or has given it back"
    source = "include/linux/dma-buf.h (move_notify); include/linux/mmu_notifier.h"
    stated = True
    years = "now"

    def __init__(self) -> None:
        super().__init__()
        self.has: dict[tuple[str, int], tuple[int, str]] = {}  #: (importer, page) -> (address, frame)
        self.told: frozenset[tuple[str, int]] = frozenset()
        self.answered: frozenset[tuple[str, int]] = frozenset()  #: an answer of p2p_map that is still on its way
        self.telling: frozenset[tuple[str, str]] = (
            frozenset()
        )  #: (actor, importer): notified, and the notifier has not ended

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, Lent):  # it dates from the exporter's answer, as in the rules of the course
            for number, address in enumerate(event.addresses):
                self._gets((event.importer, event.start + number * PAGE_SIZE), address, "a page")
                self.answered |= {(event.importer, event.start + number * PAGE_SIZE)}
        elif isinstance(event, P2PMapped):
            for number, (address, frame) in enumerate(zip(event.addresses, event.frames, strict=True)):
                self._gets((event.importer, event.start + number * PAGE_SIZE), address, frame)
        elif isinstance(event, P2PUnmapped):
            for page in range(event.start, event.end, PAGE_SIZE):
                self.has.pop((event.importer, page), None)
        elif isinstance(event, Called) and event.function in TOLD:
            self.told |= {key for key in self.has if key[0] == event.target}
            self.telling |= {(entry.actor, event.target)}
        elif isinstance(event, NotifierEnd):
            self.telling = frozenset(pair for pair in self.telling if pair[0] != entry.actor)
        elif isinstance(event, SlotFreed):
            yield from self._gone(entry, event.exporter, event.address, event.address + PAGE_SIZE)
        elif isinstance(event, PageMoved):
            yield from self._gone(entry, event.by, event.address, event.address + PAGE_SIZE)
        elif isinstance(event, DeviceGone):
            yield from self._gone(entry, event.exporter, 0, RAM_BASE)  # what is in main memory stays

    def _gets(self, key: tuple[str, int], address: int, frame: str) -> None:
        self.has[key] = (address, frame)
        if key in self.answered:
            self.answered -= {key}
        elif not any(importer == key[0] for _, importer in self.telling):
            self.told -= {key}
        else:
            self.told |= {key}  # it was notified before, and does it anyway

    def _gone(self, entry: Entry, exporter: str, first: int, last: int) -> Iterator[Finding]:
        self.exercised = True
        for key in [key for key, (address, _) in self.has.items() if first <= address < last]:
            address, frame = self.has[key]
            if key not in self.told:
                what = f"{exporter} takes {frame} away from {address:#x}, where {key[0]} has it, without notifying it"
                yield self.broken(entry, exporter, what)


class NothingSetBetween(Rule):
    """Per actor: the ranges that it announced, and the importers whose callbacks have returned since."""

    name = "nothing-set-between"
    kind = "design"
    number = 22
    promise = "between the start of an invalidation and its end no translation is set up for its range"
    source = "include/linux/mmu_notifier.h; mm/mmu_notifier.c (mmu_interval_read_retry)"
    stated = True

    def __init__(self) -> None:
        super().__init__()
        self.ranges: dict[str, tuple[int, int]] = {}
        self.told: frozenset[tuple[str, str]] = frozenset()

    def see(self, entry: Entry) -> Iterator[Finding]:
        event, actor = entry.event, entry.actor
        if isinstance(event, NotifierStart):
            self.ranges[actor] = (event.start, event.end)
        elif isinstance(event, NotifierEnd):
            self.ranges.pop(actor, None)
            self.told = frozenset(pair for pair in self.told if pair[0] != actor)
        elif isinstance(event, Returned) and event.function in TOLD and actor in self.ranges:
            self.told |= {(actor, event.target)}
        elif isinstance(event, TranslationSet):
            self.exercised = True
            end = event.start + len(event.addresses) * PAGE_SIZE
            for who, (low, high) in self.ranges.items():
                if (who, event.importer) in self.told and event.start < high and low < end:
                    what = f"{event.importer} sets translations up for a range that {who} is invalidating"
                    yield self.broken(entry, event.importer, what)


class ReferencesHeld(Rule):
    """Per page: how many references each user holds; the running transfers."""

    name = "references"
    kind = "design"
    promise = "a page stays what it is while it is referenced, and no device uses it without a reference"
    source = "mm/gup.c (FOLL_PCI_P2PDMA); drivers/pci/p2pdma.c (removal waits for the pages)"
    stated = True
    years = "now"

    def __init__(self) -> None:
        super().__init__()
        self.count: dict[tuple[str, str], int] = {}
        self.counted: frozenset[str] = frozenset()  #: frames that were ever referenced

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, ReferenceTaken):
            self.count[event.who, event.frame] = self.count.get((event.who, event.frame), 0) + 1
            self.counted |= {event.frame}
        elif isinstance(event, ReferencePut):
            self.exercised = True
            left = self.count.get((event.who, event.frame), 0) - 1
            self.count[event.who, event.frame] = max(0, left)
            if left < 0:
                yield self.broken(entry, event.who, f"{event.who} puts {event.frame}, which it holds no reference on")
        elif isinstance(event, SlotFreed):
            yield from self._freed(entry, event.exporter, event.frame)
        elif isinstance(event, DeviceGone):
            for frame in sorted(self.counted):
                yield from self._freed(entry, event.exporter, frame)
        elif isinstance(event, BeatLanded) and event.frame in self.counted:
            self.exercised = True
            if not self.count.get((event.importer, event.frame)):
                what = f"{event.importer} reached {event.frame} without a reference on its page"
                yield self.broken(entry, event.importer, what)

    def _freed(self, entry: Entry, exporter: str, frame: str) -> Iterator[Finding]:
        holders = [who for (who, page), count in self.count.items() if page == frame and count]
        if holders:
            what = f"{exporter} takes {frame} away while {', '.join(holders)} holds a reference on its page"
            yield self.broken(entry, exporter, what)
