"""Merging VMAs, and cutting out the part whose attributes change: the rules of mm/vma.c, Linux 6.12.

Two neighbours merge if they agree in flags (soft-dirty aside), file, offset, policy and ``anon_vma``; VMAs of device
memory (VM_SPECIAL) never do. Call everything here with mmap_lock held for writing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2plab.mm.file import File
from p2plab.mm.flags import PAGE_SHIFT, VM_SOFTDIRTY, VM_SPECIAL
from p2plab.mm.locks import rmap_locks_pass
from p2plab.mm.rmap import AnonVma, anon_vma_clone, anon_vma_relink, unlink_anon_vmas
from p2plab.mm.split import split_huge_at_edges, split_huge_if_needed, split_vma
from p2plab.mm.vma import Vma

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace


@dataclass(slots=True)
class VmaMergeStruct:
    """``struct vma_merge_struct``: the range that wants to merge, what it would be, and its neighbours."""

    mm: AddressSpace
    start: int
    end: int
    vm_flags: int
    pgoff: int
    file: File | None
    policy: int | None
    anon_vma: AnonVma | None
    prev: Vma | None
    next: Vma | None
    anon_name: str = ""


def wish_like(vma: Vma, start: int, end: int, prev: Vma | None, following: Vma | None) -> VmaMergeStruct:
    """A range of ``vma``'s kind at [start, end)."""
    pgoff = vma.vm_pgoff + ((start - vma.vm_start) >> PAGE_SHIFT)
    kind = (vma.vm_file, vma.vm_policy, vma.anon_vma)
    return VmaMergeStruct(vma.vm_mm, start, end, vma.vm_flags, pgoff, *kind, prev, following, vma.anon_name)


def _same_kind(wish: VmaMergeStruct, vma: Vma) -> bool:
    """``is_mergeable_vma``."""
    return (
        vma.vm_policy == wish.policy
        and not (vma.vm_flags ^ wish.vm_flags) & ~VM_SOFTDIRTY
        and vma.vm_file is wish.file
        and vma.anon_name == wish.anon_name
    )


def _anon_compatible(first: AnonVma | None, second: AnonVma | None, vma: Vma | None) -> bool:
    """``is_mergeable_anon_vma``: a VMA cloned from a parent's does not take another's pages."""
    if (first is None or second is None) and (vma is None or len(vma.anon_vma_chain) == 1):
        return True
    return first is second


def _can_merge_left(wish: VmaMergeStruct) -> bool:
    prev = wish.prev
    return (
        prev is not None
        and prev.vm_end == wish.start
        and _same_kind(wish, prev)
        and _anon_compatible(wish.anon_vma, prev.anon_vma, prev)
        and prev.vm_pgoff + prev.pages == wish.pgoff
    )


def _can_merge_right(wish: VmaMergeStruct, left: bool) -> bool:
    following = wish.next
    if following is None or following.vm_start != wish.end:
        return False
    fits = (
        _same_kind(wish, following)
        and _anon_compatible(wish.anon_vma, following.anon_vma, following)
        and following.vm_pgoff == wish.pgoff + ((wish.end - wish.start) >> PAGE_SHIFT)
    )
    if not fits or not left:
        return fits
    assert wish.prev is not None
    return _anon_compatible(wish.prev.anon_vma, following.anon_vma, None)


def _removable(vma: Vma) -> bool:
    """``can_merge_remove_vma``: a driver that counts its VMAs in ``close`` keeps each of them."""
    return not vma.has_op("close")


def _dup_anon_vma(dst: Vma, src: Vma) -> None:
    if src.anon_vma is not None and dst.anon_vma is None:
        dst.anon_vma = src.anon_vma
        anon_vma_clone(dst, src)


async def vma_merge_new_range(wish: VmaMergeStruct) -> Vma | None:
    """A new range joins its neighbours if it can: the VMA that grew, or None."""
    if wish.vm_flags & VM_SPECIAL:
        return None
    left = _can_merge_left(wish)
    right = _can_merge_right(wish, left)
    if left:
        assert wish.prev is not None
        removed = wish.next if right and wish.next is not None and _removable(wish.next) else None
        if removed is not None:
            _dup_anon_vma(wish.prev, removed)
        end = removed.vm_end if removed is not None else wish.end
        await _commit(wish.prev, wish.prev.vm_start, end, wish.prev.vm_pgoff, remove=(removed,))
        return wish.prev
    if right:
        assert wish.next is not None
        pgoff = wish.next.vm_pgoff - ((wish.end - wish.start) >> PAGE_SHIFT)
        await _commit(wish.next, wish.start, wish.next.vm_end, pgoff)
        return wish.next
    return None


async def _merge_existing(wish: VmaMergeStruct, vma: Vma) -> Vma | None:
    """``vma_merge_existing_range``: a range of ``vma`` is about to become what ``wish`` says."""
    left_side, right_side = wish.start == vma.vm_start, wish.end == vma.vm_end
    if wish.vm_flags & VM_SPECIAL or not (left_side or right_side):
        return None
    left = left_side and _can_merge_left(wish)
    right = right_side and _can_merge_right(wish, left)
    whole = left_side and right_side
    if not (left or right) or (whole and not _removable(vma)):
        return None
    prev, following = wish.prev, wish.next
    if left and right:
        assert following is not None
        right = _removable(following)
    if left:
        assert prev is not None
        await _merge_into_prev(wish, vma, prev, following if right else None, whole)
        return prev
    assert following is not None
    _dup_anon_vma(following, vma)
    pgoff = following.vm_pgoff - ((wish.end - wish.start) >> PAGE_SHIFT)
    if whole:
        await _commit(following, wish.start, following.vm_end, pgoff, remove=(vma,))
    else:
        await _commit(vma, vma.vm_start, wish.start, vma.vm_pgoff, adjust=following, adjust_to=(wish.start, pgoff))
    return following


async def _merge_into_prev(wish: VmaMergeStruct, vma: Vma, prev: Vma, following: Vma | None, whole: bool) -> None:
    if following is not None:
        _dup_anon_vma(prev, following if following.anon_vma is not None else vma)
        await _commit(prev, prev.vm_start, following.vm_end, prev.vm_pgoff, remove=(vma, following))
        return
    _dup_anon_vma(prev, vma)
    if whole:
        await _commit(prev, prev.vm_start, wish.end, prev.vm_pgoff, remove=(vma,))
    else:
        pgoff = vma.vm_pgoff + ((wish.end - vma.vm_start) >> PAGE_SHIFT)
        await _commit(prev, prev.vm_start, wish.end, prev.vm_pgoff, adjust=vma, adjust_to=(wish.end, pgoff))


async def _commit(
    vma: Vma,
    start: int,
    end: int,
    pgoff: int,
    *,
    adjust: Vma | None = None,
    adjust_to: tuple[int, int] = (0, 0),
    remove: tuple[Vma | None, ...] = (),
) -> None:
    """``commit_merge``: move the edges of ``vma`` and of its neighbour ``adjust``, and drop what was swallowed."""
    await vma.vm_mm.vma_start_write([vma, *([adjust] if adjust else []), *(gone for gone in remove if gone)])
    await rmap_locks_pass(vma)
    await split_huge_at_edges(vma, start, end)
    if adjust is not None and adjust_to[0] > adjust.vm_start:
        await split_huge_if_needed(adjust, adjust_to[0])
    mapping = vma.vm_file.f_mapping if vma.vm_file is not None else None
    if mapping is not None:
        mapping.unlink(vma)
        if adjust is not None:
            mapping.unlink(adjust)
    for gone in remove:
        if gone is not None:
            vma.vm_mm.remove(gone)
            if mapping is not None:
                mapping.unlink(gone)
    vma.vm_start, vma.vm_end, vma.vm_pgoff = start, end, pgoff
    if adjust is not None:
        adjust.vm_start, adjust.vm_pgoff = adjust_to
    if mapping is not None:
        if adjust is not None:
            mapping.link(adjust)
        mapping.link(vma)
    anon_vma_relink(vma)
    if adjust is not None:
        anon_vma_relink(adjust)
    for gone in remove:
        if gone is not None:
            unlink_anon_vmas(gone)
            gone.freed = True


async def vma_modify(
    vma: Vma,
    start: int,
    end: int,
    *,
    vm_flags: int | None = None,
    policy: int | None = None,
    anon_name: str | None = None,
) -> Vma:
    """``vma_modify``: make [start, end) of ``vma`` a separate VMA or part of an equal neighbour; that VMA.

    Setting the flags, the name or the policy is left to the caller.
    """
    wish = wish_like(vma, start, end, vma.vm_mm.prev_of(vma), vma.vm_mm.next_of(vma))
    if vm_flags is not None:
        wish.vm_flags = vm_flags
    elif anon_name is not None:
        wish.anon_name = anon_name
    else:
        wish.policy = policy
    merged = await _merge_existing(wish, vma)
    if merged is not None:
        return merged
    if vma.vm_start < start:
        await split_vma(vma, start, new_below=True)
    if vma.vm_end > end:
        await split_vma(vma, end, new_below=False)
    return vma
