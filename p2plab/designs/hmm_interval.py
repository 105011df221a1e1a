"""``mmu_interval_notifier`` with ``hmm_range_fault``: the device mirrors ordinary memory, and the kernel moves it.

Source: Documentation/mm/hmm.rst, mm/hmm.c, mm/mmu_notifier.c, lib/test_hmm.c of Linux 6.1, 6.12 and 7.3. The notifier is
that of :mod:`p2plab.mm.interval`, which agrees with the recordings. ``hmm_range_fault`` here cannot take a
snapshot without faulting; 7.3's callers may use ``hmm_range_fault_unlocked_timeout``, which takes mmap_lock itself and retries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from p2plab.core.actors import step
from p2plab.core.calls import called
from p2plab.core.errors import KernelError
from p2plab.core.scenario import Role
from p2plab.designs import sources
from p2plab.designs.design import COMMON, GPU, GUEST, KERNEL, NVME, ODP, STOPS, Answer, Design, DesignRig, Fate
from p2plab.designs.importers import ImportingDevice
from p2plab.designs.memory import END, PAGES, START, OrdinaryMemory
from p2plab.mm import (
    MAP_SHARED,
    PAGE_SIZE,
    VM_DEVICE,
    AddressSpace,
    File,
    MmuIntervalNotifier,
    MmuNotifierRange,
    mmu_interval_notifier_insert,
    mmu_interval_read_begin,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.gup import faultin, vma_refuses


async def hmm_range_fault(mm: AddressSpace) -> None:
    """Every page of the range is present, under mmap_lock for reading; -EFAULT: no vma, no access, no struct page."""
    for page in range(START, END, PAGE_SIZE):
        await step(f"hmm_range_fault {page:#x}")
        vma = mm.vma_lookup(page)
        if vma is None or vma_refuses(vma, True):
            raise KernelError("EFAULT", f"hmm_range_fault: {page:#x} has no page that could be mirrored")
        await faultin(vma, page, True)


class Mirror(ImportingDevice, MmuIntervalNotifier):  # type: ignore[misc]  # `mm` is None until it is inserted
    """A device that faults: the loop of ``read_begin`` and ``read_retry``, and a callback that lets go (lib/test_hmm.c)."""

    space = "app"

    async def listen(self, start: int, end: int) -> None:
        """``mmu_interval_notifier_insert``."""
        await mmu_interval_notifier_insert(self, self.mm, start, end - start)

    async def map(self, start: int, end: int) -> None:
        """read_begin, fault under mmap_lock, take the driver's lock, read_retry, map for DMA, program. -EFAULT, or -EIO."""
        times = 0
        while not self.closed:
            seq = await mmu_interval_read_begin(self)
            async with self.mm.mmap_lock.read():
                await hmm_range_fault(self.mm)
            async with self.lock:
                if not self.read_retry(seq):
                    missing = [page for page in range(start, end, PAGE_SIZE) if page not in self.held]
                    if missing and not self.closed:
                        addresses = self.dma_map(missing[0], missing[-1])
                        self.has(addresses, missing[0])
                        await self.program(addresses, missing[0])
                    return
            times = self.goes_round(times)

    def dma_map(self, first: int, last: int) -> tuple[int, ...]:
        """``dma_map_page`` for each page from address ``first`` to ``last`` that ``hmm_range_fault`` gave."""
        with called("dma", "dma_map_page", f"{first:#x}..{last:#x}", caller=self.name):
            return self.addresses_of(first, last)

    def addresses_of(self, first: int, last: int) -> tuple[int, ...]:
        """Where the pages from address ``first`` to ``last`` are now."""
        found: tuple[int, ...] = self.exporter.addresses((first - START) // PAGE_SIZE, (last - START) // PAGE_SIZE)
        return found

    async def invalidate(self, range: MmuNotifierRange, cur_seq: int) -> bool:
        """Always store the sequence number; let go of what is in the range. False only where it must not sleep."""
        if not range.blockable:
            if not self.lock.trylock():
                return False
            self.set_seq(cur_seq)
            idle = not self.held
            self.lock.unlock()
            return idle
        async with self.lock:
            self.set_seq(cur_seq)
            gone = range.event in ("UNMAP", "RELEASE")
            self.closed |= gone
            if gone:
                self.engine.abort()
            start, end = max(range.start, START), min(range.end, END)
            if any(start <= page < end for page in self.held):
                await self.let_go(start, end)
                if not gone:
                    self.map_again()
        return True

    async def unmap(self, start: int, end: int) -> None:
        """The user gives the memory region back."""
        self.closed = True
        await super().unmap(start, end)


class NoZapMirror(Mirror):
    """Gives back without waiting for the beat that is under way."""

    drains = False


class NoRetry(Mirror):
    """Does not ask ``read_retry``."""

    def read_retry(self, seq: int) -> bool:
        """Always says that nothing happened."""
        return False


class KeepsMirror(Mirror):
    """Stores the sequence number, and keeps everything: the device cannot stop."""

    async def let_go(self, start: int, end: int) -> None:
        """Nothing."""


class Migration(OrdinaryMemory):
    """The kernel moves a page: CLEAR to all listeners, another frame, end (mm/migrate.c, ``try_to_migrate_one``)."""

    tells = True

    async def migrate(self, mm: AddressSpace, page: int) -> None:
        """One page of A."""
        at = START + page * PAGE_SIZE
        range = MmuNotifierRange(mm, at, at + PAGE_SIZE, "CLEAR")
        await step(f"i_mmap_lock_read A[{page}]")
        if self.tells:
            await mmu_notifier_invalidate_range_start(range)
        await step(f"migrates A[{page}]", lambda: self.new_frame(page))
        if self.tells:
            await mmu_notifier_invalidate_range_end(range)


class SilentMigration(Migration):
    """Moves pages without the notifier."""

    tells = False


class DeviceFile(File):
    """Memory without struct page instead of ordinary memory: a vma with VM_IO and VM_PFNMAP."""

    has_pages = False

    async def mmap(self, vma: Any) -> None:
        """Mark it."""
        vma.vm_flags |= VM_DEVICE


class HmmInterval(DesignRig):
    """The step list on a process's ordinary memory."""

    roles: ClassVar[Mapping[str, Role]] = {
        "importer": Role({"HMM mirror": Mirror}, knob="importer"),
        "exporter": Role({"migration": Migration}, knob="exporter"),
    }

    importers: ClassVar[dict[str, type[Any]]] = {
        "good": Mirror,
        "cannot-stop": KeepsMirror,
        "keeps": KeepsMirror,
        "broken": NoZapMirror,
        "no-retry": NoRetry,
    }
    exporters: ClassVar[dict[str, type[Any]]] = {"good": Migration, "broken": SilentMigration}

    def make_exporter(self) -> Any:
        """The memory manager: there is no device."""
        return self.plan.exporter(self)

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """The importer mirrors the memory manager's pages."""
        super().prepare(settings)
        self.importer.exporter = self.gpu
        self.offer()

    def offer(self) -> None:
        """What the process will map."""
        size = 0 if self.trouble == "no-room" else PAGES  # a page beyond the end of its file cannot fault in
        self.file: File = (DeviceFile if self.trouble == "no-pages" else File)("A", size)

    async def set_up(self) -> None:
        """The process maps shared memory; the importer listens to that range."""
        await self.mm.mmap(START, END - START, flags=MAP_SHARED, file=self.file)
        await self.importer.listen(START, END)

    async def map(self) -> None:
        """The retry loop."""
        await self.importer.map(START, END)

    async def take_back(self, first: int, last: int) -> None:
        """The kernel compacts: page by page."""
        for page in range(first, last + 1):
            if self.later:
                self.file.f_mapping.i_size = 0
            await self.gpu.migrate(self.mm, page)

    async def unmap(self) -> None:
        """The user gives the memory region back."""
        await self.importer.unmap(START, END)

    async def exit(self) -> None:
        """RELEASE, then UNMAP: the interval notifier hears both."""
        await self.mm.exit()


DESIGN = Design(
    name="hmm-interval",
    title="mmu_interval_notifier + hmm_range_fault",
    since="v5.5",
    kernels=("6.1", "6.12", "7.3"),
    play=HmmInterval,
    source="mm/mmu_notifier.c; mm/hmm.c; lib/test_hmm.c",
    simplified="ordinary memory only, no device-private pages; migration is one page after the other.",
    rules=(*COMMON, "nothing-set-between"),
    faulty={
        "importer=broken": "no-stale-dma",
        "importer=no-retry": "nothing-set-between",
        "exporter=broken": "told-first",
    },
    answers={
        "exporter object": Answer("none (mm's pages)", sources.NOTIFIER),
        "importer handle": Answer("hmm_range + interval", sources.NOTIFIER),
        "learns of a move by": Answer("invalidate + seq", sources.NOTIFIER),
        "exporter may refuse": Answer("n/a (fault error)", sources.HMM),
        "importer may keep it": Answer("no (false only if non-blocking)", sources.NOTIFIER),
        "callback may sleep": Answer("yes unless non-blockable", sources.NOTIFIER),
        "lock around callback": Answer("same as notifier + importer's own lock", sources.NOTIFIER),
        "lock around map": Answer("mmap_lock read, then own lock for retry", sources.TEST_HMM),
        "move while mapped": Answer("yes (kernel migrates)", sources.MIGRATE),
        "cannot fault or stop": Answer("excluded", sources.HMM),
        "where failure shows": Answer(
            "-EFAULT/-EBUSY",
            sources.HMM,
            "-EBUSY is an invalidation meanwhile: the loop goes round, and no user sees it",
        ),
        "struct page needed": Answer("yes", sources.HMM),
        "topology check": Answer("n/a", sources.HMM),
        "lifetime": Answer("mm + interval", sources.NOTIFIER),
        "predictability promise": Answer("none", sources.NOTIFIER),
        "granularity of a take-back": Answer("any sub-range", sources.NOTIFIER),
    },
    fates={
        ODP: Fate("move", "drivers/infiniband/hw/mlx5/odp.c", sources.ODP),
        STOPS: Fate("move", "stops instead of faulting, else the same", sources.TEST_HMM),
        NVME: Fate("", "no mirror of its own: it uses get_user_pages", sources.GUP_DEVICE),
        GUEST: Fate("cannot-stop", "a guest's device does not fault", sources.HMM),
        GPU: Fate("move", "shared virtual memory", sources.TEST_HMM),
        KERNEL: Fate("", "there is no process to mirror", sources.HMM),
    },
)
