"""Moving pages to other page frames: mbind, migrate_pages, soft offline (mm/migrate.c, mm/mempolicy.c).

The event is CLEAR, page by page; MIGRATE is only for device-private memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.flags import PAGE_SHIFT, PAGE_SIZE, PMD_SIZE, VM_IO, VM_PFNMAP
from p2plab.mm.folio import Folio, HugePmd, Pte
from p2plab.mm.gup import get_user_pages, put_user_pages
from p2plab.mm.log import span
from p2plab.mm.merge import vma_modify
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.reclaim import try_to_unmap
from p2plab.mm.rmap import entries_of, mappings_of, rmap_read
from p2plab.mm.thp import split_folio_to_list
from p2plab.mm.vma import Vma

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace


#: NR_MAX_MIGRATE_ASYNC_RETRY and NR_MAX_MIGRATE_SYNC_RETRY (mm/migrate.c)
ASYNC_TRIES, SYNC_TRIES = 3, 7


async def mbind(
    mm: AddressSpace, start: int, length: int, policy: int | None, *, move: bool = False, move_all: bool = False
) -> None:
    """Bind a range to a NUMA node (None: default policy), moving its pages there if asked. EFAULT at a hole.

    6.12 moves with no lock held; 6.1 while it holds mmap_lock for writing.
    """
    if start % PAGE_SIZE or length < 0:
        raise KernelError("EINVAL", f"{start:#x} is not page aligned")
    end = start + length
    if end == start:
        return
    pages: list[Folio] = []
    async with mm.mmap_write():
        await step(f"mbind {span(start, end)}")
        if policy is not None:
            _refuse_holes(mm, start, end)
        if (move or move_all) and policy is not None:
            pages = [
                folio
                for vma in mm.vmas_in(start, end)
                for folio in movable(vma, max(start, vma.vm_start), min(end, vma.vm_end), policy, shared=move_all)
            ]
        for vma in list(mm.vmas_in(start, end)):
            if vma.vm_policy != policy:
                part = await vma_modify_policy(vma, start, end, policy)
                part.vm_policy = policy
        if mm.kernel.mbind_holds_mmap_lock:
            await migrate_to(pages, policy)
    if not mm.kernel.mbind_holds_mmap_lock:
        await migrate_to(pages, policy)


async def vma_modify_policy(vma: Vma, start: int, end: int, policy: int | None) -> Vma:
    """The part of ``vma`` in [start, end) as a separate VMA, or merged with an equal neighbour."""
    await vma.vm_mm.vma_start_write([vma])
    return await vma_modify(vma, max(start, vma.vm_start), min(end, vma.vm_end), policy=policy)


def _refuse_holes(mm: AddressSpace, start: int, end: int) -> None:
    at = start
    for vma in mm.vmas_in(start, end):
        if vma.vm_start > at:
            break
        at = vma.vm_end
    if at < end:
        raise KernelError("EFAULT", f"nothing is mapped at {at:#x}")


def movable(vma: Vma, start: int, end: int, node: int, *, shared: bool) -> list[Folio]:
    """``queue_pages_range``: the pages of [start, end) not on the node; those of several processes only if ``shared``."""
    if vma.vm_flags & (VM_IO | VM_PFNMAP):
        return []
    found: list[Folio] = []
    table = vma.vm_mm.page_table
    for _base, huge in table.pmds_in(start, end):
        if isinstance(huge, HugePmd) and huge.folio is not None:
            found.append(huge.folio)
    for _address, entry in table.entries_in(start, end):
        if isinstance(entry, Pte) and entry.folio is not None and entry.folio not in found[-1:]:
            found.append(entry.folio)
    return [folio for folio in found if folio.node != node and (shared or folio.mapcount <= folio.nr_pages)]


async def migrate_to(pages: list[Folio], node: int | None) -> None:
    """Move pages to a node: CLEAR in every VMA that may map the page. A pinned page is tried ten times, and stays."""
    waiting = pages
    for _ in range(ASYNC_TRIES):
        for folio in waiting:
            await try_to_migrate(folio)
            if node is not None and not folio.pins:
                folio.node = node
        waiting = [folio for folio in waiting if folio.pins]
    for folio in waiting:
        for _ in range(SYNC_TRIES):
            await try_to_migrate(folio)


async def try_to_migrate(folio: Folio) -> None:
    """One page leaves its frame: CLEAR per VMA of the reverse map, until all entries that map it were found.

    The entries point at the new frame afterwards.
    """
    await step("migrate a page")
    left = folio.mapcount
    async with rmap_read(folio):
        for vma, first in mappings_of(folio):
            if left <= 0:
                return
            start, end = max(first, vma.vm_start), min(first + (folio.nr_pages << PAGE_SHIFT), vma.vm_end)
            event = MmuNotifierRange(vma.vm_mm, start, end, "CLEAR", vma=vma)
            await mmu_notifier_invalidate_range_start(event)
            left -= entries_of(folio, vma, first)
            await mmu_notifier_invalidate_range_end(event)


async def migrate_pages(mm: AddressSpace, old_node: int, new_node: int) -> None:
    """``migrate_pages(2)``: everything of this process that is on one node moves to another."""
    async with mm.mmap_lock.read():
        await step(f"migrate_pages {old_node} to {new_node}")
        pages = [
            folio
            for vma in mm.vmas
            for folio in movable(vma, vma.vm_start, vma.vm_end, new_node, shared=False)
            if folio.node == old_node
        ]
        if mm.kernel.mbind_holds_mmap_lock:
            await migrate_to(pages, new_node)
            return
    await migrate_to(pages, new_node)


async def madvise_inject_error(mm: AddressSpace, start: int, end: int, *, soft: bool) -> None:
    """MADV_SOFT_OFFLINE moves each page away; MADV_HWPOISON takes it out: CLEAR per page either way."""
    at = start
    while at < end:
        folio = (await get_user_pages(mm, at, 1, write=False))[0]
        put_user_pages([folio])
        number = at % PMD_SIZE >> PAGE_SHIFT if folio.order else 0
        at += folio.nr_pages << PAGE_SHIFT  # the kernel goes on behind the huge page that it met
        if soft:
            await _soft_offline(folio, number)
        else:
            await try_to_unmap(folio, {}, poison=True)


async def _soft_offline(folio: Folio, number: int) -> None:
    """``soft_offline_in_use_page``: a huge page is split first, and then only the one page moves. EBUSY if it cannot."""
    if folio.order:
        small = await split_folio_to_list(folio)
        if small is None:
            raise KernelError("EBUSY", "the huge page is in use and cannot be split")
        folio = small[number]
    if folio.mapcount:
        await try_to_migrate(folio)
