"""The two loops of the series of January 2019, as posted and as intended, in a transcription of our own.

A range is a word of letters, one a page: ``R`` an ordinary page in main memory, ``D`` a page in device memory that an
ordinary vma shows (patch 4/5: one callback takes the whole run and returns how many pages it mapped), ``P`` a page of a
device vma (patch 5/5: mapped already when the loop comes by), ``.`` one that is not mapped.
Faults are numbered as in :data:`FAULTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

#: The posted series' faults. 1 was said in review; the others are readings of the posted code, inferred.
FAULTS: dict[int, str] = {
    1: "1/5: pci_test_p2p answers false on every path",
    2: "4/5 map: passes daddrs instead of &daddrs[i], so that a run in the middle overwrites slot 0",
    3: "4/5 map: i += ret and then ++i, so that one page after each device run is skipped",
    4: "5/5 unwind: p2p_unmap is never called for what was mapped before the error",
    5: "5/5 unmap: skips by the pages counted so far, not by those of this run",
    6: "5/5 unmap: the entry of a p2p page is not reset, so that a second unmap gives it back again",
    7: "5/5: a range of device pages only returns a variable that was never set",
    8: "5/5: a device vma is never asked whether it may be written",
    9: "5/5: find_vma may answer with the vma above a hole, which is then asked for pages that it does not have",
    10: "5/5: PAGE_SHIFT and range->page_shift are mixed",
}
#: The shortest input that shows each fault: letters as above, ``_`` for a hole, or words where no range shows it.
SHORTEST: dict[int, str] = {
    1: "any two devices below one switch",
    2: "RD",
    3: "DR",
    4: "P_",
    5: "RPR",
    6: "P",
    7: "P",
    8: "P, mapped read-only by the process and asked for writing",
    9: "_P",
    10: "P, asked for in one entry of 8 KiB",
}
#: What stands in a variable that was never set: any number; the model takes one that is easy to recognise.
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


def map_loop(pages: str, faults: frozenset[int] = frozenset()) -> Mapped:
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
            runs.append((i, 0 if 2 in faults else i, length))
            counted += length
            i += length if 3 in faults else length - 1
        i += 1
    only_device = bool(pages) and set(pages) == {"P"}
    return Mapped(tuple(ram), counted, tuple(runs), UNSET if 7 in faults and only_device else counted)


def unmap_loop(pages: str, faults: frozenset[int] = frozenset()) -> Unmapped:
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
            i += (counted if 5 in faults else length) - 1
        i += 1
    return Unmapped(tuple(ram), tuple(device), tuple(device) if 6 in faults else ())


def shortest_input(fault: int, longest: int = 6) -> str | None:
    """The shortest range on which one loop with this fault does something else than without; None if none is so short."""
    loops: tuple[Callable[[str, frozenset[int]], object], ...] = (map_loop, unmap_loop)
    for pages in _words(longest):
        for loop in loops:
            if loop(pages, frozenset({fault})) != loop(pages, frozenset()):
                return pages
    return None


def _words(longest: int) -> Iterator[str]:
    for length in range(1, longest + 1):
        yield from ("".join(letters) for letters in product("RDP", repeat=length))


def _run(pages: str, start: int) -> int:
    end = start
    while end < len(pages) and pages[end] == pages[start]:
        end += 1
    return end - start
