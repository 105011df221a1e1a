"""The invariants of an address space at rest; tests call this after every operation."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from p2plab.mm.flags import PAGE_SIZE, PMD_SIZE, VM_PFNMAP, VM_SHARED
from p2plab.mm.folio import Folio, HugePmd, Pte, SwapPte
from p2plab.mm.pagetable import PteTable
from p2plab.mm.rmap import mappings_of

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
    seen: Counter[Folio] = Counter()
    for number, content in mm.page_table.pmds.items():
        base = number * PMD_SIZE
        if isinstance(content, PteTable):
            for address, entry in content.entries.items():
                vma = mm.vma_lookup(address)
                assert vma is not None, f"an entry at {address:#x}, where no VMA is"
                _check_entry(vma, address, entry, seen)
        else:
            vma = mm.vma_lookup(base)
            assert vma is not None and vma.vm_end >= base + PMD_SIZE, f"a huge page at {base:#x} sticks out of its VMA"
            _check_huge(vma, base, content, seen)
    for folio, count in seen.items():
        assert count <= folio.mapcount, f"a page is mapped {count} times here and counts {folio.mapcount} in all"


def _check_entry(vma: Vma, address: int, entry: Pte | SwapPte, seen: Counter[Folio]) -> None:
    if isinstance(entry, SwapPte):
        assert entry.slot.count > 0, "an entry points at a free swap slot"
        return
    if entry.write:
        assert "w" in str(vma).split(") ")[1], f"{vma} is not writable, its entry at {address:#x} is"
    folio = entry.folio
    if folio is None:
        assert not (entry.exclusive or (entry.zero and entry.write)), "the page of zeroes is nobody's own"
        return
    assert not vma.vm_flags & VM_PFNMAP, f"a page with a folio in device memory {vma}"
    assert not entry.exclusive or (folio.anon and folio.mapcount >= 1), "only an anonymous page can be exclusive"
    assert not (entry.exclusive and folio.order == 0 and folio.mapcount != 1), "an exclusive page with several mappings"
    if vma.vm_flags & VM_SHARED:
        assert not folio.anon, f"an anonymous page in shared memory {vma}"
    seen[folio] += 1
    if not folio.ksm:
        start = address - entry.page * PAGE_SIZE
        assert (vma, start) in mappings_of(folio), f"the reverse map does not find the page at {address:#x}"


def _check_huge(vma: Vma, base: int, huge: HugePmd, seen: Counter[Folio]) -> None:
    if huge.folio is not None:
        seen[huge.folio] += 1
        assert (vma, base) in mappings_of(huge.folio), f"the reverse map does not find the huge page at {base:#x}"
