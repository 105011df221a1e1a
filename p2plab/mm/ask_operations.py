"""The operations that can be asked about: how memory is prepared, what is done, and where the rule is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from p2plab.core.errors import KernelError
from p2plab.mm.file import File, PfnFile
from p2plab.mm.flags import (
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PAGE_SIZE,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
)
from p2plab.mm.gup import get_user_pages, put_user_pages
from p2plab.mm.kernel import Kernel
from p2plab.mm.khugepaged import khugepaged_scan
from p2plab.mm.ksm import ksm_scan
from p2plab.mm.migrate import mbind
from p2plab.mm.procfs import clear_refs, task_numa_work
from p2plab.mm.space import AddressSpace, Memory
from p2plab.mm.sys_exit import oom_reap
from p2plab.mm.truncate import fallocate_punch_hole, ftruncate
from p2plab.mm.zap import unmap_mapping_range, zap_vma_ptes

#: kinds of memory, with what each of them is
KINDS = {
    "device": "a device's memory, shared, one page frame per fault (VM_IO | VM_PFNMAP | VM_DONTEXPAND)",
    "device_eager": "the same, all of it mapped in mmap (io_remap_pfn_range)",
    "anon": "private anonymous memory",
    "thp": "private anonymous memory in huge pages",
    "anon_shared": "shared anonymous memory",
    "file_shared": "a file of tmpfs, shared",
    "file_private": "a file of tmpfs, private",
}
PAGES = {kind: 1024 if kind == "thp" else 16 for kind in KINDS}
START = 0x7F00_4000_0000
OTHER = 0x5555_5555_4000


class Stage:
    """One process with one mapping of the kind asked for."""

    def __init__(self, kind: str, kernel: Kernel) -> None:
        self.kind = kind
        self.mm = AddressSpace("mm", kernel, Memory(swap=True))
        self.length = PAGES[kind] * PAGE_SIZE
        self.end = START + self.length
        self.file: File | None = None
        self.children: list[AddressSpace] = []

    async def set_up(self) -> None:
        """Map the memory, and something else far away, as every process has."""
        if self.kind.startswith("device"):
            self.file = PfnFile("device", PAGES[self.kind], eager=self.kind == "device_eager")
        elif self.kind.startswith("file"):
            self.file = File("file", PAGES[self.kind])
        private = self.kind in ("anon", "thp", "file_private")
        flags = MAP_FIXED | (MAP_PRIVATE if private else MAP_SHARED)
        await self.mm.mmap(OTHER, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED)
        await self.mm.mmap(START, self.length, PROT_READ | PROT_WRITE, flags, self.file)
        if self.kind == "thp":
            await self.mm.madvise(START, self.length, "HUGEPAGE")

    def need_file(self, what: str) -> File:
        """The file behind the mapping; EINVAL where there is none."""
        if self.file is None:
            raise KernelError("EINVAL", f"{self.kind} memory has no file to {what}")
        return self.file

    async def write_all(self) -> None:
        """Every page written: all present."""
        await self.mm.touch(START, self.end, True)


Do = Callable[[Stage], Awaitable[str | None]]


@dataclass(frozen=True)
class Operation:
    """One operation: its name, what it does in a few words, the source of its rule, and how to do it."""

    name: str
    what: str
    source: str
    do: Do
    prepare: Callable[[Stage], Awaitable[None]]


async def _untouched(stage: Stage) -> None:
    """Mapped and never accessed."""


async def _written(stage: Stage) -> None:
    await stage.write_all()


async def _read(stage: Stage) -> None:
    await stage.mm.touch(START, stage.end, False)


async def _forked(stage: Stage) -> None:
    await stage.write_all()
    stage.children.append(await stage.mm.fork("child"))


async def _mergeable(stage: Stage) -> None:
    await stage.mm.madvise(START, stage.length, "NOHUGEPAGE")
    await stage.mm.madvise(START, stage.length, "MERGEABLE")
    await stage.write_all()


async def _small_pages(stage: Stage) -> None:
    await stage.mm.madvise(START, stage.length, "NOHUGEPAGE")
    await stage.write_all()
    await stage.mm.madvise(START, stage.length, "HUGEPAGE")


async def _swapped(stage: Stage) -> None:
    await stage.write_all()
    await stage.mm.madvise(START, stage.length, "PAGEOUT")


def _call(method: str, *more: object, first: int = 0, pages: int | None = None) -> Do:
    """A system call on pages [first, first + pages) of the mapping."""

    async def do(stage: Stage) -> str | None:
        length = stage.length - first * PAGE_SIZE if pages is None else pages * PAGE_SIZE
        result = await getattr(stage.mm, method)(START + first * PAGE_SIZE, length, *more)
        return hex(result) if isinstance(result, int) else None

    return do


def _touch(write: bool) -> Do:
    async def do(stage: Stage) -> None:
        await stage.mm.touch(START, stage.end, write)

    return do


def _mremap(new_pages: int | None, flags: int) -> Do:
    async def do(stage: Stage) -> str | None:
        new = stage.length if new_pages is None else new_pages * PAGE_SIZE
        old = stage.length
        return hex(await stage.mm.mremap(START, old, new, flags, START + 2 * stage.length))

    return do


async def _mmap_over(stage: Stage) -> str | None:
    return hex(await stage.mm.mmap(START + 4 * PAGE_SIZE, 4 * PAGE_SIZE, flags=MAP_PRIVATE | MAP_FIXED))


async def _fork(stage: Stage) -> None:
    stage.children.append(await stage.mm.fork("child"))


async def _exit(stage: Stage) -> None:
    await stage.mm.exit()


async def _ftruncate(stage: Stage) -> None:
    file = stage.need_file("truncate")
    if not file.has_pages:
        raise KernelError("EINVAL", "a device cannot be truncated")
    await ftruncate(file, 6)


async def _punch_hole(stage: Stage) -> None:
    await fallocate_punch_hole(stage.need_file("punch holes into"), 4, 4)


async def _unmap_mapping_range(stage: Stage) -> None:
    await unmap_mapping_range(stage.need_file("unmap").f_mapping, 4, 7)


async def _zap_vma_ptes(stage: Stage) -> None:
    async with stage.mm.mmap_lock.read():
        vma = stage.mm.vma_lookup(START)
        if vma is not None:
            await zap_vma_ptes(vma, START, stage.end)


async def _gup(stage: Stage) -> str:
    folios = await get_user_pages(stage.mm, START, 16, write=True)
    put_user_pages(folios)
    return f"{len(folios)} pages"


async def _pin(stage: Stage) -> str:
    folios = await get_user_pages(stage.mm, START, 16, write=True, pin=True, longterm=True)
    put_user_pages(folios, pin=True)
    return f"{len(folios)} pages"


async def _clear_refs(stage: Stage) -> None:
    await clear_refs(stage.mm, 4)


async def _mbind(stage: Stage) -> None:
    await mbind(stage.mm, START, stage.length, 1, move=True)


async def _numa(stage: Stage) -> None:
    await task_numa_work(stage.mm)


async def _ksm(stage: Stage) -> None:
    await ksm_scan(stage.mm)


async def _khugepaged(stage: Stage) -> None:
    await khugepaged_scan(stage.mm)


async def _oom(stage: Stage) -> str:
    return "reaped" if await oom_reap(stage.mm) else "refused"


_MADVISE = "mm/madvise.c madvise_dontneed_free"
_LIST = [
    Operation("munmap", "unmap the whole VMA", "mm/vma.c vms_complete_munmap_vmas", _call("munmap"), _written),
    Operation(
        "munmap_unpopulated", "unmap a VMA that nobody touched", "mm/memory.c unmap_vmas", _call("munmap"), _untouched
    ),
    Operation("munmap_part", "unmap pages 4 to 8", "mm/vma.c vms_gather", _call("munmap", first=4, pages=4), _written),
    Operation("mmap_fixed", "map anonymous memory over pages 4 to 8", "mm/mmap.c mmap_region", _mmap_over, _written),
    Operation(
        "mprotect_r",
        "take write permission away",
        "mm/mprotect.c change_pud_range",
        _call("mprotect", PROT_READ),
        _written,
    ),
    Operation(
        "mprotect_none",
        "take all permission away",
        "mm/mprotect.c change_pud_range",
        _call("mprotect", PROT_NONE),
        _written,
    ),
    Operation(
        "mprotect_same",
        "set the protection that it has",
        "mm/mprotect.c mprotect_fixup",
        _call("mprotect", PROT_READ | PROT_WRITE),
        _written,
    ),
    Operation(
        "mprotect_unpopulated",
        "take write permission away where nobody touched anything",
        "mm/mprotect.c change_pud_range",
        _call("mprotect", PROT_READ),
        _untouched,
    ),
    Operation(
        "mprotect_part",
        "the same for pages 4 to 8",
        "mm/mprotect.c",
        _call("mprotect", PROT_READ, first=4, pages=4),
        _written,
    ),
    Operation(
        "mremap_move",
        "move the VMA elsewhere",
        "mm/mremap.c move_page_tables, then do_vmi_munmap",
        _mremap(None, MREMAP_MAYMOVE | MREMAP_FIXED),
        _written,
    ),
    Operation(
        "mremap_dontunmap",
        "move the pages, keep the old VMA",
        "mm/mremap.c move_vma",
        _mremap(None, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP),
        _written,
    ),
    Operation("mremap_shrink", "shrink to 10 pages in place", "mm/mremap.c", _mremap(10, 0), _written),
    Operation("mremap_grow", "grow to 2048 pages in place", "mm/mremap.c vma_to_resize", _mremap(2048, 0), _written),
    Operation("madvise_dontneed", "drop the pages", _MADVISE, _call("madvise", "DONTNEED"), _written),
    Operation(
        "madvise_dontneed_unpopulated", "drop what is not there", _MADVISE, _call("madvise", "DONTNEED"), _untouched
    ),
    Operation(
        "madvise_dontneed_part", "drop pages 4 to 8", _MADVISE, _call("madvise", "DONTNEED", first=4, pages=4), _written
    ),
    Operation("madvise_free", "let the pages go when memory is short", _MADVISE, _call("madvise", "FREE"), _written),
    Operation(
        "madvise_cold", "say the pages are cold", "mm/madvise.c madvise_cold", _call("madvise", "COLD"), _written
    ),
    Operation(
        "madvise_pageout",
        "page out, with a swap area",
        "mm/vmscan.c, mm/rmap.c try_to_unmap_one",
        _call("madvise", "PAGEOUT"),
        _written,
    ),
    Operation(
        "madvise_willneed", "read ahead", "mm/madvise.c madvise_vma_behavior", _call("madvise", "WILLNEED"), _written
    ),
    Operation(
        "madvise_remove",
        "punch a hole",
        "mm/shmem.c shmem_fallocate",
        _call("madvise", "REMOVE", first=4, pages=4),
        _written,
    ),
    Operation(
        "madvise_dontfork",
        "keep it from children",
        "mm/madvise.c madvise_vma_behavior",
        _call("madvise", "DONTFORK"),
        _written,
    ),
    Operation(
        "madvise_populate",
        "make all pages writable now",
        "mm/gup.c faultin_page_range",
        _call("madvise", "POPULATE_WRITE"),
        _read,
    ),
    Operation("madvise_collapse", "make huge pages now", "mm/khugepaged.c", _call("madvise", "COLLAPSE"), _small_pages),
    Operation("mlock", "lock and populate", "mm/mlock.c", _call("mlock"), _untouched),
    Operation("munlock", "unlock", "mm/mlock.c", _call("munlock"), _written),
    Operation("read", "first read of every page", "mm/memory.c do_pte_missing", _touch(False), _untouched),
    Operation("write", "first write to every page", "mm/memory.c do_pte_missing", _touch(True), _untouched),
    Operation("write_after_read", "write to pages that were only read", "mm/memory.c do_wp_page", _touch(True), _read),
    Operation("write_after_fork", "write while a child lives", "mm/memory.c wp_page_copy", _touch(True), _forked),
    Operation("swap_in", "write to pages that were paged out", "mm/memory.c do_swap_page", _touch(True), _swapped),
    Operation("fork", "fork after every page was written", "mm/memory.c copy_page_range", _fork, _written),
    Operation("fork_unpopulated", "fork before any access", "mm/memory.c vma_needs_copy", _fork, _untouched),
    Operation("exit", "the process exits", "mm/mmu_notifier.c, mm/mmap.c exit_mmap", _exit, _written),
    Operation("ftruncate", "shrink the file to 6 pages", "mm/shmem.c shmem_setattr", _ftruncate, _written),
    Operation("punch_hole", "punch pages 4 to 8 out of the file", "mm/shmem.c shmem_fallocate", _punch_hole, _written),
    Operation(
        "unmap_mapping_range",
        "the exporter zaps file pages 4 to 8 everywhere",
        "mm/memory.c unmap_mapping_range_tree",
        _unmap_mapping_range,
        _written,
    ),
    Operation("zap_vma_ptes", "the exporter zaps one VMA", "mm/memory.c zap_vma_ptes", _zap_vma_ptes, _written),
    Operation("get_user_pages", "references to 16 pages", "mm/gup.c check_vma_flags", _gup, _written),
    Operation("pin_user_pages", "long-term pins of 16 pages", "mm/gup.c check_vma_flags", _pin, _written),
    Operation("clear_refs", "soft-dirty tracking starts", "fs/proc/task_mmu.c clear_refs_write", _clear_refs, _written),
    Operation(
        "mbind", "bind to node 1 and move the pages", "mm/mempolicy.c, mm/rmap.c try_to_migrate", _mbind, _written
    ),
    Operation("numa_balancing", "one scan of NUMA balancing", "kernel/sched/fair.c task_numa_work", _numa, _written),
    Operation("ksm", "ksmd merges pages of equal content", "mm/ksm.c try_to_merge_one_page", _ksm, _mergeable),
    Operation(
        "khugepaged", "khugepaged makes huge pages", "mm/khugepaged.c collapse_huge_page", _khugepaged, _small_pages
    ),
    Operation("oom_reaper", "the OOM reaper takes the pages", "mm/oom_kill.c __oom_reap_task_mm", _oom, _written),
]
OPERATIONS = {operation.name: operation for operation in _LIST}
