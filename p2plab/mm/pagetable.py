"""Page tables: which tables exist (that alone decides some events), and the entries in them.

Three of the levels matter: a table of PTEs covers 2 MiB, a table of PMDs 1 GiB; a PMD may also be a huge page itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.tracked import Tracked
from p2plab.mm.flags import PAGE_SHIFT, PAGE_SIZE, PMD_SHIFT, PMD_SIZE, PTRS_PER_PTE, PUD_SHIFT, PUD_SIZE
from p2plab.mm.folio import HugePmd, Pte, SwapPte

Entry = Pte | SwapPte


class PteTable(Tracked):
    """512 entries, those that are not empty, by address in bytes."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}


class PageTable(Tracked):
    """The page tables of one address space."""

    def __init__(self) -> None:
        self.pmds: dict[int, PteTable | HugePmd] = {}  #: by address >> 21
        self.puds: dict[int, bool] = {}  #: the tables of PMDs that exist, by address >> 30

    def pmd(self, address: int) -> PteTable | HugePmd | None:
        """What the PMD of an address holds: a table, a huge page, or nothing."""
        return self.pmds.get(address >> PMD_SHIFT)

    def pud_present(self, address: int) -> bool:
        """Whether the 1 GiB around an address has a table of PMDs."""
        return (address >> PUD_SHIFT) in self.puds

    def get(self, address: int) -> Entry | None:
        """The entry of a page; None if there is none, or a huge page is there."""
        table = self.pmds.get(address >> PMD_SHIFT)
        return table.entries.get(address) if isinstance(table, PteTable) else None

    def alloc_pud(self, address: int) -> None:
        """Make the table of PMDs of an address: every fault does, also one that ends in a signal (mm/memory.c)."""
        if (address >> PUD_SHIFT) not in self.puds:
            self.puds[address >> PUD_SHIFT] = True

    def alloc(self, address: int) -> PteTable:
        """The table of PTEs of an address, made if need be (``pte_alloc``)."""
        table = self.pmds.get(address >> PMD_SHIFT)
        if isinstance(table, PteTable):
            return table
        assert table is None, "a huge page is in the way"
        self.alloc_pud(address)
        table = self.pmds[address >> PMD_SHIFT] = PteTable()
        return table

    def set(self, address: int, entry: Entry) -> None:
        """Put an entry in place; counting mappings is the caller's."""
        self.alloc(address).entries[address] = entry

    def set_huge(self, address: int, entry: HugePmd) -> None:
        """Put a huge page in place of the table of PTEs."""
        self.alloc_pud(address)
        self.pmds[address >> PMD_SHIFT] = entry

    def clear(self, address: int) -> Entry | None:
        """Take an entry out."""
        table = self.pmds.get(address >> PMD_SHIFT)
        return table.entries.pop(address, None) if isinstance(table, PteTable) else None

    def pmds_in(self, start: int, end: int) -> Iterator[tuple[int, PteTable | HugePmd]]:
        """The PMDs that are not empty and meet [start, end): (address of the 2 MiB, content), in order."""
        first, last = start >> PMD_SHIFT, (end - 1) >> PMD_SHIFT
        span = range(first, last + 1) if last - first < len(self.pmds) else sorted(self.pmds)
        for number in span:
            content = self.pmds.get(number)
            if content is not None and first <= number <= last:
                yield number << PMD_SHIFT, content

    def entries_in(self, start: int, end: int) -> Iterator[tuple[int, Entry]]:
        """The entries of single pages in [start, end), in order; the caller may change them as it goes."""
        for _base, table in self.pmds_in(start, end):
            if not isinstance(table, PteTable):
                continue
            low, high = max(start, _base), min(end, _base + PMD_SIZE)
            if (high - low) >> PAGE_SHIFT < len(table.entries):
                addresses: list[int] = [a for a in range(low, high, PAGE_SIZE) if a in table.entries]
            else:
                addresses = sorted(a for a in table.entries if low <= a < high)
            for address in addresses:
                entry = table.entries.get(address)
                if entry is not None:
                    yield address, entry

    def free_range(self, start: int, end: int, floor: int, ceiling: int) -> None:
        """``free_pgd_range``: free the tables of [start, end) that no neighbour beyond floor and ceiling shares.

        ``ceiling`` 0 means the end of the address space, as in the kernel.
        """
        first = start & ~(PMD_SIZE - 1)
        if first < floor:
            first += PMD_SIZE
        top = ceiling & ~(PMD_SIZE - 1)
        if ceiling and not top:
            return
        last = end
        if top and last > top:
            last -= PMD_SIZE
        if first >= last:
            return
        for base, _ in list(self.pmds_in(first, last)):
            del self.pmds[base >> PMD_SHIFT]
        for number in [n for n in self.puds if n in range(first >> PUD_SHIFT, ((last - 1) >> PUD_SHIFT) + 1)]:
            low, high = number << PUD_SHIFT, (number << PUD_SHIFT) + PUD_SIZE
            if low >= floor and (not ceiling or high <= ceiling & ~(PUD_SIZE - 1)):
                del self.puds[number]

    def _check(self) -> None:
        for number, content in self.pmds.items():
            assert number << PMD_SHIFT >> PUD_SHIFT in self.puds, "a table of PTEs below no table of PMDs"
            if isinstance(content, PteTable):
                assert len(content.entries) <= PTRS_PER_PTE
                assert all(address >> PMD_SHIFT == number for address in content.entries), "an entry in the wrong table"
