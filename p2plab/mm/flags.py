"""Page geometry and ``vm_flags``, with the kernel's names and the kernel's numbers (x86-64)."""

from __future__ import annotations

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT  #: bytes
PMD_SHIFT = 21
PMD_SIZE = 1 << PMD_SHIFT  #: 2 MiB: what one table of PTEs, or one huge page, covers
PUD_SHIFT = 30
PUD_SIZE = 1 << PUD_SHIFT  #: 1 GiB: what one table of PMDs covers
PTRS_PER_PTE = PMD_SIZE // PAGE_SIZE
TASK_SIZE = (1 << 47) - PAGE_SIZE  #: user addresses are below this
ULONG_MAX = (1 << 64) - 1

VM_READ = 0x1
VM_WRITE = 0x2
VM_EXEC = 0x4
VM_SHARED = 0x8
VM_MAYREAD = 0x10
VM_MAYWRITE = 0x20
VM_MAYEXEC = 0x40
VM_MAYSHARE = 0x80
VM_UFFD_MISSING = 0x200
VM_PFNMAP = 0x400  #: page frames without a ``struct page``
VM_UFFD_WP = 0x1000
VM_LOCKED = 0x2000
VM_IO = 0x4000
VM_SEQ_READ = 0x8000
VM_RAND_READ = 0x10000
VM_DONTCOPY = 0x20000
VM_DONTEXPAND = 0x40000
VM_LOCKONFAULT = 0x80000
VM_ACCOUNT = 0x100000
VM_HUGETLB = 0x400000
VM_WIPEONFORK = 0x0200_0000
VM_DONTDUMP = 0x0400_0000
VM_SOFTDIRTY = 0x0800_0000
VM_MIXEDMAP = 0x1000_0000
VM_HUGEPAGE = 0x2000_0000
VM_NOHUGEPAGE = 0x4000_0000
VM_MERGEABLE = 0x8000_0000
VM_SEALED = 1 << 42
VM_PKEY_SHIFT = 32
VM_PKEY_BIT0, VM_PKEY_BIT1, VM_PKEY_BIT2, VM_PKEY_BIT3 = (1 << VM_PKEY_SHIFT + bit for bit in range(4))
VM_PKEY = 0xF << VM_PKEY_SHIFT  #: the VMA's protection key

VM_LOCKED_MASK = VM_LOCKED | VM_LOCKONFAULT
VM_UFFD = VM_UFFD_MISSING | VM_UFFD_WP
VM_ACCESS_FLAGS = VM_READ | VM_WRITE | VM_EXEC
#: VMAs with one of these never merge (include/linux/mm.h)
VM_SPECIAL = VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP
#: what ``io_remap_pfn_range`` and PFN-inserting drivers set (mm/memory.c, remap_pfn_range)
VM_DEVICE = VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP

PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC = 0, 1, 2, 4
MAP_SHARED, MAP_PRIVATE, MAP_FIXED = 0x1, 0x2, 0x10
MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP = 1, 2, 4


def is_cow_mapping(vm_flags: int) -> bool:
    """Whether a write may have to copy: private, and may be written (include/linux/mm.h)."""
    return vm_flags & (VM_SHARED | VM_MAYWRITE) == VM_MAYWRITE


def perms(vm_flags: int) -> str:
    """The permissions as /proc/pid/maps prints them.

    >>> perms(VM_READ | VM_WRITE | VM_SHARED | VM_MAYSHARE)
    'rw-s'
    """
    return (
        ("r" if vm_flags & VM_READ else "-")
        + ("w" if vm_flags & VM_WRITE else "-")
        + ("x" if vm_flags & VM_EXEC else "-")
        + ("s" if vm_flags & VM_MAYSHARE else "p")
    )


_NAMES = {value: name for name, value in list(globals().items()) if name.startswith("VM_") and value.bit_count() == 1}


def flag_names(vm_flags: int) -> tuple[str, ...]:
    """The names of the flags that are set, lowest bit first.

    >>> flag_names(VM_IO | VM_PFNMAP)
    ('VM_PFNMAP', 'VM_IO')
    """
    return tuple(name for value, name in sorted(_NAMES.items()) if vm_flags & value)


def page_down(address: int) -> int:
    """The start of the page that holds ``address``."""
    return address & ~(PAGE_SIZE - 1)


def page_up(length: int) -> int:
    """``PAGE_ALIGN``: bytes rounded up to whole pages."""
    return (length + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)
