"""What an exporter promises about mapping again: a range that could be mapped once can be mapped again."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.events import Entry
from p2plab.core.monitor import Finding
from p2plab.mm.log import VmaUnmapped
from p2plab.p2p.events import Disaster, ObjectDestroyed, P2PMapFailed, P2PMapped, PermissionChanged
from p2plab.rules.base import Rule, pages_of

#: How each excuse relates to the promise: contradicting literal readings are shown, not hidden.
WHY = {
    "EACCES": "permission was withdrawn; read literally the promise forbids this refusal, and the promise to ask each "
    "time demands it: the two contradict (<20190130000805.GS3176@redhat.com> lets the owner win)",
    "ENXIO": "the object was destroyed while its vma lived on",
    "EIO": "its content was lost in a disaster",
    "EPERM": "the vma is read-only now",
}


class Predictability(Rule):
    """Per importer: the pages that were mapped once and whose vma is still there.

    A later refusal is excused when part of the vma is gone, permission was withdrawn, or a listed disaster happened:
    unplug, PCI error, GPU hang, suspend, reset (<20190130043020.GC30598@mellanox.com>, <20190130154328.GA3177@redhat.com>).
    """

    name = "predictability"
    number = 15
    promise = "once a range could be mapped for a device, mapping it again succeeds for as long as the vma is valid"
    source = "20190129174728.6430-4-jglisse@redhat.com"
    stated = True
    years = "2019"

    def __init__(self) -> None:
        super().__init__()
        self.once: frozenset[tuple[str, int]] = frozenset()
        self.excuses: dict[tuple[str, str], str] = {}  #: (exporter, errno) -> why that answer is allowed now

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, P2PMapped):
            pages = pages_of(event.importer, event.start, event.end)
            self.exercised |= pages <= self.once
            self.once |= pages
        elif isinstance(event, VmaUnmapped):
            self.once = frozenset(key for key in self.once if not event.start <= key[1] < event.end)
        elif isinstance(event, PermissionChanged):
            self._allow(event.exporter, "EACCES", not event.allowed)
        elif isinstance(event, ObjectDestroyed):
            self._allow(event.exporter, "ENXIO", True)
        elif isinstance(event, Disaster):
            self.excuses[event.exporter, "ENODEV"] = f"{event.why}: on the thread's list of what is really bad"
            self._allow(event.exporter, "EIO", True)
        elif isinstance(event, P2PMapFailed):
            yield from self._refused(entry, event)

    def _allow(self, exporter: str, errno: str, allowed: bool) -> None:
        if allowed:
            self.excuses[exporter, errno] = WHY[errno]
        else:
            self.excuses.pop((exporter, errno), None)

    def _refused(self, entry: Entry, event: P2PMapFailed) -> Iterator[Finding]:
        pages = pages_of(event.importer, event.start, event.end)
        if not pages or not pages <= self.once:
            return
        self.exercised = True
        why = self.excuses.get((event.exporter, event.errno), WHY["EPERM"] if event.errno == "EPERM" else "")
        what = f"{event.exporter} answered -{event.errno} to {event.importer}, which had mapped the range before"
        if why:
            self.excuse(f"{what}; excused: {why}")
        else:
            yield self.broken(entry, event.exporter, what)
