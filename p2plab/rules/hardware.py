"""What devices and the IOMMU must keep on the bus. Watched in scenes about it."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.events import Entry
from p2plab.core.monitor import Finding
from p2plab.core.number_of import number_of
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import BeatLanded, StaleTranslation, TransferBegun, TransferEnded
from p2plab.rules.base import Rule


class AllOnesAreNoData(Rule):
    """Per importer: whether a beat of the current transfer was not answered."""

    name = "all-ones-are-no-data"
    promise = "a device whose access was not answered does not report its transfer as done"
    source = "include/linux/pci.h (PCI_POSSIBLE_ERROR); Documentation/PCI/pci-error-recovery.rst"
    stated = False
    kind = "hardware"

    def __init__(self) -> None:
        super().__init__()
        self.unanswered: dict[str, int] = {}

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, TransferBegun):
            self.unanswered.pop(event.importer, None)
        elif isinstance(event, BeatLanded) and not event.frame and not event.decoder:
            self.exercised = True
            self.unanswered[event.importer] = self.unanswered.get(event.importer, 0) + 1
        elif isinstance(event, TransferEnded):
            lost = self.unanswered.pop(event.importer, 0)
            if lost and event.why == "done":
                what = f"{event.importer} reports a transfer as done although {lost} of its beats were not answered"
                yield self.broken(entry, event.importer, what)


class FlagAfterData(Rule):
    """Per importer: the transfer that it writes, and the pages of it that have landed. Its last page is the flag."""

    name = "flag-after-data"
    promise = "whoever sees the flag sees the data before it: a transfer's last write lands last"
    source = "PCI Express Base Specification, 2.4.1 (Relaxed Ordering); include/uapi/linux/pci_regs.h (PCI_EXP_DEVCTL_RELAX_EN)"
    stated = True
    kind = "hardware"

    def __init__(self) -> None:
        super().__init__()
        self.under_way: dict[str, tuple[int, int, frozenset[int]]] = {}  #: importer -> start, end, pages not landed

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        if isinstance(event, TransferBegun) and event.write:
            pages = frozenset(range(event.start, event.end, PAGE_SIZE))
            self.under_way[event.importer] = (event.start, event.end, pages)
        elif isinstance(event, BeatLanded) and event.write and event.importer in self.under_way:
            start, end, left = self.under_way[event.importer]
            left -= {event.page}
            self.under_way[event.importer] = (start, end, left)
            if event.page == end - PAGE_SIZE and end - start > PAGE_SIZE:
                self.exercised = True
                if left:
                    missing = number_of(len(left), "page of its data is not", "pages of its data are not")
                    what = f"the flag of {event.importer} is there, and {missing}"
                    yield self.broken(entry, event.importer, what)


class UnmappedIsOut(Rule):
    """Accesses by a translation that the IOMMU's table no longer has. ``cache`` is the one that still has it."""

    cache = ""
    kind = "hardware"
    stated = False

    def see(self, entry: Entry) -> Iterator[Finding]:
        event = entry.event
        self.exercised |= isinstance(event, BeatLanded)
        if isinstance(event, StaleTranslation) and event.cache == self.cache:
            yield self.broken(entry, "iommu", str(event))


class AtcDropped(UnmappedIsOut):
    """In the devices' caches."""

    name = "atc-dropped"
    promise = "an IOVA that was unmapped is out of the device's cache before it is allocated again"
    source = "drivers/iommu/intel/cache.c (cache_tag_flush_range: the device TLB); PCI Express Base Specification, 10.3 (ATS)"
    cache = "ATC"


class IotlbFlushed(UnmappedIsOut):
    """In the IOMMU's."""

    name = "iotlb-flushed"
    promise = "no device reaches what was unmapped, even before the flush queue is flushed"
    source = "drivers/iommu/dma-iommu.c (queue_iova, fq_flush_timeout); Documentation: iommu.strict=1"
    cache = "IOTLB"
