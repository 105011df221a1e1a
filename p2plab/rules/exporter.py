"""What an exporter promises about places: who is told before they change, and that an answer is right when it is given."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.events import Entry
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import BeatLanded
from p2plab.p2p.exporter_events import (
    ApertureMade,
    Lent,
    MoveBegun,
    MoveEnded,
    ObjectDestroyed,
    SlotFreed,
    SlotTaken,
)
from p2plab.rules.base import Finding, Rule
from p2plab.rules.watch import GrantRule


class ToldBeforeMoved(GrantRule):
    """The grants that are good, and the slots that change under them."""

    name = "told-before-moved"
    number = 16
    promise = "bytes are moved only after the notifier was heard for all ranges that map them, in all processes"
    source = "20190129204359.GM3176@redhat.com"
    stated = True
    inferred = "in all processes"

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.track(entry.event)
        event = entry.event
        if isinstance(event, SlotFreed):
            self.exercised = True
            for key in self.live(event.frame, event.exporter):
                grant = self.grants[key]
                if event.address and grant.address >= event.address + PAGE_SIZE:
                    continue  # an IOVA, main memory or a link: the slot is not what was lent
                where = f"{key[0]} (process {grant.mm})" if grant.mm else key[0]
                self.grants[key] = grant._replace(ended="moved without a word")
                what = f"{event.exporter} takes {event.frame} from slot {event.slot}, where {where} has it, and told nobody"
                yield self.broken(entry, event.exporter, what)


class NoMapWhileMoving(Rule):
    """Per exporter: the objects between MoveBegun and MoveEnded."""

    name = "no-map-while-moving"
    number = 17
    promise = "between an exporter's own invalidation and the end of the move, p2p_map waits or fails"
    source = "20190129204359.GM3176@redhat.com"
    stated = True

    def __init__(self) -> None:
        super().__init__()
        self.moving: frozenset[tuple[str, str]] = frozenset()

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, MoveBegun):
            self.exercised = True
            self.moving |= {(event.exporter, event.object)}
        elif isinstance(event, MoveEnded):
            self.moving -= {(event.exporter, event.object)}
        elif isinstance(event, Lent) and (event.exporter, event.object) in self.moving:
            what = f"{event.exporter} answers {event.importer} with the old place of {event.object}, which it is moving"
            yield self.broken(entry, event.exporter, what)


class RightWhenGiven(Rule):
    """Per exporter: what each bus address shows; compared with what p2p_map says it gave."""

    name = "right-when-given"
    number = 8
    promise = "one address a page, in the order of the virtual pages, and each shows its page when it is given"
    source = "20190129174728.6430-6-jglisse@redhat.com (hmm_vma_p2p_map reads pa[] so)"
    stated = False

    def __init__(self) -> None:
        super().__init__()
        self.shows: dict[int, str] = {}
        self.destroyed: frozenset[str] = frozenset()
        self.bars: tuple[tuple[int, int], ...] = ()

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, ApertureMade):
            self.bars = (*self.bars, (event.base, event.end))
        elif isinstance(event, SlotTaken):
            self.shows[event.address] = event.frame
        elif isinstance(event, SlotFreed):
            self.shows.pop(event.address, None)
        elif isinstance(event, ObjectDestroyed):
            self.destroyed |= {event.object}
        elif isinstance(event, Lent):
            self.exercised = True
            yield from self._lent(entry, event)

    def _lent(self, entry: Entry, event: Lent) -> Iterator[Finding]:
        for address, kind in zip(event.addresses, event.places, strict=True):
            inside = any(base <= address < end for base, end in self.bars)
            shown = self.shows.get(address, "")
            if event.object in self.destroyed:
                now = f"it is {shown} now" if shown else "nothing is there"
                what = f"{event.exporter} lends {address:#x} for {event.object}, which was destroyed; {now}"
            elif kind == "bar" and inside and not shown.startswith(f"{event.object}["):
                what = f"{event.exporter} lends {address:#x} for {event.object}; it shows {shown or 'nothing'}"
            else:
                continue
            yield self.broken(entry, event.exporter, what)
            return


class InsideBar(Rule):
    """Each exporter's aperture, as it was made."""

    name = "inside-bar"
    number = 11
    promise = "every BAR address that is handed out lies inside the exporter's BAR"
    source = "drivers/pci/setup-bus.c"
    stated = False

    def __init__(self) -> None:
        super().__init__()
        self.bars: dict[str, tuple[int, int]] = {}

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, ApertureMade):
            self.bars[event.exporter] = (event.base, event.end)
        elif isinstance(event, Lent) and event.exporter in self.bars:
            self.exercised = True
            base, end = self.bars[event.exporter]
            pairs = zip(event.addresses, event.places, strict=True)
            outside = [address for address, kind in pairs if kind == "bar" and not base <= address < end]
            if outside:
                what = f"{event.exporter} lends {outside[0]:#x}; its BAR is {base:#x}..{end:#x}"
                yield self.broken(entry, event.exporter, what)


class AddressWorks(GrantRule):
    """The grants that are good, and where their beats land."""

    name = "address-works"
    number = 41
    promise = "an address that was given leads to memory, for the device it was given to"
    source = "drivers/pci/p2pdma.c (calc_map_type_and_dist); 20190129174728.6430-2-jglisse@redhat.com"
    stated = False

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.track(entry.event)
        event = entry.event
        if isinstance(event, BeatLanded):
            grant = self.grants.get((event.importer, event.page))
            self.exercised |= grant is not None
            if grant is not None and not grant.ended and grant.address == event.address and not event.frame:
                what = f"{event.importer} uses {event.address:#x}, which is good, and nobody answers: it never arrives"
                yield self.broken(entry, grant.exporter, what)
