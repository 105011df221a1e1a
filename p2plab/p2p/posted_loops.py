"""The two loops of the series of January 2019, as posted and as intended, transcribed for this model.

A range is a word of letters, one a page: ``R`` an ordinary page in main memory, ``D`` a page in device memory that an
ordinary vma shows (patch 4/5: one callback takes the whole run and returns how many pages it mapped), ``P`` a page of a
device vma (patch 5/5: mapped already when the loop comes by), ``.`` one that is not mapped.
Their faults are the members of :class:`PostedFault`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class PostedFault(Enum):
    """A fault of the posted series. ``ALWAYS_FALSE`` was said in review; the others are readings of the posted code.

    ``what`` says where and how. ``shortest`` is the shortest input that shows it: letters as above, ``_`` for a hole, or
    words where no range shows it.
    """

    what: str
    shortest: str

    def __new__(cls, number: int, what: str, shortest: str) -> PostedFault:
        """The value of a member is its number."""
        made = object.__new__(cls)
        made._value_, made.what, made.shortest = number, what, shortest
        return made

    ALWAYS_FALSE = 1, "1/5: pci_test_p2p answers false on every path", "any two devices below one switch"
    SLOT_ZERO = 2, "4/5 map: passes daddrs instead of &daddrs[i], so that a run in the middle overwrites slot 0", "RD"
    SKIPS_A_PAGE = 3, "4/5 map: i += ret and then ++i, so that one page after each device run is skipped", "DR"
    NO_UNWIND = 4, "5/5 unwind: p2p_unmap is never called for what was mapped before the error", "P_"
    SKIPS_IN_UNMAP = 5, "5/5 unmap: skips by the pages counted so far, not by those of this run", "RPR"
    NOT_RESET = (
        6,
        "5/5 unmap: the entry of a p2p page is not reset, so that a second unmap gives it back again",
        "P",
    )
    UNSET_RESULT = 7, "5/5: a range of device pages only returns a variable that was never set", "P"
    NO_WRITE_CHECK = (
        8,
        "5/5: a device vma is never asked whether it may be written",
        "P, mapped read-only by the process and asked for writing",
    )
    VMA_ABOVE_HOLE = (
        9,
        "5/5: find_vma may answer with the vma above a hole, which is then asked for pages that it does not have",
        "_P",
    )
    PAGE_SHIFTS_MIXED = (
        10,
        "5/5: PAGE_SHIFT and range->page_shift are mixed",
        "P, asked for in one entry of 8 KiB",
    )


#: No fault: the loops as intended.
NO_FAULTS: frozenset[PostedFault] = frozenset()
#: The value of an uninitialized variable: any number; this one is easy to recognise.
UNSET = 0x5A5A5A5A


@dataclass(frozen=True)
class Mapped:
    """What a map loop did: main-memory pages mapped, pages counted, and for each device run (page, slot passed, pages)."""

    ram: tuple[int, ...]
    counted: int
    runs: tuple[tuple[int, int, int], ...]
    returned: int


@dataclass(frozen=True)
class Unmapped:
    """What an unmap loop did: main-memory pages unmapped, device pages given back, device pages still marked after it."""

    ram: tuple[int, ...]
    device: tuple[int, ...]
    marked: tuple[int, ...]


def map_loop(pages: str, faults: frozenset[PostedFault] = NO_FAULTS) -> Mapped:
    """``hmm_range_dma_map`` of 4/5 and 5/5 over a range of pages."""
    ram, runs, counted, i = [], [], 0, 0
    while i < len(pages):
        if pages[i] == "R":
            ram.append(i)
            counted += 1
        elif pages[i] == "P":
            counted += 1
        else:
            length = _run(pages, i)
            runs.append((i, 0 if PostedFault.SLOT_ZERO in faults else i, length))
            counted += length
            i += length if PostedFault.SKIPS_A_PAGE in faults else length - 1
        i += 1
    only_device = bool(pages) and set(pages) == {"P"}
    return Mapped(
        tuple(ram), counted, tuple(runs), UNSET if PostedFault.UNSET_RESULT in faults and only_device else counted
    )


def unmap_loop(pages: str, faults: frozenset[PostedFault] = NO_FAULTS) -> Unmapped:
    """``hmm_range_dma_unmap`` of 5/5 over a range that is mapped."""
    ram: list[int] = []
    device: list[int] = []
    counted = i = 0
    while i < len(pages):
        if pages[i] == "R":
            ram.append(i)
            counted += 1
        elif pages[i] != ".":
            length = _run(pages, i)
            device += range(i, i + length)
            counted += length
            i += (counted if PostedFault.SKIPS_IN_UNMAP in faults else length) - 1
        i += 1
    return Unmapped(tuple(ram), tuple(device), tuple(device) if PostedFault.NOT_RESET in faults else ())


def _run(pages: str, start: int) -> int:
    end = start
    while end < len(pages) and pages[end] == pages[start]:
        end += 1
    return end - start
