"""The operations that can be asked about: what is done, how memory is prepared for it, where the rule is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from p2plab.mm import userfaultfd
from p2plab.mm.ask_specimen import (
    START,
    Do,
    Specimen,
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
from p2plab.mm.flags import (
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PAGE_SIZE,
    PROT_EXEC,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
)
from p2plab.mm.pkeys import pkey_alloc
from p2plab.mm.remote import proc_mem_write, process_vm_writev
from p2plab.mm.sys_madvise import process_madvise
from p2plab.mm.sys_mlock import mlock, mlockall
from p2plab.mm.sys_mprotect import mprotect
from p2plab.mm.sys_mseal import mseal
from p2plab.mm.sys_msync import MS_SYNC, msync
from p2plab.mm.sys_prctl import set_anon_name
from p2plab.mm.sys_remap_file_pages import remap_file_pages


@dataclass(frozen=True)
class Operation:
    """One operation: its name, what it does in a few words, the source of its rule today, and how to do it."""

    name: str
    what: str
    source: str
    do: Do
    prepare: Callable[[Specimen], Awaitable[None]]
    not_modelled: tuple[str, ...] = ()  #: kinds of memory for which the model has no answer


PART = (START + 4 * PAGE_SIZE, 4 * PAGE_SIZE)


def _protect(advice: str) -> Do:
    async def do(specimen: Specimen) -> None:
        await specimen.mm.madvise(*PART, advice)

    return do


async def _process_madvise(specimen: Specimen) -> None:
    await process_madvise(specimen.mm, *PART, "DONTNEED")


async def _sealed(specimen: Specimen) -> None:
    await specimen.write_all()
    await mseal(specimen.mm, *PART)


async def _mseal(specimen: Specimen) -> None:
    await mseal(specimen.mm, *PART)


async def _munmap(specimen: Specimen) -> None:
    await specimen.mm.munmap(START, specimen.length)


async def _registered(specimen: Specimen) -> None:
    await specimen.write_all()
    await userfaultfd.register(specimen.mm, START, specimen.length, userfaultfd.MODE_WP)


async def _register(specimen: Specimen) -> None:
    await userfaultfd.register(specimen.mm, START, specimen.length, userfaultfd.MODE_MISSING)


async def _writeprotect(specimen: Specimen) -> None:
    await userfaultfd.writeprotect(specimen.mm, START, specimen.length, True)


async def _move_prepared(specimen: Specimen) -> None:
    await specimen.mm.touch(START, START + 4 * PAGE_SIZE, True)
    await userfaultfd.register(
        specimen.mm, START + 8 * PAGE_SIZE, specimen.length - 8 * PAGE_SIZE, userfaultfd.MODE_MISSING
    )


async def _move(specimen: Specimen) -> None:
    await userfaultfd.move(specimen.mm, START + 8 * PAGE_SIZE, START, 4 * PAGE_SIZE)


async def _copy_prepared(specimen: Specimen) -> None:
    await userfaultfd.register(specimen.mm, START, specimen.length, userfaultfd.MODE_MISSING)


async def _copy(specimen: Specimen) -> None:
    await userfaultfd.copy(specimen.mm, *PART)


async def _pkey_mprotect(specimen: Specimen) -> None:
    await mprotect(specimen.mm, *PART, PROT_READ | PROT_WRITE, pkey_alloc(specimen.mm))


async def _execute_only(specimen: Specimen) -> None:
    await mprotect(specimen.mm, *PART, PROT_EXEC)


async def _mlock2(specimen: Specimen) -> None:
    await mlock(specimen.mm, START, specimen.length, onfault=True)


async def _mlockall(specimen: Specimen) -> None:
    await mlockall(specimen.mm, 1)


async def _remap_file_pages(specimen: Specimen) -> None:
    await remap_file_pages(specimen.mm, *PART, 8)


async def _vfork(specimen: Specimen) -> None:
    """The child of vfork, or of clone(CLONE_VM), writes: in the parent's memory."""
    await specimen.mm.touch(START, specimen.end, True)


async def _proc_mem(specimen: Specimen) -> str:
    return f"{await proc_mem_write(specimen.mm, *PART) // PAGE_SIZE} pages"


async def _read_only(specimen: Specimen) -> None:
    await only_read(specimen)
    await specimen.mm.mprotect(START, specimen.length, PROT_READ)


async def _writev(specimen: Specimen) -> str:
    return f"{await process_vm_writev(specimen.mm, *PART) // PAGE_SIZE} pages"


async def _msync(specimen: Specimen) -> None:
    await msync(specimen.mm, START, specimen.length, MS_SYNC)


async def _name(specimen: Specimen) -> None:
    await set_anon_name(specimen.mm, *PART, "heap")


_MADVISE = "mm/madvise.c madvise_dontneed_free"
_LIST = [
    Operation("munmap", "unmap the whole VMA", "mm/vma.c vms_complete_munmap_vmas", system_call("munmap"), written),
    Operation(
        "munmap_unpopulated",
        "unmap a VMA that was never touched",
        "mm/memory.c unmap_vmas",
        system_call("munmap"),
        untouched,
    ),
    Operation(
        "munmap_part",
        "unmap pages 4 to 8",
        "mm/vma.c vms_gather_munmap_vmas",
        system_call("munmap", first=4, pages=4),
        written,
    ),
    Operation("mmap_fixed", "map anonymous memory over pages 4 to 8", "mm/vma.c __mmap_region", mmap_over, written),
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
        "mm/mremap.c move_vma; refused in check_prep_vma",
        mremap(None, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP),
        written,
    ),
    Operation("mremap_shrink", "shrink to 10 pages in place", "mm/mremap.c", mremap(10, 0), written),
    Operation("mremap_grow", "grow to 2048 pages in place", "mm/mremap.c check_prep_vma", mremap(2048, 0), written),
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
        "madvise_free",
        "let the pages go when memory is short",
        "mm/madvise.c madvise_free_single_vma",
        system_call("madvise", "FREE"),
        written,
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
    Operation(
        "zap_vma_ptes", "the exporter zaps one VMA", "mm/memory.c zap_special_vma_range", do_zap_vma_ptes, written
    ),
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
    Operation(
        "guard_install",
        "make pages 4 to 8 guard pages",
        "mm/madvise.c madvise_guard_install",
        _protect("GUARD_INSTALL"),
        written,
    ),
    Operation(
        "guard_install_unpopulated",
        "the same where they were never touched",
        "mm/madvise.c madvise_guard_install",
        _protect("GUARD_INSTALL"),
        untouched,
    ),
    Operation(
        "process_madvise",
        "drop pages 4 to 8 of the calling process",
        "mm/madvise.c process_madvise",
        _process_madvise,
        written,
    ),
    Operation("mseal", "seal pages 4 to 8", "mm/mseal.c do_mseal", _mseal, written),
    Operation(
        "munmap_sealed", "unmap a VMA of which a part is sealed", "mm/vma.c vms_gather_munmap_vmas", _munmap, _sealed
    ),
    Operation(
        "pkey_mprotect", "give pages 4 to 8 a protection key", "mm/mprotect.c do_mprotect_pkey", _pkey_mprotect, written
    ),
    Operation(
        "mprotect_x",
        "let pages 4 to 8 only be executed",
        "arch/x86/mm/pkeys.c __execute_only_pkey",
        _execute_only,
        written,
    ),
    Operation("mlock2_onfault", "lock what comes in later", "mm/mlock.c mlock2", _mlock2, untouched),
    Operation("mlockall", "lock and populate everything", "mm/mlock.c mlockall", _mlockall, untouched),
    Operation(
        "remap_file_pages",
        "file pages 8 to 12 at pages 4 to 8",
        "mm/mmap.c remap_file_pages",
        _remap_file_pages,
        written,
    ),
    Operation(
        "vfork_write", "the child of vfork writes every page", "kernel/fork.c copy_mm, CLONE_VM", _vfork, only_read
    ),
    Operation("proc_mem_write", "a debugger writes to read-only pages", "fs/proc/base.c mem_rw", _proc_mem, _read_only),
    Operation(
        "process_vm_writev", "another process writes to pages 4 to 8", "mm/process_vm_access.c", _writev, only_read
    ),
    Operation("msync", "write back now", "mm/msync.c", _msync, written),
    Operation("set_anon_name", "name pages 4 to 8", "mm/madvise.c madvise_set_anon_name", _name, written),
    Operation(
        "uffd_register",
        "userfaultfd serves missing pages",
        "fs/userfaultfd.c userfaultfd_register",
        _register,
        untouched,
        ("hugetlb",),
    ),
    Operation(
        "uffd_copy",
        "userfaultfd brings pages 4 to 8 in",
        "mm/userfaultfd.c mfill_atomic_copy",
        _copy,
        _copy_prepared,
        ("hugetlb",),
    ),
    Operation(
        "uffd_writeprotect",
        "userfaultfd write-protects all",
        "mm/userfaultfd.c mwriteprotect_range",
        _writeprotect,
        _registered,
        ("hugetlb",),
    ),
    Operation(
        "uffd_move",
        "userfaultfd moves pages 0 to 4 to 8",
        "mm/userfaultfd.c move_pages",
        _move,
        _move_prepared,
        ("hugetlb",),
    ),
]
OPERATIONS = {operation.name: operation for operation in _LIST}
