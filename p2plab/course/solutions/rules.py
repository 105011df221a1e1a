"""Answers to own-rule: a reference, one of another shape, and the well-known wrong ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from p2plab.course.kit import PAGE_SIZE, Rule


class EndsWithTheInvalidation(Rule):
    """A grant is good until the kernel says that an invalidation over it has ended."""

    promise = "no beat lands where its importer's grant has gone"

    def __init__(self) -> None:
        super().__init__()
        self.granted: dict[tuple[str, int], tuple[str, int]] = {}

    def see(self, entry: Any) -> Iterator[Any]:
        """Mapped, over, landed."""
        event = entry.event
        if event.kind == "P2PMapped":
            for number, address in enumerate(event.addresses):
                self.granted[event.importer, event.start + number * PAGE_SIZE] = event.mm, address
        elif event.kind == "NotifierEnd":
            for key, (mm, _) in list(self.granted.items()):
                if mm == event.mm and event.start <= key[1] < event.end:
                    del self.granted[key]
        elif event.kind == "BeatLanded":
            _, address = self.granted.get((event.importer, event.page), ("", 0))
            if address != event.address:
                yield self.broken(entry, event.importer, f"a beat landed at {event.address:#x} without a grant")


class KeepsTriples(Rule):
    """What may be used now, as a set of triples; everything else is stale."""

    promise = "a beat is one of those that may be"

    def __init__(self) -> None:
        super().__init__()
        self.may: frozenset[tuple[str, str, int, int]] = frozenset()

    def see(self, entry: Any) -> Iterator[Any]:
        """Without a yield."""
        event = entry.event
        if event.kind == "P2PMapped":
            pages = range(event.start, event.end, PAGE_SIZE)
            old = frozenset(one for one in self.may if one[1] == event.importer and one[2] in pages)
            new = {(event.mm, event.importer, page, at) for page, at in zip(pages, event.addresses, strict=True)}
            self.may = (self.may - old) | new
        if event.kind == "NotifierEnd":
            self.may = frozenset(one for one in self.may if one[0] != event.mm or not event.start <= one[2] < event.end)
        stale = event.kind == "BeatLanded" and not any(
            one[1:] == (event.importer, event.page, event.address) for one in self.may
        )
        return iter([self.broken(entry, event.importer, "not one of those that may be")] if stale else [])


class EndsAtTheStart(EndsWithTheInvalidation):
    """Takes the grant away as soon as an invalidation begins."""

    def see(self, entry: Any) -> Iterator[Any]:
        """While the callback drains, a beat may land."""
        event = entry.event
        if event.kind == "NotifierStart":
            for key, (mm, _) in list(self.granted.items()):
                if mm == event.mm and event.start <= key[1] < event.end:
                    del self.granted[key]
        else:
            yield from super().see(entry)


class TrustsTheDriver(EndsWithTheInvalidation):
    """A grant ends when the driver gives it back; a driver that never does is never caught."""

    def see(self, entry: Any) -> Iterator[Any]:
        """The one who breaks the promise decides when it counts."""
        event = entry.event
        if event.kind == "P2PUnmapped":
            for page in range(event.start, event.end, PAGE_SIZE):
                self.granted.pop((event.importer, page), None)
        elif event.kind != "NotifierEnd":
            yield from super().see(entry)


class LooksAtPages(EndsWithTheInvalidation):
    """Whether the page is granted, and not where."""

    def see(self, entry: Any) -> Iterator[Any]:
        """An old beat lands at the old address, and the page has a new one."""
        event = entry.event
        if event.kind != "BeatLanded":
            yield from super().see(entry)
        elif (event.importer, event.page) not in self.granted:
            yield self.broken(entry, event.importer, "a beat landed on a page without a grant")


class NeverForgets(EndsWithTheInvalidation):
    """What was taken back once stays forbidden."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: set[tuple[str, int]] = set()

    def see(self, entry: Any) -> Iterator[Any]:
        """Also when it was lent anew."""
        event = entry.event
        if event.kind == "NotifierEnd":
            self.gone |= {
                (importer, address)
                for (importer, page), (mm, address) in self.granted.items()
                if mm == event.mm and event.start <= page < event.end
            }
        elif event.kind != "BeatLanded":
            yield from super().see(entry)
        elif (event.importer, event.address) in self.gone:
            yield self.broken(entry, event.importer, f"{event.address:#x} was taken back")
