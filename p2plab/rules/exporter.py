"""What an exporter promises about places: importers hear of changes before they happen, answers are right, no two overlap."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.events import Entry
from p2plab.core.monitor import Finding
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import (
    SURPRISE,
    ApertureMade,
    BeatLanded,
    DeviceGone,
    Lent,
    MoveBegun,
    MoveEnded,
    ObjectDestroyed,
    P2PMapped,
    SlotFreed,
    SlotTaken,
)
from p2plab.rules.base import Rule
from p2plab.rules.watch import AskingRule, GrantRule, MovingRule, answers, object_of


class ToldBeforeMoved(MovingRule):
    """The grants that are good, and the slots that change under them."""

    name = "told-before-moved"
    number = 16
    promise = "bytes are moved only after the notifier was heard for all ranges that map them, in all processes"
    source = "20190129204359.GM3176@redhat.com"
    stated = True
    inferred = "in all processes"

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.follow(entry)
        event = entry.event
        if isinstance(event, SlotFreed):
            self.exercised = True
            for key in self.live(event.frame, event.exporter):
                grant = self.grants[key]
                if event.address and grant.address >= event.address + PAGE_SIZE:
                    continue  # an IOVA, main memory or a link: the slot is not what was lent
                self.grants[key] = grant._replace(ended="moved without a word")
                if self.meanwhile.get(key) == entry.actor:
                    continue  # the importer was notified, and was lent the old place again: no-map-while-moving
                where = f"{key[0]} (process {grant.mm})" if grant.mm else key[0]
                what = f"{event.exporter} takes {event.frame} from slot {event.slot}, where {where} has it"
                what += ", without notifying it"
                yield self.broken(entry, event.exporter, what)
            self.moved(entry, event.frame)


class NoMapWhileMoving(MovingRule):
    """Per exporter: the objects between MoveBegun and MoveEnded, and what was lent again before its slot changed."""

    name = "no-map-while-moving"
    number = 17
    promise = "between an exporter's own invalidation and the end of the move, p2p_map waits or fails"
    source = "20190129204359.GM3176@redhat.com"
    stated = True

    def __init__(self) -> None:
        super().__init__()
        self.moving: frozenset[tuple[str, str]] = frozenset()

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.follow(entry)
        event = entry.event
        if isinstance(event, MoveBegun):
            self.exercised = True
            self.moving |= {(event.exporter, event.object)}
        elif isinstance(event, MoveEnded):
            self.moving -= {(event.exporter, event.object)}
        elif isinstance(event, Lent) and (event.exporter, event.object) in self.moving:
            what = f"{event.exporter} answers {event.importer} with the old place of {event.object}, which it is moving"
            yield self.broken(entry, event.exporter, what)
        elif isinstance(event, SlotFreed):
            caught = [key for key in self.live(event.frame, event.exporter) if self.meanwhile.get(key) == entry.actor]
            self.exercised |= bool(caught)
            for importer, _ in caught[:1]:
                what = f"{event.exporter} takes {event.frame} back, lends it to {importer} again, and then takes it from slot "
                yield self.broken(entry, event.exporter, f"{what}{event.slot}: the answer was the old place")
            self.moved(entry, event.frame)


class RightWhenGiven(AskingRule):
    """Compares what each address from ``p2p_map`` shows with the page that was asked for."""

    name = "right-when-given"
    number = 8
    promise = "one address a page, in the order of the virtual pages, and each shows its page when it is given"
    source = "20190129174728.6430-6-jglisse@redhat.com (hmm_vma_p2p_map reads pa[] so)"
    stated = False

    def __init__(self) -> None:
        super().__init__()
        self.destroyed: frozenset[str] = frozenset()
        self.pulled_out: frozenset[str] = frozenset()

    def see(self, entry: Entry) -> Iterator[Finding]:
        call, event = self.answered(entry), entry.event
        if isinstance(event, ObjectDestroyed):
            self.destroyed |= {event.object}
        elif isinstance(event, DeviceGone) and event.why == SURPRISE:
            self.pulled_out |= {event.exporter}
        elif isinstance(event, P2PMapped) and call is not None and event.shows:
            self.exercised = True
            for number, (address, frame, shown) in enumerate(answers(event)):
                if not shown and event.exporter in self.pulled_out:
                    return
                if shown == frame or event.start + number * PAGE_SIZE in call.invalidated:
                    continue
                gone = ", which was destroyed" if object_of(frame) in self.destroyed else ""
                now = (
                    f"{'it is' if gone else 'it shows'} {shown}{' now' if gone else ''}"
                    if shown
                    else "nothing is there"
                )
                what = f"{event.exporter} lends {address:#x} for {frame}{gone}; {now}"
                yield self.broken(entry, event.exporter, what)
                return


class InsideBar(AskingRule):
    """Compares what ``p2p_map`` returned with the exporter's aperture."""

    name = "inside-bar"
    number = 11
    promise = "every BAR address that is handed out lies inside the exporter's BAR"
    source = "drivers/pci/setup-bus.c"
    stated = False

    def __init__(self) -> None:
        super().__init__()
        self.bars: dict[str, tuple[int, int]] = {}

    def see(self, entry: Entry) -> Iterator[Finding]:
        call, event = self.answered(entry), entry.event
        if isinstance(event, ApertureMade):
            self.bars[event.exporter] = (event.base, event.end)
        elif isinstance(event, P2PMapped) and call is not None and event.exporter in self.bars and event.shows:
            self.exercised = True
            base, end = self.bars[event.exporter]
            for number, (address, _, shown) in enumerate(answers(event)):
                # What shows memory elsewhere is main memory, a private link or an IOVA: no BAR address.
                outside = not shown and not base <= address < end
                if outside and event.start + number * PAGE_SIZE not in call.invalidated:
                    yield self.broken(
                        entry, event.exporter, f"{event.exporter} lends {address:#x}; its BAR is {base:#x}..{end:#x}"
                    )
                    return


class AddressWorks(GrantRule):
    """The grants that are good, and where their beats land."""

    name = "address-works"
    number = 41
    promise = "an address that was given leads to memory, for the device it was given to"
    source = "drivers/pci/p2pdma.c (calc_map_type_and_dist); 20190129174728.6430-2-jglisse@redhat.com"
    stated = False

    def __init__(self) -> None:
        super().__init__()
        self.pulled_out: frozenset[str] = frozenset()

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.track(entry.event)
        event = entry.event
        if isinstance(event, DeviceGone) and event.why == SURPRISE:
            self.pulled_out |= {event.exporter}
        elif isinstance(event, BeatLanded):
            grant = self.grants.get((event.importer, event.page))
            self.exercised |= grant is not None
            if grant is not None and not grant.ended and grant.address == event.address and not event.frame:
                if grant.exporter in self.pulled_out:
                    return
                what = f"{event.importer} uses {event.address:#x}, which is good, and nobody answers: it never arrives"
                yield self.broken(entry, grant.exporter, what)


class NoOverlap(Rule):
    """Per exporter: which slot shows which frame."""

    name = "no-overlap"
    number = 12
    promise = "no two live BAR slots overlap: a slot shows one frame, and a frame is shown once"
    source = "20190130192234.GD5061@redhat.com"
    stated = False

    def __init__(self) -> None:
        super().__init__()
        self.shows: dict[tuple[str, int], str] = {}

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, SlotTaken):
            self.exercised = True
            there = self.shows.get((event.exporter, event.slot))
            if there is not None:
                what = f"slot {event.slot} of {event.exporter} shows {there} and is given to {event.frame}"
                yield self.broken(entry, event.exporter, what)
            for (exporter, slot), frame in self.shows.items():
                if exporter == event.exporter and frame == event.frame and slot != event.slot:
                    what = f"{frame} is shown by slots {slot} and {event.slot} of {exporter}"
                    yield self.broken(entry, exporter, what)
            self.shows[event.exporter, event.slot] = event.frame
        elif isinstance(event, SlotFreed):
            self.shows.pop((event.exporter, event.slot), None)
