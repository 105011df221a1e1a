"""Where each kernel has the rule of an operation: the operations name today's function, older kernels had others.

6.1 and 6.12 were read for every name. 5.0 was read for munmap alone (``__do_munmap``); for the rest its source is
6.1's, inferred, as its behaviour is (:mod:`p2plab.mm.kernel`).
"""

from __future__ import annotations

from collections.abc import Mapping

_ABSENT = "this kernel does not have it"
_SPLIT = "mm/mmap.c do_mas_align_munmap, __split_vma"
_MPROTECT = "mm/mprotect.c change_pmd_range"

#: Today's source -> kernel -> that kernel's, where it is another one. 6.1's holds for rfc2019 too, unless that has its own.
_ELSEWHERE: Mapping[str, Mapping[str, str]] = {
    "mm/vma.c vms_complete_munmap_vmas": {
        "6.1": "mm/mmap.c do_mas_align_munmap",
        "rfc2019": "mm/mmap.c __do_munmap",
    },
    "mm/vma.c vms_gather_munmap_vmas": {"6.1": _SPLIT, "rfc2019": "mm/mmap.c __do_munmap, __split_vma"},
    "mm/vma.c __mmap_region": {"6.12": "mm/mmap.c mmap_region", "6.1": "mm/mmap.c mmap_region"},
    "mm/mprotect.c change_pud_range": {"6.1": _MPROTECT},
    "mm/mremap.c move_page_tables, then do_vmi_munmap": {"6.1": "mm/mremap.c move_page_tables, then do_munmap"},
    "mm/mremap.c move_vma; refused in check_prep_vma": {
        "6.12": "mm/mremap.c move_vma; refused in vma_to_resize",
        "6.1": "mm/mremap.c move_vma; refused in vma_to_resize",
        "rfc2019": "mm/mremap.c mremap (the flag is unknown)",
    },
    "mm/mremap.c check_prep_vma": {"6.12": "mm/mremap.c vma_to_resize", "6.1": "mm/mremap.c vma_to_resize"},
    "mm/memory.c zap_special_vma_range": {"6.12": "mm/memory.c zap_vma_ptes", "6.1": "mm/memory.c zap_vma_ptes"},
    "mm/gup.c faultin_page_range": {"6.1": "mm/gup.c faultin_vma_page_range"},
    "mm/memory.c do_pte_missing": {"6.1": "mm/memory.c handle_pte_fault"},
    "mm/userfaultfd.c mfill_atomic_copy": {"6.1": "mm/userfaultfd.c mcopy_atomic"},
    "mm/userfaultfd.c move_pages": {"6.1": _ABSENT},
    "mm/mseal.c do_mseal": {"6.1": _ABSENT},
    "mm/madvise.c madvise_guard_install": {"6.12": _ABSENT, "6.1": _ABSENT},
}


def source_in(source: str, kernel: str) -> str:
    """Where the kernel of that name (``6.1``) has the rule whose source today is ``source``."""
    elsewhere = _ELSEWHERE.get(source, {})
    if kernel in elsewhere:
        return elsewhere[kernel]
    if kernel != "rfc2019":
        return source
    as_later = elsewhere.get("6.1", source)
    return as_later if as_later == _ABSENT else f"{as_later} (of 6.1, inferred)"
