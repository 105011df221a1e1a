"""What an importer promises: it obeys, does not use what was taken back, and gives back exactly once what it got."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.calls import Called, Raised, Returned
from p2plab.core.events import Entry
from p2plab.core.lockdep import Deadlock
from p2plab.core.monitor import Finding
from p2plab.core.number_of import number_of
from p2plab.mm.log import NotifierEnd, NotifierStart
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import BeatIssued, BeatLanded, P2PMapped, P2PUnmapped, TranslationCleared, TranslationSet
from p2plab.rules.base import Rule, pages_of
from p2plab.rules.watch import CALLBACKS, AnswerRule, GrantRule

Pages = frozenset[tuple[str, int]]


class Obedience(Rule):
    """Per importer: pages held, pages translated, the page in flight; compared when its callback returns.

    What ``p2p_map`` gives while the callback runs is not covered by it: the importer notices that when it checks again
    before programming its device. An importer that is not called, or refuses, must have nothing left when the notifier
    ends: a refusal promises nothing, and whether it was allowed is the matter of another rule.
    """

    name = "obedience"
    number = 20
    promise = "before a notifier callback returns, nothing of the range is mapped, translated or in flight"
    source = "20190129174728.6430-4-jglisse@redhat.com"
    stated = True
    inferred = "in flight"

    def __init__(self) -> None:
        super().__init__()
        self.held: Pages = frozenset()
        self.translated: Pages = frozenset()
        self.in_flight: dict[tuple[str, int], int] = {}  #: (importer, page) -> beats: a device may have several engines
        self.mms: dict[str, str] = {}
        #: actor -> (range, what was translated at the announcement and is still in)
        self.announced: dict[str, tuple[tuple[int, int, Pages], ...]] = {}
        self.asked_back: dict[tuple[str, str], Pages] = {}
        self.refused: frozenset[tuple[str, str]] = frozenset()  #: (actor, importer) until the notifier ends

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, P2PMapped):
            self.mms[event.importer] = event.mm
            self.held |= pages_of(event.importer, event.start, event.end)
        elif isinstance(event, P2PUnmapped):
            gone = pages_of(event.importer, event.start, event.end)
            self.held -= gone
            self.asked_back = {key: pages - gone for key, pages in self.asked_back.items()}
        elif isinstance(event, TranslationSet):
            end = event.start + len(event.addresses) * PAGE_SIZE
            self.translated |= pages_of(event.importer, event.start, end)
        elif isinstance(event, TranslationCleared):
            self._cleared(event)
        elif isinstance(event, BeatIssued):
            beat = event.importer, event.page
            self.in_flight[beat] = self.in_flight.get(beat, 0) + 1
        elif isinstance(event, BeatLanded) and (beat := (event.importer, event.page)) in self.in_flight:
            self.in_flight[beat] -= 1
            if not self.in_flight[beat]:
                del self.in_flight[beat]
        elif isinstance(event, NotifierStart):
            before = frozenset(key for key in _within(self.translated, event.start, event.end))
            self.announced[entry.actor] = (*self.announced.get(entry.actor, ()), (event.start, event.end, before))
        elif isinstance(event, Called) and event.function in CALLBACKS:
            self.asked_back[entry.actor, event.target] = self.held
        elif isinstance(event, Raised) and event.function in CALLBACKS:  # it broke off: that is reported as a crash
            self.asked_back.pop((entry.actor, event.target), None)
        elif isinstance(event, Returned) and event.function in CALLBACKS:
            if event.result:  # an errno, or the false of an interval notifier
                self.asked_back.pop((entry.actor, event.target), None)
                self.refused |= {(entry.actor, event.target)}
            else:
                yield from self._callback_returned(entry, event.target)
        elif isinstance(event, NotifierEnd) and self.announced.get(entry.actor):
            yield from self._notifier_ended(entry, event)

    def _cleared(self, event: TranslationCleared) -> None:
        def without(pages: Pages) -> Pages:  # a driver may clear the whole address space: never enumerate its pages
            return pages - frozenset(_within(pages, event.start, event.end, event.importer))

        self.translated = without(self.translated)
        for actor, ranges in self.announced.items():
            self.announced[actor] = tuple((start, end, without(before)) for start, end, before in ranges)

    def _callback_returned(self, entry: Entry, importer: str) -> Iterator[Finding]:
        if importer not in self.mms or not self.announced.get(entry.actor):
            return
        start, end, before = self.announced[entry.actor][-1]
        self.exercised = True
        held = self.asked_back.pop((entry.actor, importer), frozenset())
        left = [
            f"{number_of(len(pages), 'page')} {what}"
            for what, having in (("still mapped", held), ("still translated", self.translated))
            if (pages := _within(having, start, end, importer))
        ]
        if _within(frozenset(self.in_flight), start, end, importer):
            left.append("a beat in flight")
        if left:
            yield self.broken(entry, importer, f"{importer} returned from its callback with {', '.join(left)}")
        rest = frozenset(key for key in before if key[0] != importer)
        self.announced[entry.actor] = (*self.announced[entry.actor][:-1], (start, end, rest))

    def _notifier_ended(self, entry: Entry, event: NotifierEnd) -> Iterator[Finding]:
        _, _, before = self.announced[entry.actor][-1]
        self.announced[entry.actor] = self.announced[entry.actor][:-1]
        for importer in sorted({who for who, _ in before if self.mms.get(who) == event.mm and event.mm}):
            pages = [page for who, page in before if who == importer]
            self.exercised = True
            heard = "refused it" if (entry.actor, importer) in self.refused else "heard nothing of it"
            what = f"the {event.event} is over, {importer} {heard} and still translates {number_of(len(pages), 'page')}"
            yield self.broken(entry, importer, what)
        self.refused = frozenset(key for key in self.refused if key[0] != entry.actor)


def _within(pages: Pages, start: int, end: int, importer: str = "") -> list[tuple[str, int]]:
    return [key for key in pages if start <= key[1] < end and importer in ("", key[0])]


class NoStaleDma(GrantRule):
    """Per importer and page: the last grant, and whether it was given or taken back since."""

    name = "no-stale-dma"
    number = 20
    promise = "a device uses an address only between the p2p_map that gave it and the invalidation that takes it back"
    source = "20190129174728.6430-4-jglisse@redhat.com"
    stated = True

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.track(entry.event)
        if isinstance(entry.event, BeatLanded):
            self.exercised = True
            yield from self._landed(entry, entry.event)

    def _landed(self, entry: Entry, beat: BeatLanded) -> Iterator[Finding]:
        grant = self.grants.get((beat.importer, beat.page))
        verb = "wrote" if beat.write else "read"
        if grant is None:
            what = f"{beat.importer} {verb} {beat.address:#x}, which it was never given"
        elif not grant.ended and (grant.address, grant.frame) == (beat.address, beat.frame):
            return
        elif not grant.ended and grant.address == beat.address and not beat.frame:
            return  # nothing answers at a good address: the rule address-works knows which driver is to blame
        else:
            why = grant.ended or "moved without a word"
            what = f"{beat.importer} {verb} {beat.address:#x}, granted as {grant.frame} and {why}; "
            what += "nothing is there now" if not beat.frame else f"it is {beat.frame} of {beat.owner} now"
        yield self.broken(entry, beat.importer, what)


class BalancedUnmap(AnswerRule):
    """Per importer and page: the number of mappings not yet given back.

    What is still owed shows when the vma is gone, or once everybody waits and nobody is left who could go on: what an
    invalidation took back, from an importer that has nothing more to do, is given back by nobody then.
    """

    name = "balanced-unmap"
    number = 21
    promise = "each page that p2p_map gave is given back with p2p_unmap exactly once"
    source = "20190129174728.6430-4-jglisse@redhat.com"
    stated = True
    inferred = "exactly once"

    def __init__(self) -> None:
        super().__init__()
        self.count: dict[tuple[str, int], int] = {}
        self.owed: Pages = frozenset()  #: those of them that an invalidation took back
        self.mms: dict[str, str] = {}

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        self.follow(entry)
        if isinstance(event, P2PMapped):
            self.mms[event.importer] = event.mm
            for page in range(event.start, event.end, PAGE_SIZE):
                self.count[event.importer, page] = self.count.get((event.importer, page), 0) + 1
            self._note_owed()
        elif isinstance(event, P2PUnmapped):
            self.exercised = True
            pages = range(event.start, event.end, PAGE_SIZE)
            twice = [page for page in pages if self.count.get((event.importer, page), 0) < 1]
            for page in pages:
                self.count[event.importer, page] = max(0, self.count.get((event.importer, page), 0) - 1)
            self.owed -= pages_of(event.importer, event.start, event.end)
            if twice:
                yield self.broken(
                    entry,
                    event.importer,
                    f"{event.importer} gave {number_of(len(twice), 'page')} back that it did not have",
                )
        elif isinstance(event, Returned) and event.function in CALLBACKS:
            self._note_owed()
        elif isinstance(event, NotifierEnd) and event.event == "UNMAP":
            yield from self._vma_gone(entry, event)
        elif isinstance(event, Deadlock) and not event.cycle:
            yield from self._given_back_by_nobody(entry, event)

    def _note_owed(self) -> None:
        self.owed |= {key for key, count in self.count.items() if count and not self.answers.get(key, (0, True))[1]}

    def _given_back_by_nobody(self, entry: Entry, event: Deadlock) -> Iterator[Finding]:
        waiting = {wait.partition(":")[0] for wait in event.waits}
        for importer in sorted({who for who, _ in self.owed} - waiting):
            pages = sum(who == importer for who, _ in self.owed)
            waits = "; ".join(event.waits)
            what = f"an invalidation took {number_of(pages, 'page')} that {importer} never gives back, and all wait ({waits})"
            yield self.broken(entry, importer, what)

    def _vma_gone(self, entry: Entry, event: NotifierEnd) -> Iterator[Finding]:
        left: dict[str, int] = {}
        for (importer, page), count in self.count.items():
            if count and event.start <= page < event.end and self.mms.get(importer) in ("", event.mm):
                left[importer] = left.get(importer, 0) + 1
                self.count[importer, page] = 0
                self.owed -= {(importer, page)}
        for importer, pages in left.items():
            what = f"the vma is gone and {importer} never gave {number_of(pages, 'page')} back"
            yield self.broken(entry, importer, what)
