"""From a page back to the entries that map it: ``anon_vma`` for anonymous memory, ``i_mmap`` for files (mm/rmap.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.tracked import Tracked
from p2plab.mm.flags import PAGE_SHIFT, PAGE_SIZE, VM_ACCESS_FLAGS, VM_SOFTDIRTY
from p2plab.mm.folio import Folio, HugePmd, Pte
from p2plab.mm.locks import RmapHeld, RmapLock

if TYPE_CHECKING:
    from p2plab.mm.vma import Vma


class AnonVma(Tracked):
    """The VMAs, in this and in forked address spaces, that may map a family of anonymous pages."""

    def __init__(self, parent: AnonVma | None = None) -> None:
        self.parent = parent
        #: one lock for the whole family: the root's
        self.rwsem: RmapLock = RmapLock("anon_vma.rwsem") if parent is None else parent.rwsem
        self.vmas: list[Vma] = []
        self.num_children = 0 if parent is not None else 1  #: a root counts itself
        self.num_active_vmas = 0


def _chain_link(vma: Vma, anon_vma: AnonVma) -> None:
    vma.anon_vma_chain.append(anon_vma)
    anon_vma.vmas.append(vma)


def anon_vma_prepare(vma: Vma, prev: Vma | None, following: Vma | None) -> None:
    """Before the first anonymous page: take a neighbour's ``anon_vma`` if the two could merge, else a new one."""
    if vma.anon_vma is not None:
        return
    anon_vma = _reusable(following, vma, following) or _reusable(prev, prev, vma)
    if anon_vma is None:
        anon_vma = AnonVma()
    vma.anon_vma = anon_vma
    _chain_link(vma, anon_vma)
    anon_vma.num_active_vmas += 1


def _reusable(old: Vma | None, first: Vma | None, second: Vma | None) -> AnonVma | None:
    """``reusable_anon_vma``: neighbours that differ only in what mprotect may change."""
    if old is None or first is None or second is None or old.anon_vma is None or len(old.anon_vma_chain) != 1:
        return None
    compatible = (
        first.vm_end == second.vm_start
        and first.vm_policy == second.vm_policy
        and first.vm_file is second.vm_file
        and not (first.vm_flags ^ second.vm_flags) & ~(VM_ACCESS_FLAGS | VM_SOFTDIRTY)
        and second.vm_pgoff == first.vm_pgoff + first.pages
    )
    return old.anon_vma if compatible else None


def anon_vma_clone(dst: Vma, src: Vma) -> None:
    """``dst`` may map all that ``src`` may map (mm/rmap.c): for a split, a move, a merge or a fork."""
    for anon_vma in src.anon_vma_chain:
        _chain_link(dst, anon_vma)
        unused = anon_vma.num_children < 2 and anon_vma.num_active_vmas == 0
        if dst.anon_vma is None and src.anon_vma is not None and unused:
            dst.anon_vma = anon_vma
    if dst.anon_vma is not None:
        dst.anon_vma.num_active_vmas += 1


def anon_vma_fork(vma: Vma, parent: Vma) -> None:
    """A forked VMA: it can map the parent's pages, and gets its own ``anon_vma`` for new ones."""
    vma.anon_vma = None
    if parent.anon_vma is None:
        return
    anon_vma_clone(vma, parent)
    if vma.anon_vma is None:
        vma.anon_vma = AnonVma(parent.anon_vma)
        vma.anon_vma.num_active_vmas = 1
        parent.anon_vma.num_children += 1
        _chain_link(vma, vma.anon_vma)


def anon_vma_relink(vma: Vma) -> None:
    """``anon_vma_interval_tree_post_update_vma``: after its edges have moved, it comes behind its equals."""
    for anon_vma in vma.anon_vma_chain:
        anon_vma.vmas.remove(vma)
        anon_vma.vmas.append(vma)


def unlink_anon_vmas(vma: Vma) -> None:
    """The VMA maps no anonymous page any more."""
    for anon_vma in vma.anon_vma_chain:
        anon_vma.vmas.remove(vma)
        if not anon_vma.vmas and anon_vma.parent is not None:
            anon_vma.parent.num_children -= 1
    vma.anon_vma_chain.clear()
    if vma.anon_vma is not None:
        vma.anon_vma.num_active_vmas -= 1
        vma.anon_vma = None


def rmap_read(folio: Folio) -> RmapHeld:
    """The lock under which a reverse-map walk runs (``rmap_walk_anon_lock``, ``i_mmap_lock_read``)."""
    if folio.anon:
        return RmapHeld("read", folio.anon_vma.rwsem if folio.anon_vma is not None else None)
    assert folio.mapping is not None
    return RmapHeld("read", folio.mapping.i_mmap_rwsem)


def mappings_of(folio: Folio) -> list[tuple[Vma, int]]:
    """``rmap_walk``: each VMA that could map the folio, with the address of the folio's first page there (bytes)."""
    if folio.anon:
        # the anon_vma's interval tree is walked by page offset; where those are equal, in order of insertion
        vmas = sorted(folio.anon_vma.vmas, key=lambda vma: vma.vm_pgoff) if folio.anon_vma is not None else []
    else:
        assert folio.mapping is not None
        vmas = folio.mapping.vmas_of(folio.index, folio.index + folio.nr_pages - 1)
    found = []
    for vma in vmas:
        last = vma.vm_pgoff + vma.pages
        if folio.index < last and vma.vm_pgoff < folio.index + folio.nr_pages:
            found.append((vma, vma.vm_start + ((folio.index - vma.vm_pgoff) << PAGE_SHIFT)))
    return found


def entries_of(folio: Folio, vma: Vma, first: int) -> int:
    """How many entries of one VMA map the folio, whose first page would be at ``first`` (bytes)."""
    table = vma.vm_mm.page_table
    huge = table.pmd(max(first, vma.vm_start))
    if isinstance(huge, HugePmd):
        return int(huge.folio is folio)
    addresses = range(max(first, vma.vm_start), min(first + folio.nr_pages * PAGE_SIZE, vma.vm_end), PAGE_SIZE)
    entries = (table.get(address) for address in addresses)
    return sum(isinstance(entry, Pte) and entry.folio is folio for entry in entries)
