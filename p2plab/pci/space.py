"""Address space as the kernel keeps it: ranges inside ranges, siblings sorted and apart (kernel/resource.c)."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from p2plab.pci.resource import (
    IO_WINDOW,
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_MEM_64,
    IORESOURCE_PREFETCH,
    IORESOURCE_UNSET,
    IOV_FIRST,
    IOV_LAST,
    Resource,
)

TYPE_BITS = IORESOURCE_IO | IORESOURCE_MEM


@dataclass(eq=False)
class Range:
    """One ``struct resource``: ``owner`` is a bdf or a host bridge's name; ``flags`` 0 means "given up"."""

    owner: str
    index: int
    start: int
    end: int
    flags: int
    parent: Range | None = None
    children: list[Range] = field(default_factory=list)
    unit: int = 0  #: of a VF BAR: one virtual function's share

    @classmethod
    def of(cls, owner: str, resource: Resource) -> Range:
        """A copy to work on."""
        return cls(owner, resource.index, resource.start, resource.end, resource.flags)

    @property
    def iov(self) -> bool:
        """A VF BAR."""
        return IOV_FIRST <= self.index <= IOV_LAST

    @property
    def size(self) -> int:
        """Bytes; 0 for a window that so far is only wished for."""
        return self.end - self.start + 1

    def frozen(self) -> Resource:
        """The immutable value."""
        return Resource(self.index, self.start, self.end, self.flags)

    @property
    def name(self) -> str:
        """As the kernel's messages name it (``pci_resource_name``)."""
        return "bridge window" if self.index >= IO_WINDOW else self.frozen().name

    def __str__(self) -> str:
        return f"{self.owner}: {self.name} {self.frozen()}"

    def contains(self, other: Range) -> bool:
        """``resource_contains``: same space, and all of it inside."""
        same = not (self.flags ^ other.flags) & TYPE_BITS and not (self.flags | other.flags) & IORESOURCE_UNSET
        return same and self.start <= other.start and other.end <= self.end

    def request(self, new: Range) -> Range | None:
        """Put ``new`` in; returns the sibling that is in the way, or ``None`` (``request_resource_conflict``)."""
        if new.end < new.start or new.start < self.start or new.end > self.end:
            return self
        at = bisect_left(self.children, new.start, key=_start)
        for near in self.children[max(at - 1, 0) : at + 1]:
            if near.start <= new.end and new.start <= near.end:
                return near
        insort(self.children, new, key=_start)
        new.parent = self
        return None

    def release(self) -> None:
        """Take it out of its parent."""
        if self.parent is not None:
            self.parent.children.remove(self)
            self.parent = None

    def first_fit(self, low: int, high: int, size: int, place: Callable[[int], int]) -> int | None:
        """The lowest free start for ``size`` bytes within [low, high]; ``place`` aligns (``__find_resource_space``)."""
        for free, last in self._gaps():
            start, end = max(free, low), min(last, high)
            if start <= end:
                wanted = place(start)
                if wanted + size - 1 <= end:
                    return wanted
        return None

    def _gaps(self) -> Iterator[tuple[int, int]]:
        free = self.start
        for child in self.children:
            if free < child.start:
                yield free, child.start - 1
            free = child.end + 1
        if free <= self.end:
            yield free, self.end


def fits_kind(window: Range, wanted: Range, mask: int) -> bool:
    """Whether a window's kind may hold a BAR's, comparing the bits of ``mask`` (``pci_bus_alloc_from_region``)."""
    if (window.flags ^ wanted.flags) & (mask | TYPE_BITS):
        return False
    return not (window.flags & IORESOURCE_PREFETCH and not wanted.flags & IORESOURCE_PREFETCH)


def kinds_to_try(wanted: Range) -> Iterator[int]:
    """Which bits must match, from the strictest on (``__pci_assign_resource``)."""
    both = IORESOURCE_PREFETCH | IORESOURCE_MEM_64
    yield both
    if wanted.flags & both == both:
        yield IORESOURCE_PREFETCH
    if wanted.flags & both:
        yield 0


def _start(found: Range) -> int:
    return found.start
