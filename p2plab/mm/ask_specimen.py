"""What operations are tried on: one process, one mapping of a kind, and what can be done to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from p2plab.core.errors import KernelError
from p2plab.mm.file import File, HugetlbFile, PfnFile
from p2plab.mm.flags import (
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    PAGE_SIZE,
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
    "hugetlb": "private huge pages of hugetlbfs (MAP_HUGETLB)",
    "anon_shared": "shared anonymous memory",
    "file_shared": "a file of tmpfs, shared",
    "file_private": "a file of tmpfs, private",
}
PAGES = {kind: 1024 if kind in ("thp", "hugetlb") else 16 for kind in KINDS}
START = 0x7F00_4000_0000
OTHER = 0x5555_5555_4000


class Specimen:
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
        elif self.kind == "hugetlb":
            self.file = HugetlbFile("hugetlb", PAGES[self.kind])
        private = self.kind in ("anon", "thp", "file_private", "hugetlb")
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


Do = Callable[[Specimen], Awaitable[str | None]]


async def untouched(specimen: Specimen) -> None:
    """Mapped and never accessed."""


async def written(specimen: Specimen) -> None:
    await specimen.write_all()


async def only_read(specimen: Specimen) -> None:
    await specimen.mm.touch(START, specimen.end, False)


async def forked(specimen: Specimen) -> None:
    await specimen.write_all()
    specimen.children.append(await specimen.mm.fork("child"))


async def mergeable(specimen: Specimen) -> None:
    await specimen.mm.madvise(START, specimen.length, "NOHUGEPAGE")
    await specimen.mm.madvise(START, specimen.length, "MERGEABLE")
    await specimen.write_all()


async def small_pages(specimen: Specimen) -> None:
    await specimen.mm.madvise(START, specimen.length, "NOHUGEPAGE")
    await specimen.write_all()
    await specimen.mm.madvise(START, specimen.length, "HUGEPAGE")


async def swapped(specimen: Specimen) -> None:
    await specimen.write_all()
    await specimen.mm.madvise(START, specimen.length, "PAGEOUT")


def system_call(method: str, *more: object, first: int = 0, pages: int | None = None) -> Do:
    """A system call on pages [first, first + pages) of the mapping."""

    async def do(specimen: Specimen) -> str | None:
        length = specimen.length - first * PAGE_SIZE if pages is None else pages * PAGE_SIZE
        result = await getattr(specimen.mm, method)(START + first * PAGE_SIZE, length, *more)
        return hex(result) if isinstance(result, int) else None

    return do


def touch(write: bool) -> Do:
    async def do(specimen: Specimen) -> None:
        await specimen.mm.touch(START, specimen.end, write)

    return do


def mremap(new_pages: int | None, flags: int) -> Do:
    async def do(specimen: Specimen) -> str | None:
        new = specimen.length if new_pages is None else new_pages * PAGE_SIZE
        old = specimen.length
        return hex(await specimen.mm.mremap(START, old, new, flags, START + 2 * specimen.length))

    return do


async def mmap_over(specimen: Specimen) -> str | None:
    return hex(await specimen.mm.mmap(START + 4 * PAGE_SIZE, 4 * PAGE_SIZE, flags=MAP_PRIVATE | MAP_FIXED))


async def do_fork(specimen: Specimen) -> None:
    specimen.children.append(await specimen.mm.fork("child"))


async def exit_process(specimen: Specimen) -> None:
    await specimen.mm.exit()


async def do_ftruncate(specimen: Specimen) -> None:
    file = specimen.need_file("truncate")
    if not file.has_pages:
        raise KernelError("EINVAL", "a device cannot be truncated")
    await ftruncate(file, 6)


async def punch_hole(specimen: Specimen) -> None:
    await fallocate_punch_hole(specimen.need_file("punch holes into"), 4, 4)


async def do_unmap_mapping_range(specimen: Specimen) -> None:
    await unmap_mapping_range(specimen.need_file("unmap").f_mapping, 4, 7)


async def do_zap_vma_ptes(specimen: Specimen) -> None:
    async with specimen.mm.mmap_lock.read():
        vma = specimen.mm.vma_lookup(START)
        if vma is not None:
            await zap_vma_ptes(vma, START, specimen.end)


async def gup(specimen: Specimen) -> str:
    folios = await get_user_pages(specimen.mm, START, 16, write=True)
    put_user_pages(folios)
    return f"{len(folios)} pages"


async def pin(specimen: Specimen) -> str:
    folios = await get_user_pages(specimen.mm, START, 16, write=True, pin=True, longterm=True)
    put_user_pages(folios, pin=True)
    return f"{len(folios)} pages"


async def do_clear_refs(specimen: Specimen) -> None:
    await clear_refs(specimen.mm, 4)


async def do_mbind(specimen: Specimen) -> None:
    await mbind(specimen.mm, START, specimen.length, 1, move=True)


async def numa(specimen: Specimen) -> None:
    await task_numa_work(specimen.mm)


async def ksmd(specimen: Specimen) -> None:
    await ksm_scan(specimen.mm)


async def khugepaged_pass(specimen: Specimen) -> None:
    await khugepaged_scan(specimen.mm)


async def oom_reaper(specimen: Specimen) -> str:
    return "reaped" if await oom_reap(specimen.mm) else "refused"
