"""The locks below mmap_lock: a VMA's own, a file's i_mmap_rwsem, an anon_vma's. None of them costs a step by itself.

A free lock is taken within the running step; waiting for one is a separate step. What is taken and
given back within one step is only waited for: no other step could see it held.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from p2plab.core.actors import wait_event
from p2plab.core.locks import RWLock, note_taken, note_wanted
from p2plab.core.running import running

if TYPE_CHECKING:
    from p2plab.mm.notifier import MmuNotifierRange
    from p2plab.mm.vma import Vma


class VmaRead:
    """``lock_vma_under_rcu`` … ``vma_end_read``: the VMA's own lock, for reading. The caller saw that no writer has it.

    The log shows it held while an event is announced under it: nothing else could observe it.
    """

    __slots__ = ("me", "vma")

    def __init__(self, vma: Vma) -> None:
        self.vma = vma

    def __enter__(self) -> None:
        self.me = running.actor
        self.vma.lock_readers.append(self.me)

    def __exit__(self, kind: type[BaseException] | None, _e: object, _t: TracebackType | None) -> None:
        if kind is not GeneratorExit:  # else the world is being thrown away: nobody will ever run again
            self.vma.lock_readers.remove(self.me)


class RmapLock(RWLock):
    """``i_mmap_rwsem`` of a file, or ``anon_vma->root->rwsem``."""

    async def down(self, mode: str) -> None:
        """Take it, within the running step if it is free."""
        me = running.actor
        note_wanted(self.name, mode)
        if not self._try(me, mode):
            await wait_event(
                lambda: self._holds(me, mode), f"{self.name} granted", waits_for=lambda: self._ahead_of(me)
            )
            note_taken(self.name, mode)

    def up(self, mode: str) -> None:
        """Give it back, within the running step."""
        self._up(mode)

    async def passes(self) -> None:
        """Wait until it is free for writing; it is taken and given back within the step that follows."""
        note_wanted(self.name, "write")
        if self.holders():
            await wait_event(lambda: not self.holders(), f"{self.name} granted", waits_for=self.holders)


async def rmap_locks_pass(vma: Vma) -> None:
    """Wait for the reverse-map locks of a VMA that is linked or unlinked within the step that follows."""
    if vma.vm_file is not None:
        await vma.vm_file.f_mapping.i_mmap_rwsem.passes()
    if vma.anon_vma is not None:
        await vma.anon_vma.rwsem.passes()


class RmapHeld:
    """``async with RmapHeld("write", lock, …):`` reverse-map locks over events; without a step when they are free."""

    __slots__ = ("locks", "mode")

    def __init__(self, mode: str, *locks: RmapLock | None) -> None:
        self.mode = mode
        self.locks = [lock for lock in locks if lock is not None]

    async def __aenter__(self) -> None:
        for lock in self.locks:
            await lock.down(self.mode)

    async def __aexit__(self, kind: type[BaseException] | None, _e: object, _t: TracebackType | None) -> None:
        if kind is not GeneratorExit:  # else the world is being thrown away: nobody will ever run again
            for lock in reversed(self.locks):
                lock.up(self.mode)


def rmap_locks(vma: Vma, mode: str) -> RmapHeld:
    """Both locks of a VMA (``vma_prepare``): its file's, then its anon_vma's."""
    return RmapHeld(
        mode,
        vma.vm_file.f_mapping.i_mmap_rwsem if vma.vm_file is not None else None,
        vma.anon_vma.rwsem if vma.anon_vma is not None else None,
    )


def locks_held(range: MmuNotifierRange) -> tuple[tuple[str, str], ...]:
    """What the running actor holds of a range's memory: (lock, ``read`` or ``write``), the outermost first.

    ``mmap`` is mmap_lock, ``vma`` the VMA's own lock, ``i_mmap`` the file's i_mmap_rwsem, ``anon_vma`` its root's rwsem.
    """
    mm, me = range.mm, running.actor
    found: dict[tuple[str, str], None] = {}
    writes = mm.mmap_lock.writer == me
    if writes or me in mm.mmap_lock.readers:
        found["mmap", "write" if writes else "read"] = None
    rmap: dict[RmapLock, str] = {}
    for vma in (range.vma,) if range.vma is not None else mm.vmas_in(range.start, range.end):
        if writes and vma.write_locked:
            found["vma", "write"] = None
        elif me in vma.lock_readers:
            found["vma", "read"] = None
        if (file := vma.vm_file) is not None:
            rmap[file.f_mapping.i_mmap_rwsem] = "i_mmap"
        if (anon_vma := vma.anon_vma) is not None:
            rmap[anon_vma.rwsem] = "anon_vma"
    for lock, name in rmap.items():
        if (mode := lock.mode_held_by_me()) is not None:
            found[name, mode] = None
    return tuple(found)
