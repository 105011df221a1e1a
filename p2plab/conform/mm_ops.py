"""The operations of the recordings, done in the model: each by the name that the recordings give it."""

from __future__ import annotations

from typing import Any

from p2plab.conform.mm_kernel_ops import KERNEL_OPERATIONS
from p2plab.conform.mm_read import page_of
from p2plab.conform.mm_replay import SIGNALS, Operation, Replay, Result
from p2plab.conform.report import NotModelled
from p2plab.core.errors import BadInput, KernelError
from p2plab.mm import userfaultfd
from p2plab.mm.flags import (
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PAGE_SHIFT,
    PROT_EXEC,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
)
from p2plab.mm.gup import get_user_pages, put_user_pages
from p2plab.mm.interval import mmu_interval_read_begin
from p2plab.mm.pkeys import pkey_alloc, pkey_set
from p2plab.mm.remote import proc_mem_write, process_vm_writev
from p2plab.mm.sys_madvise import ADVICE, FLAG_ADVICE, OTHER_ADVICE, process_madvise
from p2plab.mm.sys_mlock import mlock, mlockall, munlockall
from p2plab.mm.sys_mprotect import mprotect
from p2plab.mm.sys_mseal import mseal
from p2plab.mm.sys_msync import MS_ASYNC, MS_INVALIDATE, MS_SYNC, msync
from p2plab.mm.sys_prctl import set_anon_name
from p2plab.mm.sys_remap_file_pages import remap_file_pages
from p2plab.mm.touch import Signal

PROTS = {"none": PROT_NONE, "r": PROT_READ, "rw": PROT_READ | PROT_WRITE, "w": PROT_WRITE, "rx": PROT_READ | PROT_EXEC}
PROTS |= {"rwx": PROT_READ | PROT_WRITE | PROT_EXEC, "x": PROT_EXEC}
MSYNC_FLAGS = {"SYNC": MS_SYNC, "INVALIDATE": MS_INVALIDATE, "ASYNC": MS_ASYNC}
MREMAP_FLAGS = {"MAYMOVE": MREMAP_MAYMOVE, "FIXED": MREMAP_FIXED, "DONTUNMAP": MREMAP_DONTUNMAP, "0": 0, "": 0}


async def _mmap(replay: Replay, op: dict[str, Any]) -> Result:
    await replay.map(op.get("kind", replay.kind), page_of(op, "start"), page_of(op, "end"))
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
    # Which signal a process gets for an injected memory error, and when, depends on how it was injected.
    if advice == "HWPOISON":
        raise NotModelled("madvise HWPOISON")
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


async def _exit_group(replay: Replay, op: dict[str, Any]) -> Result:
    await replay.mm.exit()
    return None


# -- beyond the everyday ones -----------------------------------------------------------------------------------------


def number(op: dict[str, Any], field: str) -> int:
    """A number that an operation needs, possibly written as text."""
    value = op.get(field)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 6:
        value = int(value)
    if type(value) is not int or not 0 <= value < 1 << 16:
        raise BadInput(f"operation {op['op'][:40]} needs {field}, a number")
    return value


async def _process_madvise(replay: Replay, op: dict[str, Any]) -> Result:
    advice = op.get("advice", "")
    if advice not in ADVICE and advice not in FLAG_ADVICE and advice not in OTHER_ADVICE:
        raise NotModelled(f"process_madvise {advice}")
    await process_madvise(replay.mm, *replay.span(op), advice)
    return None


async def _register(replay: Replay, op: dict[str, Any]) -> Result:
    if replay.kind.startswith("hugetlb"):
        raise NotModelled("userfaultfd of hugetlb")
    mode = number(op, "mode")
    if not mode or mode & ~(userfaultfd.MODE_MISSING | userfaultfd.MODE_WP):
        raise NotModelled("userfaultfd with minor faults")
    await userfaultfd.register(replay.mm, *replay.span(op), mode)
    return None


async def _unregister(replay: Replay, op: dict[str, Any]) -> Result:
    await userfaultfd.unregister(replay.mm, *replay.span(op))
    return None


async def _copy(replay: Replay, op: dict[str, Any]) -> Result:
    await userfaultfd.copy(replay.mm, *replay.span(op))
    return None


async def _zeropage(replay: Replay, op: dict[str, Any]) -> Result:
    await userfaultfd.copy(replay.mm, *replay.span(op), zeropage=True)
    return None


async def _writeprotect(replay: Replay, op: dict[str, Any]) -> Result:
    await userfaultfd.writeprotect(replay.mm, *replay.span(op), bool(number(op, "wp")))
    return None


async def _move(replay: Replay, op: dict[str, Any]) -> Result:
    start, length = replay.span(op)
    await userfaultfd.move(replay.mm, replay.address(page_of(op, "new_start")), start, length)
    return None


async def _mseal(replay: Replay, op: dict[str, Any]) -> Result:
    await mseal(replay.mm, *replay.span(op))
    return None


async def _pkey_mprotect(replay: Replay, op: dict[str, Any]) -> Result:
    """The recording's process allocated one key, with all rights, before its first use."""
    if op.get("prot") not in PROTS:
        raise NotModelled(f"pkey_mprotect {op.get('prot')}")
    if replay.pkey is None:
        replay.pkey = pkey_alloc(replay.mm)
    await mprotect(replay.mm, *replay.span(op), PROTS[op["prot"]], replay.pkey)
    return None


async def _pkey_set(replay: Replay, op: dict[str, Any]) -> Result:
    if replay.pkey is None:
        replay.pkey = pkey_alloc(replay.mm)
    pkey_set(replay.mm, replay.pkey, number(op, "rights"))
    return None


async def _mlock2(replay: Replay, op: dict[str, Any]) -> Result:
    if op.get("flags", "0") not in ("ONFAULT", "0", ""):
        raise NotModelled(f"mlock2 {op.get('flags')}")
    await mlock(replay.mm, *replay.span(op), onfault=op.get("flags") == "ONFAULT")
    return None


async def _mlockall(replay: Replay, op: dict[str, Any]) -> Result:
    await mlockall(replay.mm, number(op, "flags"))
    return None


async def _munlockall(replay: Replay, op: dict[str, Any]) -> Result:
    await munlockall(replay.mm)
    return None


async def _remap_file_pages(replay: Replay, op: dict[str, Any]) -> Result:
    await remap_file_pages(replay.mm, *replay.span(op), number(op, "pgoff"))
    return None


async def _same_mm_child_writes(replay: Replay, op: dict[str, Any]) -> Result:
    """vfork, or clone with CLONE_VM: the child shares the parent's memory, and nothing is copied."""
    start, length = replay.span(op)
    status = 0
    try:
        await replay.mm.touch(start, start + length, True)
    except Signal as signal:
        status = SIGNALS[signal.name]
    return {"child_ret": status}


async def _exec(replay: Replay, op: dict[str, Any]) -> Result:
    """The process replaces its memory by a program's: its notifier calls are recorded with the following exit."""
    return None


async def _set_anon_name(replay: Replay, op: dict[str, Any]) -> Result:
    name = op.get("name", "")
    if not isinstance(name, str):
        raise BadInput("prctl_set_vma_anon_name needs a name, a text")
    await set_anon_name(replay.mm, *replay.span(op), name[:80])
    return None


async def _proc_mem_write(replay: Replay, op: dict[str, Any]) -> Result:
    await proc_mem_write(replay.mm, *replay.span(op))
    return None


async def _process_vm_writev(replay: Replay, op: dict[str, Any]) -> Result:
    start, length = replay.span(op)
    if await process_vm_writev(replay.mm, start, length) >> PAGE_SHIFT < length >> PAGE_SHIFT:
        raise NotModelled("a short process_vm_writev")
    return None


async def _msync(replay: Replay, op: dict[str, Any]) -> Result:
    words = str(op.get("flags", "")).split("|")
    flags = sum(MSYNC_FLAGS[word] for word in words) if set(words) <= MSYNC_FLAGS.keys() else number(op, "flags")
    await msync(replay.mm, *replay.span(op), flags)
    return None


#: The operations by their names in the recordings.
OPERATIONS: dict[str, Operation] = {
    **KERNEL_OPERATIONS,
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
    "exit_group": _exit_group,
    "process_madvise": _process_madvise,
    "userfaultfd_register": _register,
    "userfaultfd_unregister": _unregister,
    "userfaultfd_copy": _copy,
    "userfaultfd_zeropage": _zeropage,
    "userfaultfd_writeprotect": _writeprotect,
    "userfaultfd_move": _move,
    "mseal": _mseal,
    "pkey_mprotect": _pkey_mprotect,
    "pkey_set": _pkey_set,
    "mlock2": _mlock2,
    "mlockall": _mlockall,
    "munlockall": _munlockall,
    "remap_file_pages": _remap_file_pages,
    "vfork_child_writes": _same_mm_child_writes,
    "clone_vm_child_writes": _same_mm_child_writes,
    "fork_then_exec_follows": _exec,
    "execve_next": _exec,
    "prctl_set_vma_anon_name": _set_anon_name,
    "proc_mem_write": _proc_mem_write,
    "process_vm_writev": _process_vm_writev,
    "msync": _msync,
}


async def perform(replay: Replay, op: dict[str, Any]) -> dict[str, Any]:
    """Do one recorded operation: its result, the notifier calls, and the memory afterwards."""
    handler = OPERATIONS.get(op["op"])
    if handler is None:
        raise NotModelled(op["op"])
    seq = await mmu_interval_read_begin(replay.interval)
    result: dict[str, Any] = {"ret": 0}
    try:
        result |= await handler(replay, op) or {}
    except KernelError as error:
        result |= {"ret": -1, "errno": error.name}
    except Signal as signal:
        result |= {"ret": -1, "signal": signal.name, "at": replay.page(signal.address)}
    result["events"] = [event for event in replay.heard if replay.in_window(event)]
    result["retry"] = replay.interval.read_retry(seq)
    replay.heard.clear()
    return result | replay.look()
