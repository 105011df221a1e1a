"""The operations of the recordings, done in the model: each by the name that the recordings give it."""

from __future__ import annotations

from typing import Any

from p2plab.conform.mm_kernel_ops import KERNEL_OPERATIONS
from p2plab.conform.mm_more_ops import MORE_OPERATIONS, PROTS, Operation, Result
from p2plab.conform.mm_read import page_of
from p2plab.conform.mm_replay import NotModelled, Replay
from p2plab.core.errors import KernelError
from p2plab.mm.flags import (
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PAGE_SHIFT,
)
from p2plab.mm.gup import get_user_pages, put_user_pages
from p2plab.mm.interval import mmu_interval_read_begin
from p2plab.mm.sys_madvise import ADVICE, FLAG_ADVICE, OTHER_ADVICE
from p2plab.mm.touch import Signal

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


#: What the recordings call their operations.
OPERATIONS: dict[str, Operation] = {
    **KERNEL_OPERATIONS,
    **MORE_OPERATIONS,
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
}


async def perform(replay: Replay, op: dict[str, Any]) -> dict[str, Any]:
    """Do one recorded operation: what it answered, what was heard, and how the memory looks."""
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
