"""An address space at one moment as an immutable value: for before-and-after pictures and for comparisons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2plab.mm.flags import PAGE_SIZE, PMD_SIZE, ULONG_MAX, flag_names, perms
from p2plab.mm.folio import HugePmd, Pte

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace
    from p2plab.mm.vma import Vma

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class VmaShot:
    """One VMA: bytes [start, end); the ranges of its present, writable, huge and swapped pages, in bytes."""

    start: int
    end: int
    pgoff: int
    perms: str
    name: str
    flags: tuple[str, ...]
    present: Ranges
    writable: Ranges
    huge: Ranges
    swapped: Ranges


@dataclass(frozen=True, slots=True)
class SpaceShot:
    """All VMAs of an address space that meet the range asked for."""

    name: str
    vmas: tuple[VmaShot, ...]


def snapshot(mm: AddressSpace, start: int = 0, end: int = ULONG_MAX) -> SpaceShot:
    """How ``mm`` looks now between two addresses; changes nothing."""
    return SpaceShot(mm.name, tuple(_shot(vma) for vma in mm.vmas_in(start, end)))


def _shot(vma: Vma) -> VmaShot:
    present: list[tuple[int, int]] = []
    writable: list[tuple[int, int]] = []
    huge: list[tuple[int, int]] = []
    swapped: list[tuple[int, int]] = []
    table = vma.vm_mm.page_table
    for base, content in table.pmds_in(vma.vm_start, vma.vm_end):
        if isinstance(content, HugePmd):
            for ranges in (present, huge, *([writable] if content.write else [])):
                ranges.append((base, base + PMD_SIZE))
    for address, entry in table.entries_in(vma.vm_start, vma.vm_end):
        page = (address, address + PAGE_SIZE)
        if not isinstance(entry, Pte):
            swapped.append(page)
            continue
        present.append(page)
        if entry.write:
            writable.append(page)
    name = vma.vm_file.name if vma.vm_file is not None else ""
    what = (vma.vm_start, vma.vm_end, vma.vm_pgoff, perms(vma.vm_flags), name, flag_names(vma.vm_flags))
    return VmaShot(*what, joined(present), joined(writable), joined(huge), joined(swapped))


def joined(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same ranges, sorted, and those that touch made one.

    >>> joined([(8, 9), (0, 4), (4, 8)])
    ((0, 9),)
    """
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(found)
