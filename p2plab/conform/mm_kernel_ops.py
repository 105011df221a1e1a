"""Operations of the recordings that are not the process's own: exporters, files, kernel threads."""

from __future__ import annotations

from typing import Any

from p2plab.conform.mm_read import page_of
from p2plab.conform.mm_replay import COMPARED, Operation, Replay, Result
from p2plab.conform.report import NotModelled
from p2plab.core.errors import BadInput, KernelError
from p2plab.mm.flags import VM_PFNMAP
from p2plab.mm.khugepaged import khugepaged_scan
from p2plab.mm.ksm import ksm_scan
from p2plab.mm.migrate import mbind, migrate_pages
from p2plab.mm.procfs import clear_refs, task_numa_work
from p2plab.mm.sys_exit import oom_reap
from p2plab.mm.truncate import FAR, fallocate_punch_hole, ftruncate
from p2plab.mm.zap import unmap_mapping_range, zap_vma_ptes


async def _unmap_mapping_range(replay: Replay, op: dict[str, Any]) -> Result:
    file = replay.file(replay.kind)
    if file is None:
        raise NotModelled("unmap_mapping_range of anonymous memory")
    first, last = page_of(op, "start"), page_of(op, "end") - 1
    await unmap_mapping_range(file.f_mapping, first, last if last >= first else FAR)  # a length of 0 means: to the end
    return None


async def _zap_vma_ptes(replay: Replay, op: dict[str, Any]) -> Result:
    """The recording's exporter finds the VMA at the start, and zaps a part of it."""
    start, length = replay.span(op)
    async with replay.mm.mmap_lock.read():
        vma = replay.mm.vma_lookup(start)
        if vma is None or start + length > vma.vm_end:
            raise KernelError("ENOMEM", "the range does not lie inside one VMA")
        if not vma.vm_flags & VM_PFNMAP:  # zap_vma_ptes would do nothing and answer nothing: the exporter looks
            raise KernelError("EINVAL", "the VMA is no device's")
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
    old = next((op[key] for key in ("old_node", "old", "from") if key in op), 0)
    new = next((op[key] for key in ("new_node", "new", "to", "node") if key in op), 1)
    if type(old) is not int or type(new) is not int:
        raise NotModelled("migrate_pages between sets of nodes")
    await migrate_pages(replay.mm, old, new)
    return None


async def _numa_balancing_wait(replay: Replay, op: dict[str, Any]) -> Result:
    """Scans of NUMA balancing. How many fit into the wait depends on the scheduler, and is taken from the recording.

    What each scan announces is the model's; at least one is due if there is anything to scan.
    """
    await task_numa_work(replay.mm)
    one = sum(replay.in_window(call) for call in replay.heard)
    recorded = sum(event.get("cb") in COMPARED for event in op.get("events", []))
    for _ in range(recorded // one - 1 if one else 0):
        await task_numa_work(replay.mm)
    return None


async def _ksm_wait(replay: Replay, op: dict[str, Any]) -> Result:
    await ksm_scan(replay.mm)
    return None


async def _khugepaged_wait(replay: Replay, op: dict[str, Any]) -> Result:
    await khugepaged_scan(replay.mm)
    return None


async def _oom_kill(replay: Replay, op: dict[str, Any]) -> Result:
    await oom_reap(replay.mm)
    await replay.mm.exit()
    return {"signal": 9}


#: By the name that the recordings give them.
KERNEL_OPERATIONS: dict[str, Operation] = {
    "exporter_unmap_mapping_range": _unmap_mapping_range,
    "exporter_zap_vma_ptes": _zap_vma_ptes,
    "ftruncate": _ftruncate,
    "fallocate_punch_hole": _punch_hole,
    "clear_refs": _clear_refs,
    "mbind": _mbind,
    "migrate_pages": _migrate_pages,
    "khugepaged_wait": _khugepaged_wait,
    "ksm_wait": _ksm_wait,
    "numa_balancing_wait": _numa_balancing_wait,
    "oom_kill": _oom_kill,
}
