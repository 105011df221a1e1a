"""Shrinking a file and punching holes into it, as tmpfs does (mm/shmem.c): every process that maps the part is notified."""

from __future__ import annotations

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.file import File
from p2plab.mm.flags import PTRS_PER_PTE
from p2plab.mm.zap import unmap_mapping_range

#: beyond every page of every file
FAR = (1 << 51) - 1


async def ftruncate(file: File, pages: int) -> None:
    """Set the file's size. Shrinking zaps twice, private copies too: pages may have come in between."""
    if pages < 0:
        raise KernelError("EINVAL", f"a file cannot have {pages} pages")
    mapping = file.f_mapping
    await step(f"ftruncate {file.name} to {pages} pages")
    shrinks = pages < mapping.i_size
    mapping.i_size = pages
    if not shrinks:
        return
    await unmap_mapping_range(mapping, pages, FAR)
    _drop(file, pages, FAR)
    await unmap_mapping_range(mapping, pages, FAR)


async def fallocate_punch_hole(file: File, first: int, pages: int) -> None:
    """Drop file pages [first, first + pages). CLEAR in every VMA of the part, though private copies stay.

    EINVAL for an empty hole, ENODEV for a device.
    """
    if not file.can_punch:
        raise KernelError("ENODEV", f"{file.name} is a device: no holes can be punched")
    if first < 0 or pages <= 0:
        raise KernelError("EINVAL", f"{pages} pages from {first} are no hole")
    if file.f_mapping.hugetlb:  # only whole huge pages go
        end = (first + pages) // PTRS_PER_PTE * PTRS_PER_PTE
        first = -(-first // PTRS_PER_PTE) * PTRS_PER_PTE
        pages = end - first
    await unmap_mapping_range(file.f_mapping, first, first + pages - 1, even_cows=file.f_mapping.hugetlb)
    _drop(file, first, first + pages - 1)


def _drop(file: File, first: int, last: int) -> None:
    """Out of the page cache."""
    pages = file.f_mapping.pages
    for index in [index for index in pages if first <= index <= last]:
        del pages[index]
