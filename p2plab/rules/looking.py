"""What an importer does between the answer of ``p2p_map`` and the programming of its device."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.calls import Returned
from p2plab.core.events import Entry
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import BeatLanded, MapRetried, TranslationSet
from p2plab.p2p.exporter_events import Lent, ProtectionChanged
from p2plab.rules.base import Finding, Rule
from p2plab.rules.watch import CALLBACKS, CallbackRule, GrantRule


class ProgramsOnlyValid(CallbackRule):
    """Per importer and page: the exporter's last answer, and whether a callback over the page returned since."""

    name = "programs-only-valid"
    number = 23
    promise = (
        "an importer looks again, under its own lock, before it programs an address: nothing was invalidated since"
    )
    source = "20190129165428.3931-6-jglisse@redhat.com; lib/test_hmm.c"
    stated = True

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[tuple[str, int], tuple[int, bool]] = {}  #: address, and whether it is still valid

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, Lent):
            for number, address in enumerate(event.addresses):
                self.answers[event.importer, event.start + number * PAGE_SIZE] = (address, True)
        elif isinstance(event, Returned) and event.function in CALLBACKS:
            self._invalidate(entry, event.target)
        elif isinstance(event, TranslationSet):
            self.exercised = True
            stale = [p for p, address in _pages(event) if self.answers.get((event.importer, p)) == (address, False)]
            if stale:
                what = f"{event.importer} programs {len(stale)} pages that were invalidated since p2p_map answered"
                yield self.broken(entry, event.importer, what)
        self.follow(entry)

    def _invalidate(self, entry: Entry, importer: str) -> None:
        under_way = self.range_of(entry.actor)
        if under_way is None:
            return
        for (who, page), (address, _) in self.answers.items():
            if who == importer and under_way[0] <= page < under_way[1]:
                self.answers[who, page] = (address, False)


class OwnAddress(Rule):
    """Per importer: the addresses that were ever made for it."""

    name = "own-address"
    number = 9
    promise = "an address is valid only for the importer that it was made for"
    source = "20190129205749.GN3176@redhat.com"
    stated = True

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, frozenset[str]] = {}

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, Lent):
            for address in event.addresses:
                self.made[address] = self.made.get(address, frozenset()) | {event.importer}
        elif isinstance(event, TranslationSet):
            self.exercised = True
            foreign = [a for a in event.addresses if a in self.made and event.importer not in self.made[a]]
            if foreign:
                whose = ", ".join(sorted(self.made[foreign[0]]))
                what = f"{event.importer} programs {foreign[0]:#x}, which was made for {whose}"
                yield self.broken(entry, event.importer, what)


class WritesAsAsked(GrantRule):
    """Per importer and page: whether it asked for writing."""

    name = "writes-as-asked"
    promise = "who asked for reading only does not write"
    source = "20190129174728.6430-4-jglisse@redhat.com (the argument `write`)"
    stated = False

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.track(entry.event)
        event = entry.event
        if not isinstance(event, BeatLanded):
            return
        grant = self.grants.get((event.importer, event.page))
        if grant is None or grant.ended:
            return
        self.exercised = True
        if event.write and not grant.write:
            what = (
                f"{event.importer} asked for {grant.frame} to read it, and wrote it; nobody but the exporter could tell"
            )
            yield self.broken(entry, event.importer, what)


class ReadOnlyVma(GrantRule):
    """Ranges that a process made read-only, with mprotect having returned."""

    name = "read-only-vma"
    number = 32
    promise = "once a process made memory read-only, no device writes it through that vma"
    source = "mm/mprotect.c (the event begins at the first populated entry: none, no event)"
    stated = False

    def __init__(self) -> None:
        super().__init__()
        self.read_only: tuple[tuple[str, int, int], ...] = ()

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.track(entry.event)
        event = entry.event
        if isinstance(event, ProtectionChanged):
            self.exercised = True
            here = (event.mm, event.start, event.end)
            self.read_only = tuple(r for r in self.read_only if r != here) + (() if event.write else (here,))
        elif isinstance(event, BeatLanded) and event.write:
            grant = self.grants.get((event.importer, event.page))
            if grant is not None and any(
                mm == grant.mm and start <= event.page < end for mm, start, end in self.read_only
            ):
                what = f"{event.importer} wrote {event.frame} after {grant.mm} had made it read-only: no event told it"
                yield self.broken(entry, event.importer, what)


class ComesToAnEnd(Rule):
    """Per importer: how often in a row a map had to go round."""

    name = "comes-to-an-end"
    number = 13
    promise = "a map comes to an end: it is not overtaken by invalidations for ever"
    source = "20190129165428.3931-6-jglisse@redhat.com (1000 ms)"
    stated = False
    limit = 3

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.exercised |= isinstance(entry.event, TranslationSet)
        if isinstance(entry.event, MapRetried) and entry.event.times == self.limit:
            who = entry.event.importer
            what = f"{who} went round {self.limit} times: its range was invalidated faster than it can be mapped"
            yield self.broken(entry, who, what)


def _pages(event: TranslationSet) -> list[tuple[int, int]]:
    return [(event.start + number * PAGE_SIZE, address) for number, address in enumerate(event.addresses)]
