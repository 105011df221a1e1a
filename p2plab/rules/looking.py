"""What an importer does between the answer of ``p2p_map`` and the programming of its device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from p2plab.core.events import Entry
from p2plab.core.monitor import Finding
from p2plab.core.number_of import number_of
from p2plab.mm.log import NotifierStart, VmaUnmapped
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import (
    BeatLanded,
    MapAsked,
    P2PMapFailed,
    P2PMapped,
    P2PUnmapped,
    PermissionChanged,
    ProtectionChanged,
    SlotFreed,
    SlotTaken,
    TranslationSet,
)
from p2plab.rules.base import Rule
from p2plab.rules.watch import AnswerRule, CallbackRule, GrantRule


class ProgramsOnlyValid(AnswerRule):
    """The exporter's last answers, and which of them an invalidation has overtaken."""

    name = "programs-only-valid"
    number = 23
    promise = (
        "an importer looks again, under its own lock, before it programs an address: nothing was invalidated since"
    )
    source = "20190129165428.3931-6-jglisse@redhat.com; lib/test_hmm.c"
    stated = True

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        self.follow(entry)
        if isinstance(event, TranslationSet):
            self.exercised = True
            stale = [p for p, address in _pages(event) if self.answers.get((event.importer, p)) == (address, False)]
            if stale:
                were = f"{number_of(len(stale), 'page that was', 'pages that were')} invalidated"
                what = f"{event.importer} programs {were} since p2p_map answered"
                yield self.broken(entry, event.importer, what)


class OwnAddress(Rule):
    """Per importer: all addresses ever made for it."""

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
        if isinstance(event, P2PMapped):
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
    """Per importer and page: whether it asked for write access."""

    name = "writes-as-asked"
    promise = "an importer that asked for reading only does not write"
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
    """Ranges that a process made read-only, once mprotect has returned."""

    name = "read-only-vma"
    number = 32
    promise = "once a process made memory read-only, no device writes it through that vma"
    source = "mm/mprotect.c (change_pud_range: the event begins at the first populated entry: none, no event)"
    sources: ClassVar = {
        "6.1": "mm/mprotect.c (change_pmd_range: the event begins at the first populated entry: none, no event)",
        "rfc2019": "mm/mprotect.c (change_pmd_range: the event begins at the first populated entry: none, no event)",
    }
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
                what = f"{event.importer} wrote {event.frame} after {grant.mm} had made it read-only: no event said so"
                yield self.broken(entry, event.importer, what)


class _Round(NamedTuple):
    """A map under way: its range, the exporter that answered (empty: none yet), and whose invalidation overtook it."""

    mm: str
    start: int
    end: int
    exporter: str
    why: str = ""  #: the ``exporter``'s invalidation of those pages; ``another``; or empty

    def overtaken(self, event: NotifierStart) -> _Round:
        """After an invalidation begins. An exporter's invalidation holds no ``mmap_lock``: it goes through the file's vmas."""
        if self.mm not in ("", event.mm):
            return self
        same = self.start < event.end and event.start < self.end
        its_own = event.event == "CLEAR" and event.blockable and not any("mmap_lock" in name for name, _ in event.locks)
        return self._replace(why="exporter" if (same and its_own) or self.why == "exporter" else "another")


class ComesToAnEnd(CallbackRule):
    """Per importer: the range of its map, what has overtaken that, and its rounds in a row.

    A map that is given back before the device was programmed is a round. The count starts again when memory, a vma or a
    permission changes, since that is what invalidations are for. The exporter is at fault where its own invalidations of
    those pages overtake the map again and again. The importer is at fault where there was no reason: no invalidation was
    under way or began, of any range (a driver may count all of them in one number), and no page was refused. No driver is
    to blame for any other round. Endless rounds are for the search to find: every map ends under fair scheduling.
    """

    name = "comes-to-an-end"
    number = 13
    promise = "a map comes to an end: it is not overtaken by needless invalidations, and does not go round without any"
    source = "20190129165428.3931-6-jglisse@redhat.com (1000 ms)"
    stated = False
    limit = 3

    def __init__(self) -> None:
        super().__init__()
        self.pending: dict[str, _Round] = {}
        self.rounds: dict[tuple[str, bool], int] = {}  #: (importer, overtaken) -> rounds in a row while nothing changed

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, SlotTaken | SlotFreed | VmaUnmapped | ProtectionChanged | PermissionChanged):
            self.rounds = {}
        elif isinstance(event, NotifierStart):
            self.rounds = {key: times for key, times in self.rounds.items() if key[1]}
            self.pending = {who: asked.overtaken(event) for who, asked in self.pending.items()}
        elif isinstance(event, MapAsked):
            self.pending[event.importer] = self._asked(event)
        elif isinstance(event, P2PMapped):
            asked = self.pending.get(event.importer) or self._asked(event)
            self.pending[event.importer] = asked._replace(exporter=event.exporter)
        elif isinstance(event, P2PMapFailed):
            self._had_a_reason(event.importer)
            refused = self.pending.pop(event.importer, None)
            if refused is not None and refused.exporter:  # it has other pages of this map and will give them back
                self.pending[event.importer] = refused._replace(why=refused.why or "another")
        elif isinstance(event, TranslationSet):
            self.exercised = True
            self.pending.pop(event.importer, None)
            self.rounds = {key: times for key, times in self.rounds.items() if key[0] != event.importer}
        elif isinstance(event, P2PUnmapped) and event.importer in self.pending:
            yield from self._round(entry, event.importer)
        self.follow(entry)

    def _asked(self, event: MapAsked | P2PMapped) -> _Round:
        """The range that an importer asks for, with what it already has of the same map."""
        before = self.pending.get(event.importer, _Round(event.mm, event.start, event.end, ""))
        start, end = min(before.start, event.start), max(before.end, event.end)
        # One that may not block does not count: it may be refused, and then has no end.
        under_way = any(blockable for ranges in self.announced.values() for _, _, blockable in ranges)
        return before._replace(start=start, end=end, why=before.why or ("another" if under_way else ""))

    def _had_a_reason(self, importer: str) -> None:
        self.rounds.pop((importer, False), None)

    def _round(self, entry: Entry, importer: str) -> Iterator[Finding]:
        asked = self.pending.pop(importer)
        if not asked.exporter:
            return
        if asked.why == "another":
            self._had_a_reason(importer)
            return
        overtaken = asked.why == "exporter"
        times = self.rounds.get((importer, overtaken), 0) + 1
        self.rounds[importer, overtaken] = min(times, self.limit + 1)
        if times == self.limit and overtaken:
            what = f"{asked.exporter} takes back what {importer} maps, {times} times in a row and for nothing: "
            what += "no map comes to an end"
            yield self.broken(entry, asked.exporter, what)
        elif times == self.limit:
            what = f"{importer} gave back {times} answers in a row that nothing had invalidated"
            yield self.broken(entry, importer, what)


def _pages(event: TranslationSet) -> list[tuple[int, int]]:
    return [(event.start + number * PAGE_SIZE, address) for number, address in enumerate(event.addresses)]
