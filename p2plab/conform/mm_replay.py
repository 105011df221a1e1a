"""One recorded case in the model: a process with its listeners, and the operations of the recordings.

Pages of a recording count from the first page that its process mapped; ``BASE`` is where the model puts that page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from p2plab.conform.mm_read import Case, page_of
from p2plab.core.errors import BadInput, KernelError
from p2plab.mm.file import File, PfnFile
from p2plab.mm.flags import (
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PAGE_SHIFT,
    PAGE_SIZE,
    PMD_SIZE,
    PROT_EXEC,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    VM_DONTCOPY,
    perms,
)
from p2plab.mm.folio import Folio, HugePmd, Pte
from p2plab.mm.gup import get_user_pages, put_user_pages
from p2plab.mm.interval import mmu_interval_notifier_insert, mmu_interval_read_begin
from p2plab.mm.khugepaged import khugepaged_scan
from p2plab.mm.migrate import mbind, migrate_pages
from p2plab.mm.procfs import clear_refs
from p2plab.mm.recorder import IntervalRecorder, Recorder
from p2plab.mm.space import AddressSpace, Memory
from p2plab.mm.sys_exit import oom_reap
from p2plab.mm.sys_madvise import ADVICE, FLAG_ADVICE, OTHER_ADVICE
from p2plab.mm.touch import Signal
from p2plab.mm.truncate import fallocate_punch_hole, ftruncate
from p2plab.mm.zap import unmap_mapping_range, zap_vma_ptes

BASE = 0x7F00_4000_0000 + 64 * PMD_SIZE
FAR_AWAY = 0x5555_5555_4000
#: pages below and above the first that a recording looks at
WINDOW = (-64, 1 << 20)
PROTS = {"none": PROT_NONE, "r": PROT_READ, "rw": PROT_READ | PROT_WRITE, "w": PROT_WRITE, "rx": PROT_READ | PROT_EXEC}
PROTS |= {"rwx": PROT_READ | PROT_WRITE | PROT_EXEC, "x": PROT_EXEC}
MREMAP_FLAGS = {"MAYMOVE": MREMAP_MAYMOVE, "FIXED": MREMAP_FIXED, "DONTUNMAP": MREMAP_DONTUNMAP, "0": 0, "": 0}
SIGNALS = {"SIGBUS": 7, "SIGKILL": 9, "SIGSEGV": 11}
KINDS = ("anon", "thp", "anon_shared", "file_shared", "file_private", "device", "device_eager", "device_dontcopy")


class NotModelled(Exception):
    """The model does not have this operation."""


class Replay:
    """A process of the recordings: its memory, its file, its children, and what its listeners heard."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.kind = case.kind.removesuffix("_straddle")
        self.base = BASE - 8 * PAGE_SIZE if case.kind.endswith("_straddle") else BASE
        self.mm = AddressSpace("mm", case.kernel, Memory(swap=case.swap))
        self.files: dict[str, File] = {}
        self.heard: list[dict[str, Any]] = []
        self.interval = IntervalRecorder(self.heard.append, self.page, case.refuse)
        self.children: list[AddressSpace] = []
        self.pinned: list[Folio] = []

    def page(self, address: int) -> int:
        """The page number, as recordings count, of an address."""
        return (address - self.base) >> PAGE_SHIFT

    def address(self, page: int) -> int:
        """The address of a recording's page."""
        return self.base + (page << PAGE_SHIFT)

    async def begin(self, op: dict[str, Any]) -> None:
        """Before the first operation: the process has other memory too, and two listeners."""
        await self.mm.mmap(FAR_AWAY, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED)
        await self.mm.mmu_notifier_register(Recorder(self.heard.append, self.page))
        await mmu_interval_notifier_insert(self.interval, self.mm, self.base, self.case.pages << PAGE_SHIFT)
        if op["op"] != "mmap":  # recorded from a process that had mapped and written its pages before
            await self._map(self.kind, 0, self.case.pages)
            await self.mm.touch(self.base, self.address(self.case.pages), True)
        self.heard.clear()

    async def do(self, op: dict[str, Any]) -> dict[str, Any]:
        """Do one operation: what it answered, what was heard, and how the memory looks."""
        handler = OPERATIONS.get(op["op"])
        if handler is None:
            raise NotModelled(op["op"])
        seq = await mmu_interval_read_begin(self.interval) if self.interval.mm is not None else 0
        result: dict[str, Any] = {"ret": 0}
        try:
            result |= await handler(self, op) or {}
        except KernelError as error:
            result |= {"ret": -1, "errno": error.name}
        except Signal as signal:
            result |= {"ret": -1, "signal": signal.name, "at": self.page(signal.address)}
        result["events"] = [event for event in self.heard if self._in_window(event)]
        result["retry"] = self.interval.read_retry(seq)
        self.heard.clear()
        return result | self.look()

    def _in_window(self, event: dict[str, Any]) -> bool:
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
            if group == "file":
                self.files[group] = File("tmpfs", pages)
            else:
                flags = VM_DONTCOPY if kind == "device_dontcopy" else 0
                self.files[group] = PfnFile("ivshmem", 1 << 20, eager=kind == "device_eager", vm_flags=flags)
        return self.files[group]

    async def _map(self, kind: str, start: int, end: int) -> None:
        if kind not in KINDS:
            raise NotModelled(f"mmap of {kind}")
        file = self.file(kind)
        shared = kind not in ("anon", "thp", "file_private")
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
        await child.mmu_notifier_register(Recorder(heard.append, self.page))
        interval = IntervalRecorder(heard.append, self.page, refuse=False)
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


Result = dict[str, Any] | None
Operation = Callable[[Replay, dict[str, Any]], Awaitable[Result]]


async def _mmap(replay: Replay, op: dict[str, Any]) -> Result:
    await replay._map(op.get("kind", replay.kind), page_of(op, "start"), page_of(op, "end"))
    return None


async def _munmap(replay: Replay, op: dict[str, Any]) -> Result:
    await replay.mm.munmap(*replay.span(op))
    return None


async def _mprotect(replay: Replay, op: dict[str, Any]) -> Result:
    if op.get("prot") not in PROTS:
        raise NotModelled(f"mprotect {op.get('prot')}")
    await replay.mm.mprotect(*replay.span(op), PROTS[op["prot"]])
    return None


async def _mremap(replay: Replay, op: dict[str, Any]) -> Result:
    names = op.get("flags", "0").split("|")
    if not all(name in MREMAP_FLAGS for name in names):
        raise NotModelled("mremap with other flags")
    start, length = replay.span(op)
    new_start, new_end = page_of(op, "new_start"), page_of(op, "new_end")
    flags = sum(MREMAP_FLAGS[name] for name in names)
    await replay.mm.mremap(start, length, (new_end - new_start) << PAGE_SHIFT, flags, replay.address(new_start))
    return None


async def _madvise(replay: Replay, op: dict[str, Any]) -> Result:
    advice = op.get("advice", "")
    if advice not in ADVICE and advice not in FLAG_ADVICE and advice not in OTHER_ADVICE:
        raise NotModelled(f"madvise {advice}")
    await replay.mm.madvise(*replay.span(op), advice)
    return None


async def _mlock(replay: Replay, op: dict[str, Any]) -> Result:
    await replay.mm.mlock(*replay.span(op))
    return None


async def _munlock(replay: Replay, op: dict[str, Any]) -> Result:
    await replay.mm.munlock(*replay.span(op))
    return None


async def _touch(replay: Replay, op: dict[str, Any]) -> Result:
    start, length = replay.span(op)
    await replay.mm.touch(start, start + length, bool(op.get("write")))
    return None


async def _nothing(replay: Replay, op: dict[str, Any]) -> Result:
    """The process sleeps, or the kernel did something that moved none of its pages (compact_memory)."""
    return None


async def _fork_child_exits(replay: Replay, op: dict[str, Any]) -> Result:
    child = await replay.mm.fork("child")
    await child.exit()
    return None


async def _fork_child_writes(replay: Replay, op: dict[str, Any]) -> Result:
    start, length = replay.span(op)
    return await replay.child(op, lambda child: child.touch(start, start + length, True))


async def _fork_child_munmaps(replay: Replay, op: dict[str, Any]) -> Result:
    return await replay.child(op, lambda child: child.munmap(*replay.span(op)))


async def _fork_hold(replay: Replay, op: dict[str, Any]) -> Result:
    replay.children.append(await replay.mm.fork("child"))
    return None


async def _fork_reap(replay: Replay, op: dict[str, Any]) -> Result:
    while replay.children:
        await replay.children.pop().exit()
    return None


async def _get_user_pages(replay: Replay, op: dict[str, Any]) -> Result:
    start, length = replay.span(op)
    folios = await get_user_pages(replay.mm, start, length >> PAGE_SHIFT, bool(op.get("write")))
    put_user_pages(folios)
    return {"ret": len(folios)}


async def _pin(replay: Replay, op: dict[str, Any]) -> Result:
    start, length = replay.span(op)
    pages = length >> PAGE_SHIFT
    folios = await get_user_pages(replay.mm, start, pages, bool(op.get("write")), pin=True, longterm=True)
    replay.pinned += folios
    return {"ret": len(folios)}


async def _unpin(replay: Replay, op: dict[str, Any]) -> Result:
    put_user_pages(replay.pinned, pin=True)
    replay.pinned.clear()
    return None


async def _unmap_mapping_range(replay: Replay, op: dict[str, Any]) -> Result:
    file = replay.file(replay.kind)
    if file is None:
        raise NotModelled("unmap_mapping_range of anonymous memory")
    await unmap_mapping_range(file.f_mapping, page_of(op, "start"), page_of(op, "end") - 1)
    return None


async def _zap_vma_ptes(replay: Replay, op: dict[str, Any]) -> Result:
    """The recording's exporter finds the VMA at the start, and zaps a part that lies inside of it."""
    start, length = replay.span(op)
    async with replay.mm.mmap_lock.read():
        vma = replay.mm.vma_lookup(start)
        if vma is None or start + length > vma.vm_end:
            raise KernelError("ENOMEM", "the range does not lie inside one VMA")
        await zap_vma_ptes(vma, start, start + length)
    return None


async def _ftruncate(replay: Replay, op: dict[str, Any]) -> Result:
    file = replay.file(replay.kind)
    if file is None:
        raise NotModelled("ftruncate of anonymous memory")
    await ftruncate(file, page_of(op, "pages"))
    return None


async def _punch_hole(replay: Replay, op: dict[str, Any]) -> Result:
    file = replay.file(replay.kind)
    if file is None:
        raise NotModelled("fallocate of anonymous memory")
    start, end = page_of(op, "start"), page_of(op, "end")
    await fallocate_punch_hole(file, start, end - start)
    return None


async def _clear_refs(replay: Replay, op: dict[str, Any]) -> Result:
    value = op.get("value")
    if type(value) is not int:
        raise BadInput("clear_refs needs a value")
    await clear_refs(replay.mm, value)
    return None


async def _mbind(replay: Replay, op: dict[str, Any]) -> Result:
    flags = op.get("flags", "").split("|")
    if op.get("policy") not in ("BIND", "DEFAULT") or not set(flags) <= {"MOVE", "MOVE_ALL", "", "0"}:
        raise NotModelled(f"mbind {op.get('policy')} {op.get('flags')}")
    node = op.get("node") if op["policy"] == "BIND" else None
    await mbind(replay.mm, *replay.span(op), node, move="MOVE" in flags, move_all="MOVE_ALL" in flags)
    return None


async def _migrate_pages(replay: Replay, op: dict[str, Any]) -> Result:
    old, new = op.get("old_node", op.get("from", 0)), op.get("new_node", op.get("to", op.get("node", 1)))
    if type(old) is not int or type(new) is not int:
        raise NotModelled("migrate_pages between sets of nodes")
    await migrate_pages(replay.mm, old, new)
    return None


async def _khugepaged_wait(replay: Replay, op: dict[str, Any]) -> Result:
    await khugepaged_scan(replay.mm)
    return None


async def _oom_kill(replay: Replay, op: dict[str, Any]) -> Result:
    await oom_reap(replay.mm)
    await replay.mm.exit()
    return {"signal": 9}


async def _exit_group(replay: Replay, op: dict[str, Any]) -> Result:
    await replay.mm.exit()
    return None


#: What the recordings call their operations. Waits whose outcome is the scheduler's timing are left out on purpose.
OPERATIONS: dict[str, Operation] = {
    "mmap": _mmap,
    "mmap_fixed": _mmap,
    "munmap": _munmap,
    "mprotect": _mprotect,
    "mremap": _mremap,
    "madvise": _madvise,
    "mlock": _mlock,
    "munlock": _munlock,
    "touch": _touch,
    "sleep": _nothing,
    "compact_memory": _nothing,
    "fork_child_exits": _fork_child_exits,
    "fork_child_writes": _fork_child_writes,
    "fork_child_munmaps": _fork_child_munmaps,
    "fork_hold": _fork_hold,
    "fork_reap": _fork_reap,
    "get_user_pages": _get_user_pages,
    "pin_user_pages_longterm": _pin,
    "unpin": _unpin,
    "exporter_unmap_mapping_range": _unmap_mapping_range,
    "exporter_zap_vma_ptes": _zap_vma_ptes,
    "ftruncate": _ftruncate,
    "fallocate_punch_hole": _punch_hole,
    "clear_refs": _clear_refs,
    "mbind": _mbind,
    "migrate_pages": _migrate_pages,
    "khugepaged_wait": _khugepaged_wait,
    "oom_kill": _oom_kill,
    "exit_group": _exit_group,
}
