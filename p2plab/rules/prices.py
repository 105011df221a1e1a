"""Prices: what a driver that breaks no promise may still cost. Watched only in scenes about them."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.events import Entry
from p2plab.core.monitor import Finding
from p2plab.core.number_of import number_of
from p2plab.mm.log import NotifierEnd
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import LendingEnded, Lent, MoveBegun, P2PMapFailed, P2PMapped
from p2plab.rules.base import Rule


class NeedlessInvalidation(Rule):
    """Per importer and page: the last answer, and whether it was taken back although the object did not move."""

    name = "needless-invalidation"
    promise = "what is taken back is moved: no importer has to map again what is still where it was"
    source = "20190129234752.GR3176@redhat.com (the usual life of an object)"
    stated = False
    kind = "price"

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[tuple[str, int], tuple[int, bool]] = {}  #: address, and whether a CLEAR took it back

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, NotifierEnd) and event.event == "CLEAR":
            self.exercised = True
            for (who, page), (address, _) in self.last.items():
                if event.start <= page < event.end:
                    self.last[who, page] = (address, True)
        elif isinstance(event, MoveBegun):
            self.last.clear()
        elif isinstance(event, Lent):
            keys = [(event.importer, event.start + n * PAGE_SIZE) for n in range(len(event.addresses))]
            same = [k for k, a in zip(keys, event.addresses, strict=True) if self.last.get(k) == (a, True)]
            self.last.update({key: (address, False) for key, address in zip(keys, event.addresses, strict=True)})
            if same:
                them = number_of(len(same), "page again that is where it was", "pages again that are where they were")
                what = f"{event.importer} had to map {them}"
                yield self.broken(entry, event.exporter, what)


class PeerToPeer(Rule):
    """Where the lent pages are."""

    name = "peer-to-peer"
    number = 10
    promise = "what is lent is reached peer to peer, and not through main memory"
    source = "20190129204359.GM3176@redhat.com allows main memory; the importer cannot tell"
    stated = False
    kind = "price"

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, Lent):
            self.exercised = True
            pages = event.places.count("ram")
            if pages:
                what = f"{event.exporter} lends {number_of(pages, 'page')} of {event.object} from main memory: kept, and slower"
                yield self.broken(entry, event.exporter, what)


class EverybodyServed(Rule):
    """The importers that were refused at the first try, before anything was mapped."""

    name = "everybody-served"
    number = 15
    promise = "every importer that asks at set-up is served"
    source = "20190130000805.GS3176@redhat.com (the importer reports a first failure to user space)"
    stated = False
    kind = "price"

    def __init__(self) -> None:
        super().__init__()
        self.served: frozenset[str] = frozenset()

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, P2PMapped):
            self.exercised = True
            self.served |= {event.importer}
        elif isinstance(event, P2PMapFailed) and event.importer not in self.served:
            what = f"{event.importer} is refused at set-up (-{event.errno}), where its user can be told: honest, and no service"
            yield self.broken(entry, event.exporter, what)


class NoOverlappingMap(Rule):
    """Per page, the mappings (of ``dma_map_resource``) through which a device may write to it."""

    name = "no-overlapping-map"
    promise = "no page is mapped for writing by two devices at once: CONFIG_DMA_API_DEBUG warns of it"
    source = "kernel/dma/debug.c, add_dma_entry (EEXIST: overlapping mappings aren't supported)"
    stated = True
    years = "now"
    kind = "price"

    def __init__(self) -> None:
        super().__init__()
        self.holders: dict[tuple[str, str], frozenset[tuple[str, int]]] = {}  #: frame -> (importer, page)
        self.linked: dict[tuple[str, int], bool] = {}  #: whether a page was lent over a link, which needs no mapping

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, Lent):
            for number, place in enumerate(event.places):
                self.linked[event.importer, event.start + number * PAGE_SIZE] = place == "link"
        elif isinstance(event, LendingEnded):
            gone = {(event.importer, page) for page in range(event.start, event.end, PAGE_SIZE)}
            self.holders = {frame: holders - gone for frame, holders in self.holders.items()}
        elif isinstance(event, P2PMapped) and event.write:
            yield from self._mapped(entry, event)

    def _mapped(self, entry: Entry, event: P2PMapped) -> Iterator[Finding]:
        twice: dict[str, None] = {}
        for number, frame in enumerate(event.frames):
            holder = (event.importer, event.start + number * PAGE_SIZE)
            if self.linked.get(holder):
                continue
            self.exercised = True
            others = self.holders.get((event.exporter, frame), frozenset()) - {holder}
            twice.update({who: None for who, _ in sorted(others)})
            self.holders[event.exporter, frame] = others | {holder}
        if twice:
            what = f"{event.frames[0]} is mapped for {' and '.join(twice)} already, and now for {event.importer}"
            yield self.broken(entry, event.exporter, what)
