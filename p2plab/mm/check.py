"""The invariants of an address space at rest; tests call this after every operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.mm.flags import PAGE_SIZE, PMD_SIZE, VM_PFNMAP, VM_SHARED, VM_WRITE
from p2plab.mm.folio import Folio, Pte, SwapPte
from p2plab.mm.pagetable import PteTable
from p2plab.mm.rmap import entries_of, mappings_of

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace
    from p2plab.mm.vma import Vma


def check_space(mm: AddressSpace) -> None:
    """VMAs sorted and disjoint, entries inside VMAs, the reverse map exact, nothing half done."""
    _check_vmas(mm)
    _check_tables(mm)
    mm.page_table._check()
    mm.notifier_subscriptions._check()
    assert mm.mmap_lock_state() == "none", f"mmap_lock is still held for {mm.mmap_lock_state()}"
    assert not mm.write_locked, "a VMA is still write-locked"


def _check_vmas(mm: AddressSpace) -> None:
    end = 0
    for vma in mm.vmas:
        assert end <= vma.vm_start < vma.vm_end, f"{vma} is empty, or overlaps the VMA below"
        assert vma.vm_start % PAGE_SIZE == 0 == vma.vm_end % PAGE_SIZE, f"{vma} is not page aligned"
        assert not vma.freed, f"{vma} was freed and is still in the tree"
        assert vma.vm_mm is mm
        assert not vma.lock_readers, f"{vma} is still locked by {', '.join(vma.lock_readers)}"
        assert (vma.anon_vma is None) == (not vma.anon_vma_chain), (
            f"{vma} has an anon_vma and no chain, or a chain alone"
        )
        for anon_vma in vma.anon_vma_chain:
            assert anon_vma.vmas.count(vma) == 1, f"{vma} is not once in its anon_vma"
        if vma.vm_file is not None:
            assert vma.vm_file.f_mapping.i_mmap.count(vma) == 1, f"{vma} is not once in its file's i_mmap"
        end = vma.vm_end


def _check_tables(mm: AddressSpace) -> None:
    seen: dict[Folio, None] = {}
    for number, content in mm.page_table.pmds.items():
        base = number * PMD_SIZE
        if isinstance(content, PteTable):
            for address, entry in content.entries.items():
                vma = mm.vma_lookup(address)
                assert vma is not None, f"an entry at {address:#x}, where no VMA is"
                _check_entry(vma, address, entry, seen)
        else:
            vma = mm.vma_lookup(base)
            assert vma is not None, f"a huge page at {base:#x}, where no VMA is"
            assert vma.vm_end >= base + PMD_SIZE, f"a huge page at {base:#x} sticks out of {vma}"
            if content.folio is not None:
                seen[content.folio] = None
    for vma in mm.vmas:
        if vma.vm_file is not None:
            seen |= dict.fromkeys(vma.vm_file.f_mapping.pages.values())
    for folio in seen:
        if not folio.ksm:
            found = sum(entries_of(folio, vma, first) for vma, first in mappings_of(folio))
            assert found == folio.mapcount, f"the reverse map finds {found} of a page's {folio.mapcount} mappings"


def _check_entry(vma: Vma, address: int, entry: Pte | SwapPte, seen: dict[Folio, None]) -> None:
    if isinstance(entry, SwapPte):
        assert entry.slot.count > 0, "an entry points at a free swap slot"
        return
    assert not entry.write or vma.vm_flags & VM_WRITE, f"{vma} is not writable, its entry at {address:#x} is"
    folio = entry.folio
    if folio is None:
        assert not entry.exclusive, "a bare page frame is nobody's own"
        assert not (entry.zero and entry.write), "the page of zeroes can be written"
        return
    seen[folio] = None
    assert not vma.vm_flags & VM_PFNMAP or folio.anon, f"a file's page in device memory {vma}"
    assert not vma.vm_flags & VM_SHARED or not folio.anon, f"an anonymous page in shared memory {vma}"
    if entry.exclusive:
        assert folio.anon, "a file's page is nobody's own"
        assert folio.order or folio.mapcount == 1, "an exclusive page with several mappings"
