"""The operations that can be asked about: what is done, how memory is prepared for it, where the rule is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from p2plab.mm.ask_more import MORE
from p2plab.mm.ask_stage import (
    Do,
    Stage,
    do_clear_refs,
    do_fork,
    do_ftruncate,
    do_mbind,
    do_unmap_mapping_range,
    do_zap_vma_ptes,
    exit_process,
    forked,
    gup,
    khugepaged_pass,
    ksmd,
    mergeable,
    mmap_over,
    mremap,
    numa,
    only_read,
    oom_reaper,
    pin,
    punch_hole,
    small_pages,
    swapped,
    system_call,
    touch,
    untouched,
    written,
)
from p2plab.mm.flags import MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, PROT_NONE, PROT_READ, PROT_WRITE


@dataclass(frozen=True)
class Operation:
    """One operation: its name, what it does in a few words, the source of its rule, and how to do it."""

    name: str
    what: str
    source: str
    do: Do
    prepare: Callable[[Stage], Awaitable[None]]
    not_modelled: tuple[str, ...] = ()  #: kinds of memory for which the model does not know


_MADVISE = "mm/madvise.c madvise_dontneed_free"
_LIST = [
    Operation("munmap", "unmap the whole VMA", "mm/vma.c vms_complete_munmap_vmas", system_call("munmap"), written),
    Operation(
        "munmap_unpopulated",
        "unmap a VMA that nobody touched",
        "mm/memory.c unmap_vmas",
        system_call("munmap"),
        untouched,
    ),
    Operation(
        "munmap_part", "unmap pages 4 to 8", "mm/vma.c vms_gather", system_call("munmap", first=4, pages=4), written
    ),
    Operation("mmap_fixed", "map anonymous memory over pages 4 to 8", "mm/mmap.c mmap_region", mmap_over, written),
    Operation(
        "mprotect_r",
        "take write permission away",
        "mm/mprotect.c change_pud_range",
        system_call("mprotect", PROT_READ),
        written,
    ),
    Operation(
        "mprotect_none",
        "take all permission away",
        "mm/mprotect.c change_pud_range",
        system_call("mprotect", PROT_NONE),
        written,
    ),
    Operation(
        "mprotect_same",
        "set the protection that it has",
        "mm/mprotect.c mprotect_fixup",
        system_call("mprotect", PROT_READ | PROT_WRITE),
        written,
    ),
    Operation(
        "mprotect_unpopulated",
        "take write permission of untouched memory away",
        "mm/mprotect.c change_pud_range",
        system_call("mprotect", PROT_READ),
        untouched,
    ),
    Operation(
        "mprotect_part",
        "the same for pages 4 to 8",
        "mm/mprotect.c",
        system_call("mprotect", PROT_READ, first=4, pages=4),
        written,
    ),
    Operation(
        "mremap_move",
        "move the VMA elsewhere",
        "mm/mremap.c move_page_tables, then do_vmi_munmap",
        mremap(None, MREMAP_MAYMOVE | MREMAP_FIXED),
        written,
    ),
    Operation(
        "mremap_dontunmap",
        "move the pages, keep the old VMA",
        "mm/mremap.c move_vma",
        mremap(None, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP),
        written,
    ),
    Operation("mremap_shrink", "shrink to 10 pages in place", "mm/mremap.c", mremap(10, 0), written),
    Operation("mremap_grow", "grow to 2048 pages in place", "mm/mremap.c vma_to_resize", mremap(2048, 0), written),
    Operation("madvise_dontneed", "drop the pages", _MADVISE, system_call("madvise", "DONTNEED"), written),
    Operation(
        "madvise_dontneed_unpopulated",
        "drop what is not there",
        _MADVISE,
        system_call("madvise", "DONTNEED"),
        untouched,
    ),
    Operation(
        "madvise_dontneed_part",
        "drop pages 4 to 8",
        _MADVISE,
        system_call("madvise", "DONTNEED", first=4, pages=4),
        written,
    ),
    Operation(
        "madvise_free", "let the pages go when memory is short", _MADVISE, system_call("madvise", "FREE"), written
    ),
    Operation(
        "madvise_cold", "say the pages are cold", "mm/madvise.c madvise_cold", system_call("madvise", "COLD"), written
    ),
    Operation(
        "madvise_pageout",
        "page out, with a swap area",
        "mm/vmscan.c, mm/rmap.c try_to_unmap_one",
        system_call("madvise", "PAGEOUT"),
        written,
    ),
    Operation(
        "madvise_willneed",
        "read ahead",
        "mm/madvise.c madvise_vma_behavior",
        system_call("madvise", "WILLNEED"),
        written,
    ),
    Operation(
        "madvise_remove",
        "punch a hole",
        "mm/shmem.c shmem_fallocate",
        system_call("madvise", "REMOVE", first=4, pages=4),
        written,
    ),
    Operation(
        "madvise_dontfork",
        "keep it from children",
        "mm/madvise.c madvise_vma_behavior",
        system_call("madvise", "DONTFORK"),
        written,
    ),
    Operation(
        "madvise_populate",
        "make all pages writable now",
        "mm/gup.c faultin_page_range",
        system_call("madvise", "POPULATE_WRITE"),
        only_read,
    ),
    Operation(
        "madvise_collapse", "make huge pages now", "mm/khugepaged.c", system_call("madvise", "COLLAPSE"), small_pages
    ),
    Operation("mlock", "lock and populate", "mm/mlock.c", system_call("mlock"), untouched),
    Operation("munlock", "unlock", "mm/mlock.c", system_call("munlock"), written),
    Operation("read", "first read of every page", "mm/memory.c do_pte_missing", touch(False), untouched),
    Operation("write", "first write to every page", "mm/memory.c do_pte_missing", touch(True), untouched),
    Operation(
        "write_after_read", "write to pages that were only read", "mm/memory.c do_wp_page", touch(True), only_read
    ),
    Operation("write_after_fork", "write while a child lives", "mm/memory.c wp_page_copy", touch(True), forked),
    Operation("swap_in", "write to pages that were paged out", "mm/memory.c do_swap_page", touch(True), swapped),
    Operation("fork", "fork after every page was written", "mm/memory.c copy_page_range", do_fork, written),
    Operation("fork_unpopulated", "fork before any access", "mm/memory.c vma_needs_copy", do_fork, untouched),
    Operation("exit", "the process exits", "mm/mmu_notifier.c, mm/mmap.c exit_mmap", exit_process, written),
    Operation("ftruncate", "shrink the file to 6 pages", "mm/shmem.c shmem_setattr", do_ftruncate, written),
    Operation("punch_hole", "punch pages 4 to 8 out of the file", "mm/shmem.c shmem_fallocate", punch_hole, written),
    Operation(
        "unmap_mapping_range",
        "the exporter zaps file pages 4 to 8 everywhere",
        "mm/memory.c unmap_mapping_range_tree",
        do_unmap_mapping_range,
        written,
    ),
    Operation("zap_vma_ptes", "the exporter zaps one VMA", "mm/memory.c zap_vma_ptes", do_zap_vma_ptes, written),
    Operation("get_user_pages", "references to 16 pages", "mm/gup.c check_vma_flags", gup, written),
    Operation("pin_user_pages", "long-term pins of 16 pages", "mm/gup.c check_vma_flags", pin, written),
    Operation(
        "clear_refs", "soft-dirty tracking starts", "fs/proc/task_mmu.c clear_refs_write", do_clear_refs, written
    ),
    Operation(
        "mbind", "bind to node 1 and move the pages", "mm/mempolicy.c, mm/rmap.c try_to_migrate", do_mbind, written
    ),
    Operation("numa_balancing", "one scan of NUMA balancing", "kernel/sched/fair.c task_numa_work", numa, written),
    Operation("ksm", "ksmd merges pages of equal content", "mm/ksm.c try_to_merge_one_page", ksmd, mergeable),
    Operation(
        "khugepaged", "khugepaged makes huge pages", "mm/khugepaged.c collapse_huge_page", khugepaged_pass, small_pages
    ),
    Operation("oom_reaper", "the OOM reaper takes the pages", "mm/oom_kill.c __oom_reap_task_mm", oom_reaper, written),
]
_LIST += [Operation(*more, ("hugetlb",) if more[0].startswith("uffd_") else ()) for more in MORE]
OPERATIONS = {operation.name: operation for operation in _LIST}
