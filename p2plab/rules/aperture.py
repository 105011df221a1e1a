"""What an exporter's aperture must keep: one frame a slot, one slot a frame."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.events import Entry
from p2plab.core.monitor import Finding
from p2plab.p2p.events import SlotFreed, SlotTaken
from p2plab.rules.base import Rule


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
