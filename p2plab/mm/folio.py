"""Pages and the page-table entries that point at them.

A :class:`Folio` is one page of memory, or 512 of them (a transparent huge page). Entries are immutable values. The
kernel keeps ``PageAnonExclusive`` in the page; here it lives in the one entry that maps an exclusive page, which says the
same, because an exclusive page has only one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2plab.core.tracked import Tracked

if TYPE_CHECKING:
    from p2plab.mm.file import Mapping
    from p2plab.mm.rmap import AnonVma

#: ``pfn`` of an entry that maps no special page frame
NO_PFN = -1
#: ``pfn`` of the shared page of zeroes
ZERO_PFN = 0


#: ``pkey`` of an entry that allows no access at all (PROT_NONE)
NO_ACCESS = -1


class SwapSlot(Tracked):
    """One page's place in the swap area: how many entries point at it, and its page if that is still in memory."""

    def __init__(self) -> None:
        self.count = 0
        self.folio: Folio | None = None
        self.filled = 0  #: 1 if something was written to the page


class Folio(Tracked):
    """A page (``order`` 0) or a huge page (``order`` 9). ``index`` is its page offset in the file or anonymous VMA."""

    def __init__(
        self, index: int, mapping: Mapping | None = None, anon_vma: AnonVma | None = None, order: int = 0
    ) -> None:
        self.index = index
        self.mapping = mapping
        self.anon_vma = anon_vma
        self.order = order
        self.mapcount = 0  #: entries that map it, or a page of it
        self.refs = 0  #: references by get_user_pages
        self.pins = 0  #: references by pin_user_pages
        self.node = 0  #: the NUMA node it is on
        self.dirty = False
        self.filled = 0  #: one bit for each page that was written to: the others are all zeroes
        self.swapbacked = True  #: False after MADV_FREE: may be dropped instead of swapped
        self.swap: SwapSlot | None = None
        self.ksm = False

    @property
    def anon(self) -> bool:
        """Whether it belongs to anonymous memory and not to a file."""
        return self.mapping is None

    @property
    def nr_pages(self) -> int:
        """1 or 512."""
        return 1 << self.order

    @property
    def refcount(self) -> int:
        """``folio_ref_count``: mappings, page or swap cache, and references taken."""
        cached = int(self.mapping is not None and self.mapping.pages.get(self.index) is self) + int(
            self.swap is not None
        )
        return self.mapcount + cached + self.refs + self.pins


@dataclass(frozen=True, slots=True)
class Pte:
    """A present entry. Without a folio it maps a bare page frame (``pfn``): a device's, or the page of zeroes."""

    folio: Folio | None = None
    page: int = 0  #: which page of the folio
    pfn: int = NO_PFN
    write: bool = False
    dirty: bool = False
    exclusive: bool = False
    soft_dirty: bool = True
    pkey: int = 0  #: its protection key, or NO_ACCESS
    uffd_wp: bool = False  #: write-protected by userfaultfd

    @property
    def zero(self) -> bool:
        """Whether this maps the shared page of zeroes."""
        return self.pfn == ZERO_PFN


@dataclass(frozen=True, slots=True)
class SwapPte:
    """An entry whose page is in the swap area."""

    slot: SwapSlot
    exclusive: bool = False
    poisoned: bool = False  #: no swapped page but a mark: the memory was broken, an access gets SIGBUS
    guard: bool = False  #: no swapped page but a mark of MADV_GUARD_INSTALL: an access gets SIGSEGV


@dataclass(frozen=True, slots=True)
class HugePmd:
    """A present 2 MiB entry; without a folio it maps the huge page of zeroes."""

    folio: Folio | None
    write: bool = False
    dirty: bool = False
    exclusive: bool = False
    soft_dirty: bool = True
    pkey: int = 0


def free_swap_entry(entry: SwapPte) -> None:
    """``swap_free``: one entry fewer points at the slot; the last one frees it, and its page in the swap cache."""
    slot = entry.slot
    slot.count -= 1
    if slot.count == 0 and slot.folio is not None and slot.folio.mapcount == 0:
        slot.folio.swap = None
        slot.folio = None


def folio_free_swap(folio: Folio) -> bool:
    """Free the page's slot if no entry points at it any more."""
    if folio.swap is None or folio.swap.count:
        return False
    folio.swap.folio = None
    folio.swap = None
    folio.dirty = True
    return True
