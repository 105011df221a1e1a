"""Operations of the recordings beyond the everyday ones: userfaultfd, seals, keys, locking, hugetlb's kin, and the like."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from p2plab.conform.mm_read import page_of
from p2plab.conform.mm_replay import SIGNALS, NotModelled, Replay
from p2plab.core.errors import BadInput
from p2plab.mm import userfaultfd
from p2plab.mm.flags import PAGE_SHIFT, PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE
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

Result = dict[str, Any] | None
Operation = Callable[[Replay, dict[str, Any]], Awaitable[Result]]

PROTS = {"none": PROT_NONE, "r": PROT_READ, "rw": PROT_READ | PROT_WRITE, "w": PROT_WRITE, "rx": PROT_READ | PROT_EXEC}
PROTS |= {"rwx": PROT_READ | PROT_WRITE | PROT_EXEC, "x": PROT_EXEC}
MSYNC_FLAGS = {"SYNC": MS_SYNC, "INVALIDATE": MS_INVALIDATE, "ASYNC": MS_ASYNC}


def number(op: dict[str, Any], field: str) -> int:
    """A number that an operation needs, also one written as text."""
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
    """vfork, or clone with CLONE_VM: the child has the parent's own memory, and nothing is copied."""
    start, length = replay.span(op)
    status = 0
    try:
        await replay.mm.touch(start, start + length, True)
    except Signal as signal:
        status = SIGNALS[signal.name]
    return {"child_ret": status}


async def _exec(replay: Replay, op: dict[str, Any]) -> Result:
    """The process replaces its memory by a program's: what its listeners hear is recorded with the exit that follows."""
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


#: By the name that the recordings give them.
MORE_OPERATIONS: dict[str, Operation] = {
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
