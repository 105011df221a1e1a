"""One recorded case in the model: a process with its listeners, and the operations of the recordings.

Pages of a recording count from the first page that its process mapped; ``BASE`` is where the model puts that page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from p2plab.conform.mm_read import Recording, page_of
from p2plab.conform.report import NotModelled
from p2plab.core.errors import KernelError
from p2plab.mm.file import File, HugetlbFile, PfnFile
from p2plab.mm.flags import (
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    PAGE_SHIFT,
    PAGE_SIZE,
    PMD_SIZE,
    PROT_READ,
    PROT_WRITE,
    VM_DONTCOPY,
    perms,
)
from p2plab.mm.folio import Folio, HugePmd, Pte
from p2plab.mm.interval import mmu_interval_notifier_insert
from p2plab.mm.recorder import IntervalRecorder, Note, NotifierRecorder, ToPage
from p2plab.mm.space import AddressSpace, Memory
from p2plab.mm.touch import Signal

BASE = 0x7F00_4000_0000 + 64 * PMD_SIZE
FAR_AWAY = 0x5555_5555_4000
#: pages below and above the first that a recording looks at
WINDOW = (-64, 1 << 20)
SIGNALS = {"SIGBUS": 7, "SIGKILL": 9, "SIGSEGV": 11}
DEVICES = ("device", "device_eager", "device_dontcopy")
KINDS = ("anon", "thp", "anon_shared", "file_shared", "file_private", "hugetlb", "hugetlb_shared", *DEVICES)


#: The callbacks that are compared; ``secondary_tlb`` depends on batching, the others do not exist in every version.
COMPARED = ("start", "end", "interval", "release")


class Replay:
    """A process of the recordings: its memory, its file, its children, and what its listeners heard."""

    def __init__(self, case: Recording) -> None:
        self.case = case
        self.kind = case.kind.removesuffix("_straddle")
        self.base = BASE - 8 * PAGE_SIZE if case.kind.endswith("_straddle") else BASE
        self.page = _pages_from(self.base)
        self.mm = AddressSpace("mm", case.kernel, Memory(swap=case.swap))
        self.files: dict[str, File] = {}
        self.heard: list[dict[str, Any]] = []
        self.interval = IntervalRecorder(self.note_in(self.heard), self.page, case.refuse)
        self.children: list[AddressSpace] = []
        self.pinned: list[Folio] = []
        self.pkey: int | None = None  #: the protection key that the process allocated

    def address(self, page: int) -> int:
        """The address of a recording's page."""
        return self.base + (page << PAGE_SHIFT)

    async def begin(self, op: dict[str, Any]) -> None:
        """Before the first operation: the process has other memory too, and two listeners."""
        await self.map_elsewhere()
        await self.mm.mmu_notifier_register(NotifierRecorder(self.note_in(self.heard), self.page))
        await mmu_interval_notifier_insert(self.interval, self.mm, self.base, self.case.pages << PAGE_SHIFT)
        if op["op"] != "mmap":  # recorded from a process that had mapped and written its pages before
            await self.map(self.kind, 0, self.case.pages)
            await self.mm.touch(self.base, self.address(self.case.pages), True)
        self.heard.clear()

    async def map_elsewhere(self) -> None:
        """What every process has besides the observed memory."""
        await self.mm.mmap(FAR_AWAY, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED)

    def note_in(self, heard: list[dict[str, Any]]) -> Note:
        """Keep calls as the recordings do: the locks that they know are mmap_lock and the device's i_mmap_rwsem."""

        def note(call: dict[str, Any]) -> None:
            call.pop("locks", None)
            if any(file.f_mapping.i_mmap_rwsem.holders() for file in self.files.values() if not file.has_pages):
                call["i_mmap_locked"] = True
            heard.append(call)

        return note

    def in_window(self, event: dict[str, Any]) -> bool:
        return event["start"] is None or (event["end"] > WINDOW[0] and event["start"] < WINDOW[1])

    def look(self) -> dict[str, Any]:
        """Present pages, writable device pages, swapped pages and VMAs, as a recording lists them."""
        low, high = self.address(WINDOW[0]), self.address(WINDOW[1])
        present: list[int] = []
        writable: list[int] = []
        swapped: list[int] = []
        for base, huge in self.mm.page_table.pmds_in(low, high):
            if isinstance(huge, HugePmd):
                present += range(self.page(base), self.page(base + PMD_SIZE))
        for address, entry in self.mm.page_table.entries_in(low, high):
            if not isinstance(entry, Pte):
                swapped.append(self.page(address))
                continue
            present.append(self.page(address))
            if entry.folio is None and not entry.zero and entry.write:
                writable.append(self.page(address))
        vmas = [self._vma(vma) for vma in self.mm.vmas_in(low, high)]
        lists = {"pop": sorted(present), "dev_writable": writable, "swapped": swapped}
        return {name: ranges(pages) for name, pages in lists.items()} | {"vmas": vmas}

    def _vma(self, vma: Any) -> list[Any]:
        row = [self.page(vma.vm_start), self.page(vma.vm_end), perms(vma.vm_flags)]
        return row if vma.is_anonymous else [*row, vma.vm_pgoff]

    # -- what a recording calls a kind of memory --------------------------------------------------------------------

    def file(self, kind: str) -> File | None:
        """The file behind a kind of memory; the same one for every mapping of that kind."""
        group = {"file_private": "file", "file_shared": "file", "device_dontcopy": "device"}.get(kind, kind)
        if group in ("anon", "thp", "anon_shared"):
            return None
        if group not in self.files:
            pages = self.case.pages
            if group.startswith("hugetlb"):
                self.files[group] = HugetlbFile("hugetlb", pages)
            elif group == "file":
                self.files[group] = File("tmpfs", pages)
            else:
                flags = VM_DONTCOPY if kind == "device_dontcopy" else 0
                self.files[group] = PfnFile("ivshmem", 1 << 20, eager=kind == "device_eager", vm_flags=flags)
        return self.files[group]

    async def map(self, kind: str, start: int, end: int) -> None:
        if kind not in KINDS:
            raise NotModelled(f"mmap of {kind}")
        file = self.file(kind)
        shared = kind not in ("anon", "thp", "file_private", "hugetlb")
        flags = MAP_FIXED | (MAP_SHARED if shared else MAP_PRIVATE)
        length = (end - start) << PAGE_SHIFT
        address = self.address(start)
        await self.mm.mmap(address, length, PROT_READ | PROT_WRITE, flags, file, start if file is not None else 0)
        if kind == "thp":
            await self.mm.madvise(address, length, "HUGEPAGE")

    def span(self, op: dict[str, Any]) -> tuple[int, int]:
        """(address, length in bytes) of an operation on pages start to end."""
        start, end = page_of(op, "start"), page_of(op, "end")
        return self.address(start), (end - start) << PAGE_SHIFT

    async def child(self, op: dict[str, Any], work: Callable[[AddressSpace], Awaitable[None]]) -> dict[str, Any]:
        """Fork, let the child work with listeners of its own, and let it exit."""
        heard: list[dict[str, Any]] = []
        child = await self.mm.fork("child")
        await child.mmu_notifier_register(NotifierRecorder(self.note_in(heard), self.page))
        interval = IntervalRecorder(self.note_in(heard), self.page, refuse=False)
        await mmu_interval_notifier_insert(interval, child, self.base, self.case.pages << PAGE_SHIFT)
        status = 0
        try:
            await work(child)
        except Signal as signal:
            status = SIGNALS[signal.name]
        except KernelError:
            status = 1
        events = list(heard)
        await child.exit()
        return {"child_ret": status, "child_events": events}


#: What an operation returns besides ``ret`` 0, and how it is done.
Result = dict[str, Any] | None
Operation = Callable[[Replay, dict[str, Any]], Awaitable[Result]]


def _pages_from(base: int) -> ToPage:
    """The page number, as recordings count, of an address."""
    return lambda address: (address - base) >> PAGE_SHIFT


def ranges(pages: list[int]) -> list[list[int]]:
    """Sorted page numbers as ranges.

    >>> ranges([0, 1, 2, 5])
    [[0, 3], [5, 6]]
    """
    found: list[list[int]] = []
    for page in pages:
        if found and found[-1][1] == page:
            found[-1][1] = page + 1
        else:
            found.append([page, page + 1])
    return found
