"""Which kernel is on: event names by year, and the few differences between versions that the recordings show.

Linux 7.3 ("today"), 6.12 and 6.1 are checked against recordings. ``rfc2019`` is the kernel of the proposal (v5.0 with
the event names of the v4 series of 23 January 2019): its event names are stated there; the rest of its behaviour is
6.1's, inferred.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from p2plab.core import kernels
from p2plab.mm.flags import MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, PMD_SIZE, PUD_SIZE

#: The v4 series "mmu notifier: provide context informations", 23 January 2019.
EVENTS_2019 = ("UNMAP", "CLEAR", "PROTECTION_VMA", "PROTECTION_PAGE", "SOFT_DIRTY")
#: include/linux/mmu_notifier.h since 5.5, 5.9 and 5.13.
EVENTS_NOW = (*EVENTS_2019, "RELEASE", "MIGRATE", "EXCLUSIVE")


def _rule(default: Any, since: str, source: str, what: str) -> Any:
    """A field that says since when the kernel does it (or did it not), in which function, and what it is."""
    return field(default=default, metadata={"since": since, "source": source, "what": what})


@dataclass(frozen=True)
class Kernel:
    """A kernel version: one field for each difference that the model knows. :func:`rules` lists them with sources."""

    name: str
    events: tuple[str, ...] = EVENTS_NOW
    unknown_advice: tuple[str, ...] = _rule(
        (), "5.4 to 6.13", "mm/madvise.c madvise_behavior_valid", "advice for madvise that came later: EINVAL"
    )
    mremap_flags: int = _rule(
        MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
        "5.7",
        "mm/mremap.c mremap",
        "the flags of mremap: MREMAP_DONTUNMAP came with 5.7",
    )
    interval_notifiers: bool = _rule(
        True, "5.5", "mm/mmu_notifier.c mmu_interval_notifier_insert", "there are mmu_interval_notifiers"
    )
    per_vma_lock: bool = _rule(
        True,
        "6.4",
        "arch/x86/mm/fault.c do_user_addr_fault, lock_vma_under_rcu",
        "page faults under the VMA's own lock instead of mmap_lock",
    )
    mprotect_granule: int = _rule(
        PUD_SIZE,
        "6.11",
        "mm/mprotect.c change_pud_range",
        "mprotect's event starts at the first table of PMDs; until then at the first table of PTEs or huge page",
    )
    mbind_holds_mmap_lock: bool = _rule(
        False,
        "6.7",
        "mm/mempolicy.c do_mbind, do_migrate_pages",
        "mbind and migrate_pages let mmap_lock go before they migrate",
    )
    munmap_splits_off_what_goes: bool = _rule(
        False,
        "6.12",
        "mm/vma.c vms_gather_munmap_vmas",
        "munmap splits off the part that stays; before, the part that goes (seen only through a kept pointer)",
    )
    mmap_unmaps_first: bool = _rule(
        False,
        "6.12",
        "mm/vma.c vms_clean_up_area",
        "mmap over something calls listeners while the old VMA is in the tree; before, it was out of it",
    )
    mremap_realigns: bool = _rule(
        True,
        "6.7",
        "mm/mremap.c try_realign_addr",
        "a moving mremap, and its event, may begin at the 2 MiB edge below",
    )
    numa_skips_tmpfs: bool = _rule(
        False, "6.7", "mm/mempolicy.c vma_policy_mof", "NUMA balancing scans files of tmpfs too"
    )
    populate_skips_holes: bool = _rule(
        False,
        "6.10",
        "mm/madvise.c madvise_populate",
        "MADV_POPULATE_* stops at a hole; until then it went on after it",
    )
    madvise_vma_lock: bool = _rule(
        True,
        "6.17",
        "mm/madvise.c try_vma_read_lock",
        "DONTNEED and FREE of one VMA's pages under the VMA's own lock instead of mmap_lock",
    )
    mremap_checks_first: bool = _rule(
        True,
        "6.17",
        "mm/mremap.c check_mremap_params, check_prep_vma",
        "mremap refuses (EINVAL for a bad place, EFAULT) before it unmaps what is at the new place",
    )
    mremap_moves_vmas: bool = _rule(
        True, "6.17", "mm/mremap.c remap_move", "a fixed mremap of equal length moves several VMAs at once"
    )
    split_maps_zeropage: bool = _rule(
        True,
        "6.12",
        "mm/migrate.c try_to_map_unused_to_zeropage",
        "where a huge page is split, its pages of zeroes become the page of zeroes: a later write copies",
    )
    has_mseal: bool = _rule(True, "6.10", "mm/mseal.c do_mseal", "there is mseal: sealed VMAs refuse to change (EPERM)")
    uffd_moves: bool = _rule(True, "6.8", "mm/userfaultfd.c move_pages", "userfaultfd can move pages")
    uffd_moves_batched: bool = _rule(
        True,
        "6.18",
        "mm/userfaultfd.c move_pages_ptes",
        "userfaultfd moves pages of one table together: one CLEAR for all; until then one a page",
    )
    proc_mem_forces: bool = _rule(
        True,
        "6.12",
        "fs/proc/base.c proc_mem_foll_force",
        "/proc/PID/mem writes to private memory that is read-only (until 6.12 always; then CONFIG_PROC_MEM_*)",
    )
    process_madvise_takes_all: bool = _rule(
        True, "6.13", "mm/madvise.c process_madvise", "process_madvise of the caller's own memory takes all advice"
    )
    anon_vma_names: bool = _rule(
        True, "5.17", "mm/madvise.c madvise_set_anon_name", "anonymous VMAs can have names (CONFIG_ANON_VMA_NAME)"
    )
    huge_zero_page_copies_whole: bool = _rule(
        True,
        "6.13",
        "mm/huge_memory.c do_huge_zero_wp_pmd",
        "a write to the huge page of zeroes allocates a huge page; until then it was split, and one page copied",
    )
    folio_split_clears_once: bool = _rule(
        True,
        "6.17",
        "mm/rmap.c try_to_migrate_one, split_huge_pmd_locked",
        "the split of a huge page raises one CLEAR for each VMA; until then also one for its entry",
    )
    collapse_needs_writable: bool = _rule(
        False,
        "6.18",
        "mm/khugepaged.c hpage_collapse_scan_pmd, SCAN_PAGE_RO",
        "MADV_COLLAPSE and khugepaged take read-only entries too; until then one of them had to be writable",
    )
    collapse_skips_empty: bool = _rule(
        True,
        "7.3",
        "mm/khugepaged.c madvise_collapse, SCAN_PMD_NONE",
        "MADV_COLLAPSE goes on after 2 MiB without entries; until then it ended there",
    )
    collapse_of_nothing_succeeds: bool = _rule(
        True, "7.3", "mm/khugepaged.c madvise_collapse", "MADV_COLLAPSE of a range without a whole 2 MiB answers 0"
    )
    mapped_shared: str = _rule(
        "mms",
        "6.7, 6.15",
        "mm/madvise.c madvise_cold_or_pageout_pte_range, folio_maybe_mapped_shared",
        "when a huge page counts as shared: by the address spaces that map it; a guess in 6.12; by the one page in 6.1",
    )

    def __str__(self) -> str:
        return self.name

    def changes_to(self, other: Kernel) -> tuple[KernelRule, ...]:
        """The rules in which the two differ, in the order of the fields."""
        return tuple(rule for rule in RULES if getattr(self, rule.name) != getattr(other, rule.name))


@dataclass(frozen=True)
class KernelRule:
    """One difference between versions: the field of :class:`Kernel`, since when, the kernel's function, what it is."""

    name: str
    since: str
    source: str
    what: str


RULES = tuple(KernelRule(f.name, **f.metadata) for f in fields(Kernel) if f.metadata)

LINUX_7_3 = Kernel("7.3")
_UNTIL_6_12: dict[str, Any] = {
    "madvise_vma_lock": False,
    "mremap_checks_first": False,
    "mremap_moves_vmas": False,
    "huge_zero_page_copies_whole": False,
    "process_madvise_takes_all": False,
    "uffd_moves_batched": False,
    "unknown_advice": ("GUARD_INSTALL", "GUARD_REMOVE"),
    "folio_split_clears_once": False,
    "mapped_shared": "guess",
    "collapse_needs_writable": True,
    "collapse_skips_empty": False,
    "collapse_of_nothing_succeeds": False,
}
LINUX_6_12 = Kernel("6.12", **_UNTIL_6_12)
_UNTIL_6_1: dict[str, Any] = {
    **_UNTIL_6_12,
    "per_vma_lock": False,
    "mprotect_granule": PMD_SIZE,
    "mbind_holds_mmap_lock": True,
    "munmap_splits_off_what_goes": True,
    "mmap_unmaps_first": True,
    "mremap_realigns": False,
    "numa_skips_tmpfs": True,
    "populate_skips_holes": True,
    "split_maps_zeropage": False,
    "mapped_shared": "page",
    "has_mseal": False,
    "uffd_moves": False,
}
LINUX_6_1 = Kernel("6.1", **_UNTIL_6_1)
RFC2019 = Kernel(
    "rfc2019",
    **_UNTIL_6_1
    | {
        "events": EVENTS_2019,
        "unknown_advice": (
            "GUARD_INSTALL",
            "GUARD_REMOVE",
            "COLD",
            "PAGEOUT",
            "POPULATE_READ",
            "POPULATE_WRITE",
            "DONTNEED_LOCKED",
            "COLLAPSE",
        ),
        "mremap_flags": MREMAP_MAYMOVE | MREMAP_FIXED,
        "interval_notifiers": False,
        "anon_vma_names": False,
    },
)
#: What "today" means where the word is used.
TODAY = LINUX_7_3

KERNELS = {kernel.name: kernel for kernel in (LINUX_7_3, LINUX_6_12, LINUX_6_1, RFC2019)}
assert TODAY.name == kernels.TODAY


def kernel_named(name: str) -> Kernel:
    """The kernel of that name; :exc:`BadInput` lists the names."""
    return kernels.named(KERNELS, name)
