"""Which kernel is on: event names by year, and the few differences between versions that the recordings show.

Linux 6.12 and 6.1 are checked against recordings. ``rfc2019`` is the kernel of the proposal (v5.0 with the event names
of the v4 series of 23 January 2019): its event names are stated there; the rest of its behaviour is 6.1's, inferred.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.core.errors import BadInput
from p2plab.mm.flags import MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, PMD_SIZE, PUD_SIZE

#: The v4 series "mmu notifier: provide context informations", 23 January 2019.
EVENTS_2019 = ("UNMAP", "CLEAR", "PROTECTION_VMA", "PROTECTION_PAGE", "SOFT_DIRTY")
#: include/linux/mmu_notifier.h since 5.5, 5.9 and 5.13.
EVENTS_NOW = (*EVENTS_2019, "RELEASE", "MIGRATE", "EXCLUSIVE")


@dataclass(frozen=True)
class Kernel:
    """A kernel version: one field for each difference that the model knows."""

    name: str
    events: tuple[str, ...] = EVENTS_NOW
    #: advice for madvise that came later (5.4, 5.14, 5.18, 6.1): EINVAL
    unknown_advice: tuple[str, ...] = ()
    #: flags of mremap: MREMAP_DONTUNMAP came with 5.7
    mremap_flags: int = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP
    #: ``mmu_interval_notifier`` (since 5.5)
    interval_notifiers: bool = True
    #: Page faults under a per-VMA lock instead of mmap_lock (since 6.4)
    per_vma_lock: bool = True
    #: mprotect's event starts at the first populated table of this many bytes (6.12: of PMDs; 6.1: of PTEs)
    mprotect_granule: int = PUD_SIZE
    #: mbind migrates pages while it holds mmap_lock for writing (6.1)
    mbind_holds_mmap_lock: bool = False
    #: munmap splits off what goes, and the old VMA lives on in what stays (6.1; seen only by who keeps a pointer)
    munmap_splits_off_what_goes: bool = False
    #: mmap over something takes it out of the tree before the notifier (6.1; seen only by who looks it up from within)
    mmap_unmaps_first: bool = False
    #: a moving mremap, and its event, may begin at the 2 MiB edge below (since 6.7)
    mremap_realigns: bool = True
    #: NUMA balancing leaves files of tmpfs out: they have a policy callback, which knows of none (6.1)
    numa_skips_tmpfs: bool = False
    #: MADV_POPULATE_* goes on after a hole, and answers ENOMEM in the end (6.1)
    populate_skips_holes: bool = False

    def __str__(self) -> str:
        return self.name


LINUX_6_12 = Kernel("6.12")
_UNTIL_6_1 = {
    "per_vma_lock": False,
    "mprotect_granule": PMD_SIZE,
    "mbind_holds_mmap_lock": True,
    "munmap_splits_off_what_goes": True,
    "mmap_unmaps_first": True,
    "mremap_realigns": False,
    "numa_skips_tmpfs": True,
    "populate_skips_holes": True,
}
LINUX_6_1 = Kernel("6.1", **_UNTIL_6_1)  # type: ignore[arg-type]
RFC2019 = Kernel(
    "rfc2019",
    events=EVENTS_2019,
    unknown_advice=("COLD", "PAGEOUT", "POPULATE_READ", "POPULATE_WRITE", "DONTNEED_LOCKED", "COLLAPSE"),
    mremap_flags=MREMAP_MAYMOVE | MREMAP_FIXED,
    interval_notifiers=False,
    **_UNTIL_6_1,  # type: ignore[arg-type]
)

KERNELS = {kernel.name: kernel for kernel in (LINUX_6_12, LINUX_6_1, RFC2019)}


def kernel_named(name: str) -> Kernel:
    """The kernel of that name; :exc:`BadInput` lists the names."""
    if name not in KERNELS:
        raise BadInput(f"no kernel {name[:40]!r}; there are {', '.join(KERNELS)}")
    return KERNELS[name]
