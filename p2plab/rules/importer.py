"""What an importer promises: obedience, no use of what was taken back, and giving back what it got exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from p2plab.core.calls import Called, Returned
from p2plab.core.events import Entry
from p2plab.mm.log import NotifierEnd, NotifierStart
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import BeatIssued, BeatLanded, P2PMapped, P2PUnmapped, TranslationCleared, TranslationSet
from p2plab.rules.base import Finding, Rule


class Obedience(Rule):
    """Per importer: pages held, pages translated, the page in flight; compared when its callback returns.

    What ``p2p_map`` gives while the callback runs is not asked back by it: the importer finds that out when it looks
    again before programming its device, and the rule against stale DMA sees whether it did.
    """

    name = "obedience"
    number = 20
    promise = "before a notifier callback returns, nothing of the range is mapped, translated or in flight"
    source = "20190129174728.6430-4-jglisse@redhat.com"
    stated = True

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, set[int]] = {}
        self.translated: dict[str, set[int]] = {}
        self.in_flight: dict[str, int] = {}
        self.announced: dict[str, list[tuple[int, int]]] = {}
        self.asked_back: dict[tuple[str, str], set[int]] = {}

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, P2PMapped):
            self.held.setdefault(event.importer, set()).update(range(event.start, event.end, PAGE_SIZE))
        elif isinstance(event, P2PUnmapped):
            back = range(event.start, event.end, PAGE_SIZE)
            self.held.setdefault(event.importer, set()).difference_update(back)
            for (_, importer), pages in self.asked_back.items():
                if importer == event.importer:
                    pages.difference_update(back)
        elif isinstance(event, TranslationSet):
            pages = {event.start + n * PAGE_SIZE for n in range(len(event.addresses))}
            self.translated.setdefault(event.importer, set()).update(pages)
        elif isinstance(event, TranslationCleared):
            gone = {p for p in self.translated.get(event.importer, ()) if event.start <= p < event.end}
            self.translated.setdefault(event.importer, set()).difference_update(gone)
        elif isinstance(event, BeatIssued):
            self.in_flight[event.importer] = event.page
        elif isinstance(event, BeatLanded):
            self.in_flight.pop(event.importer, None)
        elif isinstance(event, NotifierStart):
            self.announced.setdefault(entry.actor, []).append((event.start, event.end))
        elif isinstance(event, NotifierEnd) and self.announced.get(entry.actor):
            self.announced[entry.actor].pop()
        elif isinstance(event, Called) and event.function == "invalidate_range_start":
            self.asked_back[entry.actor, event.target] = set(self.held.get(event.target, ()))
        elif isinstance(event, Returned) and event.function == "invalidate_range_start":
            yield from self._callback_returned(entry, event.target)

    def _callback_returned(self, entry: Entry, importer: str) -> Iterator[Finding]:
        if importer not in self.held or not self.announced.get(entry.actor):
            return
        start, end = self.announced[entry.actor][-1]
        self.exercised = True
        held = self.asked_back.pop((entry.actor, importer), set())
        left = [
            f"{len(pages)} pages {what}"
            for what, having in (("still mapped", held), ("still translated", self.translated.get(importer, ())))
            if (pages := [page for page in having if start <= page < end])
        ]
        page = self.in_flight.get(importer)
        if page is not None and start <= page < end:
            left.append("a beat in flight")
        if left:
            yield self.broken(entry, importer, f"{importer} returned from its callback with {', '.join(left)}")


@dataclass
class _Granted:
    address: int
    frame: str
    taken_back: str = ""  #: how and when it ended; empty while it is good


class NoStaleDma(Rule):
    """Per importer and page: the last grant, and whether it was given or taken back since."""

    name = "no-stale-dma"
    number = 20
    promise = "a device uses an address only between the p2p_map that gave it and the invalidation that takes it back"
    source = "20190129174728.6430-4-jglisse@redhat.com"
    stated = True

    def __init__(self) -> None:
        super().__init__()
        self.grants: dict[tuple[str, int], _Granted] = {}

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, P2PMapped):
            for number, (address, frame) in enumerate(zip(event.addresses, event.frames, strict=True)):
                self.grants[event.importer, event.start + number * PAGE_SIZE] = _Granted(address, frame)
        elif isinstance(event, P2PUnmapped):
            self._end(event.start, event.end, f"given back at step {entry.step}", event.importer)
        elif isinstance(event, NotifierEnd):
            self._end(event.start, event.end, f"taken back at step {entry.step} ({event.event})")
        elif isinstance(event, BeatLanded):
            self.exercised = True
            yield from self._landed(entry, event)

    def _end(self, start: int, end: int, how: str, importer: str = "") -> None:
        for (who, page), grant in self.grants.items():
            if start <= page < end and importer in ("", who) and not grant.taken_back:
                grant.taken_back = how

    def _landed(self, entry: Entry, beat: BeatLanded) -> Iterator[Finding]:
        grant = self.grants.get((beat.importer, beat.page))
        if grant is not None and not grant.taken_back and (grant.address, grant.frame) == (beat.address, beat.frame):
            return
        verb = "wrote" if beat.write else "read"
        if grant is None:
            what = f"{beat.importer} {verb} {beat.address:#x}, which it was never given"
        else:
            why = grant.taken_back or "moved without a word"
            what = f"{beat.importer} {verb} {beat.address:#x}, granted as {grant.frame} and {why}; "
            what += "nothing is there now" if not beat.frame else f"it is {_whose(beat)} now"
        yield self.broken(entry, beat.importer, what)


def _whose(beat: BeatLanded) -> str:
    return f"{beat.frame} of {beat.owner}"


class BalancedUnmap(Rule):
    """Per importer and page: how often it was mapped and not yet given back."""

    name = "balanced-unmap"
    number = 21
    promise = "each page that p2p_map gave is given back with p2p_unmap exactly once"
    source = "20190129174728.6430-4-jglisse@redhat.com"
    stated = True

    def __init__(self) -> None:
        super().__init__()
        self.count: dict[tuple[str, int], int] = {}

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, P2PMapped):
            for page in range(event.start, event.end, PAGE_SIZE):
                self.count[event.importer, page] = self.count.get((event.importer, page), 0) + 1
        elif isinstance(event, P2PUnmapped):
            self.exercised = True
            pages = range(event.start, event.end, PAGE_SIZE)
            twice = [page for page in pages if self.count.get((event.importer, page), 0) < 1]
            for page in pages:
                self.count[event.importer, page] = max(0, self.count.get((event.importer, page), 0) - 1)
            if twice:
                yield self.broken(
                    entry, event.importer, f"{event.importer} gave {len(twice)} pages back that it did not have"
                )
        elif isinstance(event, NotifierEnd) and event.event == "UNMAP":
            yield from self._vma_gone(entry, event)

    def _vma_gone(self, entry: Entry, event: NotifierEnd) -> Iterator[Finding]:
        left: dict[str, int] = {}
        for (importer, page), count in self.count.items():
            if count and event.start <= page < event.end:
                left[importer] = left.get(importer, 0) + 1
                self.count[importer, page] = 0
        for importer, pages in left.items():
            what = f"the vma is gone and {importer} never gave {pages} pages back"
            yield self.broken(entry, importer, what)
