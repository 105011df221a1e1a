"""What an exporter promises about its answers: permission, refusals, disasters, and content."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.events import Entry
from p2plab.core.monitor import Finding
from p2plab.core.number_of import number_of
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import (
    SURPRISE,
    ContentLost,
    DeviceGone,
    LendingEnded,
    Lent,
    MapAsked,
    P2PMapFailed,
    P2PMapped,
    PermissionChanged,
)
from p2plab.rules.base import Rule, pages_of
from p2plab.rules.watch import AskingRule, GrantRule, object_of


class AskedEachTime(AskingRule):
    """The objects that may not be lent any more, and those that already might not when ``p2p_map`` was called."""

    name = "asked-each-time"
    number = 14
    promise = "permission is tested at every p2p_map, not only at mmap"
    source = "20190130000805.GS3176@redhat.com"
    stated = True

    def __init__(self) -> None:
        super().__init__()
        self.forbidden: frozenset[tuple[str, str]] = frozenset()
        self.before: dict[
            str, frozenset[tuple[str, str]]
        ] = {}  #: actor -> what was forbidden when it asked and still is

    def see(self, entry: Entry) -> Iterator[Finding]:
        call, event = self.answered(entry), entry.event
        if isinstance(event, MapAsked):
            self.before[entry.actor] = self.forbidden
        elif isinstance(event, PermissionChanged):
            self.exercised = True
            here = {(event.exporter, event.object)}
            self.forbidden = self.forbidden - here if event.allowed else self.forbidden | here
            self.before = {actor: keys & self.forbidden for actor, keys in self.before.items()}
        elif isinstance(event, P2PMapped) and call is not None:
            thing = object_of(event.frames[0]) if event.frames else ""
            if (event.exporter, thing) in self.before.pop(entry.actor, self.forbidden):
                what = (
                    f"{event.exporter} lends {thing} to {event.importer} although the permission was withdrawn. "
                    "Predictability, read literally, asks for just that: the two contradict, and the thread lets the owner win"
                )
                yield self.broken(entry, event.exporter, what)
        elif isinstance(event, P2PMapFailed):
            self.before.pop(entry.actor, None)


class RefusalKeepsNothing(Rule):
    """Per importer: the pages in the exporter's records when it refuses."""

    name = "refusal-keeps-nothing"
    number = 21
    promise = "a p2p_map that fails has lent nothing: it takes back what it had begun"
    source = "20190129174728.6430-6-jglisse@redhat.com"
    stated = False

    def __init__(self) -> None:
        super().__init__()
        self.lent: frozenset[tuple[str, int]] = frozenset()
        self.held: frozenset[tuple[str, int]] = frozenset()

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, Lent):
            self.lent |= pages_of(event.importer, event.start, event.start + len(event.addresses) * PAGE_SIZE)
        elif isinstance(event, LendingEnded):
            self.lent -= pages_of(event.importer, event.start, event.end)
            self.held -= pages_of(event.importer, event.start, event.end)
        elif isinstance(event, P2PMapped):
            self.held |= pages_of(event.importer, event.start, event.end)
        elif isinstance(event, P2PMapFailed):
            self.exercised = True
            left = (self.lent - self.held) & pages_of(event.importer, event.start, event.end)
            if left:
                what = f"{event.exporter} says -{event.errno} and keeps {number_of(len(left), 'page')} lent to {event.importer}"
                yield self.broken(entry, event.exporter, what)


class ReturnsZero(Rule):
    """What exporters return from p2p_map."""

    name = "returns-zero"
    number = 50
    promise = "p2p_map returns 0 or a negative errno; the number of pages is what the other callback, of 4/5, returns"
    source = "20190129174728.6430-5-jglisse@redhat.com and -6-"
    stated = False
    years = "2019"

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        self.exercised |= isinstance(event, P2PMapped | P2PMapFailed)
        if isinstance(event, P2PMapFailed) and event.status > 0:
            what = f"{event.exporter} returns {event.status}, which its caller reads as failure: success is 0"
            yield self.broken(entry, event.exporter, what)


class GoneMeansNobody(GrantRule):
    """The grants that are good when a device stops answering."""

    name = "gone-means-nobody"
    number = 19
    promise = "before a device goes, every mapping of it is taken back: none is left when it no longer answers"
    source = "20190129224016.GD4713@mellanox.com (zap the vmas, delay the unplug until all is unmapped)"
    stated = True

    def see(self, entry: Entry) -> Iterator[Finding]:
        self.track(entry.event)
        event = entry.event
        if isinstance(event, DeviceGone) and event.why == SURPRISE:
            self.excuse(f"{event.exporter} was pulled out: no importer could be notified")
        elif isinstance(event, DeviceGone):
            self.exercised = True
            left = self.live(exporter=event.exporter)
            if left:
                whose = ", ".join(sorted({importer for importer, _ in left}))
                what = f"{event.exporter} goes ({event.why}) while {whose} has {number_of(len(left), 'page')} of it"
                yield self.broken(entry, event.exporter, what)


class ContentKept(AskingRule):
    """The objects whose bytes were lost, and those that were already lost when ``p2p_map`` was called."""

    name = "content-kept"
    number = 15
    promise = "what is mapped again shows the bytes that were there, or the map fails"
    source = (
        "a question that the thread leaves open (20190130154328.GA3177@redhat.com: after a hang all data is undefined)"
    )
    stated = False

    def __init__(self) -> None:
        super().__init__()
        self.lost: frozenset[tuple[str, str]] = frozenset()
        self.before: dict[str, frozenset[tuple[str, str]]] = {}  #: actor -> what was lost when it asked

    def see(self, entry: Entry) -> Iterator[Finding]:
        call, event = self.answered(entry), entry.event
        if isinstance(event, ContentLost):
            self.exercised = True
            self.lost |= {(event.exporter, event.object)}
        elif isinstance(event, MapAsked):
            self.before[entry.actor] = self.lost
        elif isinstance(event, P2PMapFailed):
            self.before.pop(entry.actor, None)
        elif isinstance(event, P2PMapped) and call is not None:
            thing = object_of(event.frames[0]) if event.frames else ""
            if (event.exporter, thing) in self.before.pop(entry.actor, self.lost):
                what = (
                    f"{event.exporter} lends {thing} again, and its bytes are gone: predictability is kept to the "
                    "letter and the data is not; a refusal would be excused: a hang is on the thread's list"
                )
                yield self.broken(entry, event.exporter, what)
