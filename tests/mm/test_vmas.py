"""VMAs: what splits, what merges, what moves, and what the kernel refuses."""

import pytest

from p2plab.core.errors import KernelError
from p2plab.mm import (
    LINUX_6_12,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PROT_READ,
    PROT_WRITE,
    AddressSpace,
    File,
    Memory,
    PfnFile,
)
from p2plab.mm.flags import PROT_EXEC, VM_MAYWRITE, perms
from p2plab.mm.snapshot import snapshot

BASE = 0x7F00_0000_0000
PAGE = 4096
FIXED = MAP_PRIVATE | MAP_FIXED
RW = PROT_READ | PROT_WRITE


def layout(mm):
    """The VMAs in pages, as /proc/pid/maps would list them."""
    rows = []
    for vma in mm.vmas:
        row = ((vma.vm_start - BASE) // PAGE, (vma.vm_end - BASE) // PAGE, perms(vma.vm_flags))
        rows.append(row if vma.is_anonymous else (*row, vma.vm_pgoff))
    return rows


async def process(*, memory=None, kernel=LINUX_6_12):
    """16 pages of anonymous memory."""
    mm = AddressSpace(kernel=kernel, memory=memory)
    await mm.mmap(BASE, 16 * PAGE, flags=FIXED)
    return mm


def test_mprotect_there_and_back_merges_again(alone):
    """Anonymous memory splits where the protection differs and becomes one again; a device's stays split."""

    async def story():
        mm = await process()
        await mm.mmap(BASE + 32 * PAGE, 16 * PAGE, flags=MAP_SHARED | MAP_FIXED, file=PfnFile("bar", 64))
        for start in (0, 32):
            await mm.mprotect(BASE + (start + 4) * PAGE, 4 * PAGE, PROT_READ)
        assert layout(mm)[:3] == [(0, 4, "rw-p"), (4, 8, "r--p"), (8, 16, "rw-p")]
        for start in (0, 32):
            await mm.mprotect(BASE + (start + 4) * PAGE, 4 * PAGE, RW)
        assert layout(mm) == [(0, 16, "rw-p"), (32, 36, "rw-s", 0), (36, 40, "rw-s", 4), (40, 48, "rw-s", 8)]
        mm._check()

    alone(story)


def test_memory_that_both_sides_wrote_by_themselves_does_not_merge(alone):
    """Two VMAs with pages of different families (anon_vma) stay two, though equal in everything one can see."""

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, 4 * PAGE, flags=FIXED)
        await mm.mmap(BASE + 8 * PAGE, 4 * PAGE, flags=FIXED)
        await mm.touch(BASE, BASE + PAGE, True)
        await mm.touch(BASE + 8 * PAGE, BASE + 9 * PAGE, True)
        await mm.mmap(BASE + 4 * PAGE, 4 * PAGE, flags=FIXED)
        assert layout(mm) == [(0, 8, "rw-p"), (8, 12, "rw-p")]
        mm._check()

    alone(story)


def test_mremap_keeps_the_file_offset(alone):
    """After a move the same bytes of the object are found from vm_pgoff, not from the address (invariant 6)."""

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, 16 * PAGE, flags=MAP_SHARED | MAP_FIXED, file=PfnFile("bar", 64))
        await mm.mremap(BASE + 4 * PAGE, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, BASE + 64 * PAGE)
        assert layout(mm) == [(0, 4, "rw-s", 0), (8, 16, "rw-s", 8), (64, 68, "rw-s", 4)]
        assert mm.find_vma(BASE + 64 * PAGE).pgoff_of(BASE + 66 * PAGE) == 6

    alone(story)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda mm: mm.munmap(BASE + 1, PAGE), "EINVAL"),
        (lambda mm: mm.munmap(BASE, 0), "EINVAL"),
        (lambda mm: mm.munmap(1 << 47, PAGE), "EINVAL"),
        (lambda mm: mm.mmap(BASE, 0), "EINVAL"),
        (lambda mm: mm.mmap(BASE + 1, PAGE, flags=FIXED), "EINVAL"),
        (lambda mm: mm.mmap(1 << 47, PAGE, flags=FIXED), "ENOMEM"),
        (lambda mm: mm.mprotect(BASE + 1, PAGE, RW), "EINVAL"),
        (lambda mm: mm.mprotect(BASE - PAGE, PAGE, RW), "ENOMEM"),
        (lambda mm: mm.mremap(BASE - PAGE, PAGE, PAGE), "EFAULT"),
        (lambda mm: mm.mremap(BASE, 32 * PAGE, 40 * PAGE), "EFAULT"),
        (lambda mm: mm.mremap(BASE, PAGE, 0), "EINVAL"),
        (lambda mm: mm.mremap(BASE, PAGE, PAGE, 64), "EINVAL"),
        (lambda mm: mm.mremap(BASE, PAGE, PAGE, MREMAP_FIXED, BASE + 64 * PAGE), "EINVAL"),
        (lambda mm: mm.mremap(BASE, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP), "EINVAL"),
        (lambda mm: mm.mremap(BASE, 8 * PAGE, 8 * PAGE, 3, BASE + 4 * PAGE), "EINVAL"),
        (lambda mm: mm.mremap(BASE, 4 * PAGE, 8 * PAGE, 0), "ENOMEM"),
        (lambda mm: mm.mremap(BASE + 8 * PAGE, 0, PAGE, 3, BASE + 64 * PAGE), "EINVAL"),
        (lambda mm: mm.madvise(BASE, PAGE, "NONSENSE"), "EINVAL"),
        (lambda mm: mm.madvise(BASE + 1, PAGE, "DONTNEED"), "EINVAL"),
        (lambda mm: mm.madvise(BASE, PAGE, "REMOVE"), "EINVAL"),
        (lambda mm: mm.mlock(BASE - PAGE, PAGE), "ENOMEM"),
        (lambda mm: mm.munlock(BASE - PAGE, PAGE), "ENOMEM"),
    ],
)
def test_what_the_kernel_refuses_changes_nothing(alone, call, error):
    """The errno, a sentence with the numbers, and everything as it was."""

    async def story():
        mm = await process()
        before = snapshot(mm)
        with pytest.raises(KernelError) as refusal:
            await call(mm)
        assert refusal.value.name == error
        assert len(refusal.value.sentence) > 10
        assert snapshot(mm) == before
        mm._check()

    alone(story)


def test_a_vma_that_may_never_be_written_stays_so(alone):
    """EACCES: VM_MAYWRITE was taken away, as for a file opened for reading."""

    class ReadOnly(File):
        async def mmap(self, vma):
            vma.vm_flags &= ~VM_MAYWRITE

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, ReadOnly("rom", 1))
        with pytest.raises(KernelError, match="EACCES"):
            await mm.mprotect(BASE, PAGE, RW)
        await mm.mprotect(BASE, PAGE, PROT_READ | PROT_EXEC)
        assert layout(mm) == [(0, 1, "r-xs", 0)]

    alone(story)


def test_a_driver_that_refuses_mmap_leaves_no_vma(alone):
    """The error of f_op->mmap comes through, and the address is free as before."""

    class Broken(File):
        async def mmap(self, vma):
            raise KernelError("ENODEV", "the device is gone")

    async def story():
        mm = AddressSpace()
        with pytest.raises(KernelError, match="ENODEV"):
            await mm.mmap(BASE, PAGE, flags=MAP_SHARED | MAP_FIXED, file=Broken("dead", 1))
        assert mm.vmas == []
        mm._check()

    alone(story)


def test_the_map_count_limit_is_enomem(alone):
    """vm.max_map_count: no further mapping, and no cutting of a hole."""

    async def story():
        mm = await process(memory=Memory(max_map_count=2))
        await mm.mmap(BASE + 32 * PAGE, PAGE, flags=FIXED)
        for refused in (mm.mmap(BASE + 64 * PAGE, PAGE, flags=FIXED), mm.munmap(BASE + PAGE, PAGE)):
            with pytest.raises(KernelError, match="max_map_count"):
                await refused
        mm._check()

    alone(story)


def test_the_kernel_chooses_from_the_top(alone):
    """Without an address: below what is there, a hint where it is free, and a gap that fits before a new low."""

    async def story():
        mm = AddressSpace()
        first = await mm.mmap(None, 4 * PAGE)
        second = await mm.mmap(None, 4 * PAGE)
        assert second == first - 4 * PAGE
        assert await mm.mmap(BASE, PAGE) == BASE
        assert await mm.mmap(BASE, PAGE) != BASE
        await mm.munmap(second, 4 * PAGE)
        assert await mm.mmap(None, 2 * PAGE) > second - PAGE
        mm._check()

    alone(story)
