"""What an exporter promises about asking again: a range that could be mapped once can be mapped again."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.events import Entry
from p2plab.mm.log import VmaUnmapped
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import P2PMapFailed, P2PMapped
from p2plab.rules.base import Finding, Rule


class Predictability(Rule):
    """Per importer: the pages that were mapped once and whose vma is still there.

    A later refusal is allowed when part of the vma is gone. The disasters that the thread also allows (unplug, PCI
    error, GPU hang, suspend, a killed thread) do not happen in this model yet.
    """

    name = "predictability"
    number = 15
    promise = "once a range could be mapped for a device, mapping it again succeeds for as long as the vma is valid"
    source = "20190129174728.6430-4-jglisse@redhat.com"
    stated = True
    years = "2019"

    def __init__(self) -> None:
        super().__init__()
        self.once: dict[str, set[int]] = {}

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, P2PMapped):
            pages = set(range(event.start, event.end, PAGE_SIZE))
            self.exercised |= pages <= self.once.get(event.importer, set())
            self.once.setdefault(event.importer, set()).update(pages)
        elif isinstance(event, VmaUnmapped):
            for pages in self.once.values():
                pages.difference_update([page for page in pages if event.start <= page < event.end])
        elif isinstance(event, P2PMapFailed):
            pages = set(range(event.start, event.end, PAGE_SIZE))
            if pages and pages <= self.once.get(event.importer, set()):
                what = (
                    f"{event.exporter} answered -{event.errno} to {event.importer}, which had mapped the range before"
                )
                yield self.broken(entry, event.exporter, what)
