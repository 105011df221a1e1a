"""Splitting VMAs (mm/vma.c), and the huge pages that may not straddle an edge. mmap_lock is held for writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.mm.flags import PMD_SIZE, VM_HUGETLB
from p2plab.mm.locks import rmap_locks, rmap_locks_pass
from p2plab.mm.log import VmaSplit
from p2plab.mm.rmap import anon_vma_clone, anon_vma_relink
from p2plab.mm.thp import split_huge_pmd_address
from p2plab.mm.vma import Vma

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace


async def split_huge_at_edges(vma: Vma, start: int, end: int) -> None:
    """``vma_adjust_trans_huge``: no huge page may straddle an edge."""
    await split_huge_if_needed(vma, start)
    await split_huge_if_needed(vma, end)


async def split_huge_if_needed(vma: Vma, address: int) -> None:
    base = address & ~(PMD_SIZE - 1)
    if address != base and vma.vm_start <= base and base + PMD_SIZE <= vma.vm_end:
        async with rmap_locks(vma, "write"):
            await split_huge_pmd_address(vma, address)


def dup_vma(vma: Vma, mm: AddressSpace) -> Vma:
    """``vm_area_dup``: a copy that is in no tree yet; its ``anon_vma`` is still to be linked."""
    new = Vma(mm, vma.vm_start, vma.vm_end, vma.vm_pgoff, vma.vm_flags, vma.vm_file)
    new.vm_ops, new.vm_private_data = vma.vm_ops, vma.vm_private_data
    new.vm_policy, new.anon_vma, new.anon_name = vma.vm_policy, vma.anon_vma, vma.anon_name
    return new


async def split_vma(vma: Vma, address: int, new_below: bool) -> Vma:
    """``split_vma``: cut at ``address``; the new VMA (the lower part if ``new_below``). ENOMEM at the map count limit."""
    mm = vma.vm_mm
    if len(mm.vmas) >= mm.memory.max_map_count:
        raise KernelError("ENOMEM", f"{mm.name} has {len(mm.vmas)} mappings, the most that vm.max_map_count allows")
    if vma.vm_flags & VM_HUGETLB and address % PMD_SIZE:
        raise KernelError("EINVAL", f"{vma} has huge pages of hugetlbfs, which {address:#x} would cut")
    new = dup_vma(vma, mm)
    await mm.vma_start_write([vma, new])
    if new_below:
        new.vm_end = address
    else:
        new.vm_start, new.vm_pgoff = address, vma.pgoff_of(address)
    await rmap_locks_pass(vma)
    anon_vma_clone(new, vma)
    if vma.vm_ops is not None and vma.vm_ops.has("open"):
        await vma.vm_ops.open(new)
        await rmap_locks_pass(vma)
    mapping = vma.vm_file.f_mapping if vma.vm_file is not None else None
    if mapping is not None:
        mapping.link(new)
        mapping.unlink(vma)
    await split_huge_at_edges(vma, vma.vm_start, address)
    emit(VmaSplit(mm.name, vma.vm_start, address, vma.vm_end))
    if new_below:
        vma.vm_pgoff = vma.pgoff_of(address)
        vma.vm_start = address
    else:
        vma.vm_end = address
    if mapping is not None:
        mapping.link(vma)
    anon_vma_relink(vma)
    mm.insert(new)
    return new
