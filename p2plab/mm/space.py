"""``struct mm_struct``: the VMAs of one process in a sorted tree, its page tables, its mmap_lock and its listeners.

All addresses and lengths are bytes. System calls are coroutines that raise
:class:`~p2plab.core.errors.KernelError` with the errno that the kernel gives.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from p2plab.core.actors import step, wait_event
from p2plab.core.locks import RWLock
from p2plab.core.running import running
from p2plab.core.tracked import Tracked
from p2plab.mm import check, sys_exit, sys_fork, sys_madvise, sys_mlock, sys_mmap, sys_mprotect, sys_mremap, touch
from p2plab.mm.flags import MAP_PRIVATE, MREMAP_MAYMOVE, PROT_READ, PROT_WRITE
from p2plab.mm.interval import IntervalTree
from p2plab.mm.kernel import TODAY, Kernel
from p2plab.mm.notifier import MmuNotifier, MmuNotifierSubscriptions, mmu_notifier_register, mmu_notifier_unregister
from p2plab.mm.pagetable import PageTable

if TYPE_CHECKING:
    from p2plab.mm.file import File
    from p2plab.mm.vma import Vma


class Memory(Tracked):
    """What the address spaces of one machine share: swap or none, huge pages (``never`` or ``madvise``), limits."""

    def __init__(self, *, swap: bool = False, thp: str = "madvise", max_map_count: int = 65530) -> None:
        self.swap = swap
        self.thp = thp
        self.max_map_count = max_map_count


class AddressSpace(Tracked):
    """One process's memory."""

    def __init__(self, name: str = "mm", kernel: Kernel = TODAY, memory: Memory | None = None) -> None:
        self.name = name
        self.kernel = kernel
        self.memory = memory or Memory()
        self.mmap_lock = RWLock("mmap_lock" if name == "mm" else f"{name}.mmap_lock")
        self.vma_lock_name = (
            "vma_lock" if name == "mm" else f"{name}.vma_lock"
        )  #: one for all, as lockdep has one class
        self.poisoned = (
            True  #: whether what is left of a freed VMA is poison (``slub_debug=P``, KASAN) or its last content
        )
        self.vmas: list[Vma] = []
        self.write_locked: list[Vma] = []
        self.pkeys: dict[int, int] = {}  #: protection keys in use, with what each of them forbids
        self.execute_only_pkey: int | None = None
        self.def_flags = 0  #: what every new VMA gets: VM_LOCKED after mlockall(MCL_FUTURE)
        self.page_table = PageTable()
        self.notifier_subscriptions = MmuNotifierSubscriptions(IntervalTree())

    # -- looking VMAs up --------------------------------------------------------------------------------------------

    def find_vma(self, address: int) -> Vma | None:
        """The first VMA that ends above ``address``, as in the kernel: it need not contain it."""
        at = bisect.bisect_right(self.vmas, address, key=_vm_end)
        return self.vmas[at] if at < len(self.vmas) else None

    def vma_lookup(self, address: int) -> Vma | None:
        """The VMA that contains ``address``."""
        vma = self.find_vma(address)
        return vma if vma is not None and vma.vm_start <= address else None

    def find_vma_intersection(self, start: int, end: int) -> Vma | None:
        """The first VMA that meets [start, end)."""
        vma = self.find_vma(start)
        return vma if vma is not None and vma.vm_start < end else None

    def vmas_in(self, start: int, end: int) -> Iterator[Vma]:
        """The VMAs that meet [start, end), as they are now, in order."""
        low = bisect.bisect_right(self.vmas, start, key=_vm_end)
        high = bisect.bisect_left(self.vmas, end, lo=low, key=_vm_start)
        return iter(self.vmas[low:high])

    def position(self, vma: Vma) -> int:
        """The index of a VMA of the tree."""
        return bisect.bisect_left(self.vmas, vma.vm_start, key=_vm_start)

    def prev_of(self, vma: Vma) -> Vma | None:
        """The VMA below, adjacent or not."""
        at = self.position(vma)
        return self.vmas[at - 1] if at else None

    def next_of(self, vma: Vma) -> Vma | None:
        """The VMA above, adjacent or not."""
        at = self.position(vma) + 1
        return self.vmas[at] if at < len(self.vmas) else None

    def insert(self, vma: Vma) -> None:
        """Put a VMA into the tree."""
        self.vmas.insert(bisect.bisect_left(self.vmas, vma.vm_start, key=_vm_start), vma)

    def remove(self, vma: Vma) -> None:
        """Take a VMA out of the tree."""
        at = self.position(vma)
        assert self.vmas[at] is vma
        del self.vmas[at]

    # -- locks ------------------------------------------------------------------------------------------------------

    def mmap_lock_state(self) -> str:
        """How mmap_lock is held, by any task: write, read or none. What a callback can find out."""
        if self.mmap_lock.writer is not None:
            return "write"
        return "read" if self.mmap_lock.readers else "none"

    def mmap_write(self) -> _WriteLocked:
        """``async with mm.mmap_write():`` mmap_lock for writing; VMAs marked meanwhile are released with it."""
        return _WriteLocked(self)

    async def vma_start_write(self, vmas: Iterable[Vma]) -> None:
        """Before VMAs change: wait for the faults that run under per-VMA locks (Linux 6.4 and later)."""
        for vma in vmas:
            if vma.write_locked or not self.kernel.per_vma_lock:
                continue
            vma.write_locked = True
            self.write_locked.append(vma)
            if vma.lock_readers:
                await _wait_for_readers(vma)

    def vma_end_write_all(self) -> None:
        """Faults may use the per-VMA locks again."""
        for vma in self.write_locked:
            vma.write_locked = False
        self.write_locked.clear()

    def mmap_write_downgrade(self) -> None:
        """From writer to reader without a gap."""
        self.vma_end_write_all()
        self.mmap_lock.downgrade()

    # -- system calls -----------------------------------------------------------------------------------------------

    async def mmap(
        self,
        start: int | None,
        length: int,
        prot: int = PROT_READ | PROT_WRITE,
        flags: int = MAP_PRIVATE,
        file: File | None = None,
        pgoff: int = 0,
    ) -> int:
        """Map ``length`` bytes; the address. with ``start`` None the kernel chooses; MAP_FIXED replaces what is there."""
        return await sys_mmap.mmap(self, start, length, prot, flags, file, pgoff)

    async def munmap(self, start: int, length: int) -> None:
        """Unmap [start, start + length). EINVAL if unaligned or empty."""
        await sys_mmap.munmap(self, start, length)

    async def mprotect(self, start: int, length: int, prot: int) -> None:
        """Change the protection. ENOMEM at a hole: what comes before the hole has changed, as in the kernel."""
        await sys_mprotect.mprotect(self, start, length, prot)

    async def mremap(
        self, start: int, old_length: int, new_length: int, flags: int = MREMAP_MAYMOVE, new_start: int = 0
    ) -> int:
        """Grow, shrink or move a mapping; the new address."""
        return await sys_mremap.mremap(self, start, old_length, new_length, flags, new_start)

    async def madvise(self, start: int, length: int, advice: str) -> None:
        """Advice by its name without ``MADV_``. ENOMEM at the end if there were holes."""
        await sys_madvise.madvise(self, start, length, advice)

    async def mlock(self, start: int, length: int) -> None:
        """Lock and populate."""
        await sys_mlock.mlock(self, start, length)

    async def munlock(self, start: int, length: int) -> None:
        """Unlock."""
        await sys_mlock.munlock(self, start, length)

    async def fork(self, name: str) -> AddressSpace:
        """The child's address space."""
        return await sys_fork.fork(self, name)

    async def exit(self) -> None:
        """The process dies: release, then everything is unmapped."""
        await sys_exit.exit_mmap(self)

    async def touch(self, start: int, end: int, write: bool) -> None:
        """The CPU reads or writes each page of [start, end). :exc:`~p2plab.mm.touch.Signal` where it may not."""
        await touch.touch(self, start, end, write)

    # -- listeners --------------------------------------------------------------------------------------------------

    async def mmu_notifier_register(self, listener: MmuNotifier) -> None:
        """Add a listener, to be called before entries go away."""
        await mmu_notifier_register(self, listener)

    async def mmu_notifier_unregister(self, listener: MmuNotifier) -> None:
        """Remove a listener."""
        await mmu_notifier_unregister(self, listener)

    def _check(self) -> None:
        """Raise AssertionError unless VMAs, page tables, reverse map and listeners agree with each other, at rest."""
        check.check_space(self)


class _WriteLocked:
    """mmap_lock for writing; after a downgrade it gives back what is held then."""

    __slots__ = ("mm",)

    def __init__(self, mm: AddressSpace) -> None:
        self.mm = mm

    async def __aenter__(self) -> AddressSpace:
        await self.mm.mmap_lock.down_write()
        return self.mm

    async def __aexit__(self, kind: type[BaseException] | None, _e: object, _t: TracebackType | None) -> None:
        if kind is GeneratorExit:  # the world is being thrown away: nobody will ever run again
            return
        lock = self.mm.mmap_lock
        if lock.mode_held_by_me() == "write":
            self.mm.vma_end_write_all()
            lock.up_write()
        else:
            lock.up_read()
        await step(f"{lock.name} released")


async def _wait_for_readers(vma: Vma) -> None:
    me = running.actor

    def others() -> tuple[str, ...]:
        return tuple(reader for reader in vma.lock_readers if reader != me)

    await wait_event(lambda: not others(), "vma_start_write", waits_for=others)


def _vm_start(vma: Vma) -> int:
    return vma.vm_start


def _vm_end(vma: Vma) -> int:
    return vma.vm_end
