"""More operations that can be asked about: system calls beyond the everyday ones, each with the source of its rule."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from p2plab.mm import userfaultfd
from p2plab.mm.ask_stage import START, Do, Stage, only_read, untouched, written
from p2plab.mm.flags import PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE
from p2plab.mm.pkeys import pkey_alloc
from p2plab.mm.remote import proc_mem_write, process_vm_writev
from p2plab.mm.sys_madvise import process_madvise
from p2plab.mm.sys_mlock import mlock, mlockall
from p2plab.mm.sys_mprotect import mprotect
from p2plab.mm.sys_mseal import mseal
from p2plab.mm.sys_msync import MS_SYNC, msync
from p2plab.mm.sys_prctl import set_anon_name
from p2plab.mm.sys_remap_file_pages import remap_file_pages

Prepare = Callable[[Stage], Awaitable[None]]

PART = (START + 4 * PAGE_SIZE, 4 * PAGE_SIZE)


def _protect(advice: str) -> Do:
    async def do(stage: Stage) -> None:
        await stage.mm.madvise(*PART, advice)

    return do


async def _process_madvise(stage: Stage) -> None:
    await process_madvise(stage.mm, *PART, "DONTNEED")


async def _sealed(stage: Stage) -> None:
    await stage.write_all()
    await mseal(stage.mm, *PART)


async def _mseal(stage: Stage) -> None:
    await mseal(stage.mm, *PART)


async def _munmap(stage: Stage) -> None:
    await stage.mm.munmap(START, stage.length)


async def _registered(stage: Stage) -> None:
    await stage.write_all()
    await userfaultfd.register(stage.mm, START, stage.length, userfaultfd.MODE_WP)


async def _register(stage: Stage) -> None:
    await userfaultfd.register(stage.mm, START, stage.length, userfaultfd.MODE_MISSING)


async def _writeprotect(stage: Stage) -> None:
    await userfaultfd.writeprotect(stage.mm, START, stage.length, True)


async def _move_prepared(stage: Stage) -> None:
    await stage.mm.touch(START, START + 4 * PAGE_SIZE, True)
    await userfaultfd.register(stage.mm, START + 8 * PAGE_SIZE, stage.length - 8 * PAGE_SIZE, userfaultfd.MODE_MISSING)


async def _move(stage: Stage) -> None:
    await userfaultfd.move(stage.mm, START + 8 * PAGE_SIZE, START, 4 * PAGE_SIZE)


async def _copy_prepared(stage: Stage) -> None:
    await userfaultfd.register(stage.mm, START, stage.length, userfaultfd.MODE_MISSING)


async def _copy(stage: Stage) -> None:
    await userfaultfd.copy(stage.mm, *PART)


async def _pkey_mprotect(stage: Stage) -> None:
    await mprotect(stage.mm, *PART, PROT_READ | PROT_WRITE, pkey_alloc(stage.mm))


async def _execute_only(stage: Stage) -> None:
    await mprotect(stage.mm, *PART, PROT_EXEC)


async def _mlock2(stage: Stage) -> None:
    await mlock(stage.mm, START, stage.length, onfault=True)


async def _mlockall(stage: Stage) -> None:
    await mlockall(stage.mm, 1)


async def _remap_file_pages(stage: Stage) -> None:
    await remap_file_pages(stage.mm, *PART, 8)


async def _vfork(stage: Stage) -> None:
    """The child of vfork, or of clone(CLONE_VM), writes: in the parent's own memory."""
    await stage.mm.touch(START, stage.end, True)


async def _proc_mem(stage: Stage) -> str:
    return f"{await proc_mem_write(stage.mm, *PART) // PAGE_SIZE} pages"


async def _read_only(stage: Stage) -> None:
    await only_read(stage)
    await stage.mm.mprotect(START, stage.length, PROT_READ)


async def _writev(stage: Stage) -> str:
    return f"{await process_vm_writev(stage.mm, *PART) // PAGE_SIZE} pages"


async def _msync(stage: Stage) -> None:
    await msync(stage.mm, START, stage.length, MS_SYNC)


async def _name(stage: Stage) -> None:
    await set_anon_name(stage.mm, *PART, "heap")


#: name, what is done, source, how to do it, how memory is prepared
MORE: list[tuple[str, str, str, Do, Prepare]] = [
    (
        "guard_install",
        "make pages 4 to 8 guard pages",
        "mm/madvise.c madvise_guard_install",
        _protect("GUARD_INSTALL"),
        written,
    ),
    (
        "guard_install_unpopulated",
        "the same where nobody touched them",
        "mm/madvise.c madvise_guard_install",
        _protect("GUARD_INSTALL"),
        untouched,
    ),
    ("process_madvise", "drop one's own pages 4 to 8", "mm/madvise.c process_madvise", _process_madvise, written),
    ("mseal", "seal pages 4 to 8", "mm/mseal.c do_mseal", _mseal, written),
    ("munmap_sealed", "unmap a VMA of which a part is sealed", "mm/vma.c vms_gather_munmap_vmas", _munmap, _sealed),
    ("pkey_mprotect", "give pages 4 to 8 a protection key", "mm/mprotect.c do_mprotect_pkey", _pkey_mprotect, written),
    (
        "mprotect_x",
        "let pages 4 to 8 only be executed",
        "arch/x86/mm/pkeys.c __execute_only_pkey",
        _execute_only,
        written,
    ),
    ("mlock2_onfault", "lock what comes in later", "mm/mlock.c mlock2", _mlock2, untouched),
    ("mlockall", "lock and populate everything", "mm/mlock.c mlockall", _mlockall, untouched),
    (
        "remap_file_pages",
        "file pages 8 to 12 at pages 4 to 8",
        "mm/mmap.c remap_file_pages",
        _remap_file_pages,
        written,
    ),
    ("vfork_write", "the child of vfork writes every page", "kernel/fork.c copy_mm, CLONE_VM", _vfork, only_read),
    ("proc_mem_write", "a debugger writes to read-only pages", "fs/proc/base.c mem_rw", _proc_mem, _read_only),
    ("process_vm_writev", "another process writes to pages 4 to 8", "mm/process_vm_access.c", _writev, only_read),
    ("msync", "write back now", "mm/msync.c", _msync, written),
    ("set_anon_name", "name pages 4 to 8", "mm/madvise.c madvise_set_anon_name", _name, written),
    (
        "uffd_register",
        "userfaultfd serves missing pages",
        "fs/userfaultfd.c userfaultfd_register",
        _register,
        untouched,
    ),
    ("uffd_copy", "userfaultfd brings pages 4 to 8 in", "mm/userfaultfd.c mfill_atomic_copy", _copy, _copy_prepared),
    (
        "uffd_writeprotect",
        "userfaultfd write-protects all",
        "mm/userfaultfd.c mwriteprotect_range",
        _writeprotect,
        _registered,
    ),
    ("uffd_move", "userfaultfd moves pages 0 to 4 to 8", "mm/userfaultfd.c move_pages", _move, _move_prepared),
]
