"""Lockdep, as a reading of runs: the order of lock *classes* over all of them, and a cycle reported in its words.

The rule ``lock-order`` judges one run by the locks themselves. Lockdep knows classes only, keeps what it saw in earlier
runs, and reports what it believes to be possible. What it can see differs by kernel: a recursive reader that is checked
(``srcu`` around the notifiers of 2019, since 6.4) ends every chain. Source: kernel/locking/lockdep.c of Linux 6.12
(``check_deadlock``, ``check_prevs_add``, ``check_noncircular``, ``print_circular_bug``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from p2plab.core.lockdep import DMA_FENCE, FS_RECLAIM, NOTIFIER

#: One thing that was done with a lock: (what, actor, lock, mode), as in ``LockHistory.history``.
Did = tuple[str, str, str, str]
#: How the kernel writes the class of a lock that is called so in the model.
_CLASSES = {
    "mmap_lock": "&mm->mmap_lock",
    "i_mmap_rwsem": "&mapping->i_mmap_rwsem",
    "rwsem": "&anon_vma->rwsem",
    "vma_lock": "&vma->vm_lock->lock",
    "resv": "reservation_ww_class_mutex",
    "memory_lock": "&vdev->memory_lock",
}
MMAP_LOCK, I_MMAP, RESV = _CLASSES["mmap_lock"], _CLASSES["i_mmap_rwsem"], _CLASSES["resv"]


def class_of(lock: str) -> str:
    """The class of a lock by its name: ``&nic->lock`` of ``nic2.lock``. Locks of one kind are one class."""
    owner, _, name = lock.rpartition(".")
    if name in _CLASSES:
        return _CLASSES[name]
    return f"&{re.sub(r'[0-9]+$', '', owner)}->{name}" if owner else lock


@dataclass(frozen=True)
class Annotations:
    """What a kernel's lockdep knows of notifiers, reclaim and fences. ``srcu``: ``checked``, ``unchecked`` or ``absent``."""

    name: str
    notifier_map: bool = True  #: since 5.4 (include/linux/mmu_notifier.h)
    reclaim_calls_notifiers: bool = True  #: since 5.11 (mm/page_alloc.c, fs_reclaim_acquire)
    fences: bool = True  #: since 5.9 (drivers/dma-buf/dma-fence.c)
    srcu: str = "checked"  #: include/linux/srcu.h, srcu_lock_acquire


#: By kernel. 7.3 is assumed to be like 6.12 (inferred). ``6.12-notrace`` is 6.12 with a ``srcu`` that is not traced around the
#: callbacks of 2019, as it was tried.
ANNOTATIONS = {
    kernel.name: kernel
    for kernel in (
        Annotations("rfc2019", notifier_map=False, reclaim_calls_notifiers=False, fences=False, srcu="unchecked"),
        Annotations("6.1", srcu="unchecked"),
        Annotations("6.12"),
        Annotations("7.3"),
        Annotations("6.12-notrace", srcu="absent"),
    )
}


class Hold(NamedTuple):
    """A lock as a task holds it, or wants it: ``read`` is 0 (exclusive), 1 (reader) or 2 (recursive reader)."""

    lock: str
    read: int
    checked: bool = True
    trylock: bool = False

    @property
    def lock_class(self) -> str:
        return class_of(self.lock)


#: A section in which a fence must be signalled (``dma_fence_begin_signalling``): a reader that is got by trying.
_SIGNALLING = Hold(DMA_FENCE, 1, trylock=True)


@dataclass
class Dependency:
    """``second`` was taken under ``first``. ``kinds``: (first was exclusive, second was no recursive reader)."""

    first: str
    second: str
    where: str  #: which actor did it first, and where
    kinds: set[tuple[bool, bool]] = field(default_factory=set)


@dataclass(frozen=True)
class Report:
    """What lockdep prints. ``kind`` is ``circular`` or ``recursive``; ``chain`` runs from the lock wanted to the one held."""

    kind: str
    who: str
    where: str
    wanted: Hold
    held: Hold
    chain: tuple[Dependency, ...]
    holds: tuple[Hold, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the chain, the wanted one first."""
        return (self.wanted.lock_class, *(link.second for link in self.chain))

    def lines(self) -> Iterator[str]:
        """In lockdep's own form; in place of stack traces it names the actor that took the lock, and the run."""
        title = f"WARNING: possible {self.kind} {'locking dependency' if self.chain else 'locking'} detected"
        rule = "=" * len(title)
        yield from (rule, title, "-" * len(rule))
        yield f"{self.who} is trying to acquire lock:"
        yield f" ({self.wanted.lock_class}), in {self.where}"
        yield ""
        yield "but task is already holding lock:"
        yield f" ({self.held.lock_class})"
        yield ""
        if self.chain:
            yield "which lock already depends on the new lock."
            yield ""
            yield "the existing dependency chain (in reverse order) is:"
            yield ""
            for number in range(len(self.chain), 0, -1):
                link = self.chain[number - 1]
                yield f"-> #{number} ({link.second}):"
                yield f"       under {link.first}: {link.where}"
                yield ""
            yield f"-> #0 ({self.wanted.lock_class}):"
            yield f"       under {self.held.lock_class}: {self.who}, in {self.where}"
            yield ""
        yield "other info that might help us debug this:"
        yield ""
        yield from self._scenario()
        yield ""
        yield " *** DEADLOCK ***"
        yield ""
        if not self.chain:
            yield " May be due to missing lock nesting notation"
            yield ""
        yield f"{len(self.holds)} lock{'s' * (len(self.holds) != 1)} held by {self.who}:"
        yield from (f" #{number}: ({hold.lock_class})" for number, hold in enumerate(self.holds))

    def _scenario(self) -> Iterator[str]:
        new, old = self.wanted.lock_class, self.held.lock_class
        takes = {hold.lock_class: "rlock" if hold.read else "lock" for hold in (self.held, self.wanted)}
        if not self.chain:
            yield " Possible unsafe locking scenario:"
            yield ""
            yield from ("       CPU0", "       ----", f"  lock({old});", f"  lock({new});")
            return
        before = self.chain[-1].first
        if before != new:
            yield "Chain exists of:"
            yield f"  {new} --> {before} --> {old}"
            yield ""
        yield " Possible unsafe locking scenario:"
        yield ""
        yield "       CPU0                    CPU1"
        yield "       ----                    ----"
        yield f"  {takes[old]}({old});"
        yield f"                               lock({before});"
        yield f"                               lock({old});"
        yield f"  {takes[new]}({new});"


class Lockdep:
    """The graph of one kernel's lockdep, fed with one run after another. It stops at its first report, as lockdep does."""

    def __init__(self, kernel: Annotations) -> None:
        self.kernel = kernel
        self.after: dict[str, dict[str, Dependency]] = {}
        self.report: Report | None = None
        self._held: dict[str, list[Hold]] = {}
        self._wanted: dict[str, str] = {}
        self._prime()

    def feed(self, history: Iterable[Did], where: str) -> None:
        """Go on with the history of the run called ``where``."""
        self._held, self._wanted = {}, {}
        for what, actor, lock, mode in history:
            if self.report is not None:
                return
            if what == "wants":
                self._wants(actor, Hold(lock, 1 if mode == "read" else 0), where)
            elif what == "takes":
                trylock = self._wanted.pop(actor, "") != lock
                self._hold(actor, Hold(lock, 1 if mode == "read" else 0, trylock=trylock))
            elif what == "enters":
                self._enters(actor, lock, where)
            else:
                self._drop(actor, lock)

    @property
    def hides(self) -> str:
        """The checked recursive reader under which locks were taken, and which ended their chains. Empty if none."""
        return "srcu" if self.kernel.srcu == "checked" and self.after.get("srcu") else ""

    # -- what the kernel knows beforehand -----------------------------------------------------------------------------

    def _prime(self) -> None:
        known = [(MMAP_LOCK, FS_RECLAIM, "a vma is allocated under it"), (MMAP_LOCK, I_MMAP, "mm/vma.c (vma_link)")]
        if self.kernel.notifier_map:
            known.append((MMAP_LOCK, NOTIFIER, "munmap"))
        if self.kernel.reclaim_calls_notifiers:
            known.append((FS_RECLAIM, NOTIFIER, "mm/page_alloc.c (fs_reclaim_acquire)"))
        if self.kernel.fences:
            boot = "drivers/dma-buf/dma-resv.c (dma_resv_lockdep)"
            known += [(MMAP_LOCK, RESV, boot), (RESV, FS_RECLAIM, boot), (FS_RECLAIM, I_MMAP, boot)]
            known.append((NOTIFIER, DMA_FENCE, boot))
        for first, second, where in known:
            self._add(Hold(first, 0), Hold(second, 0), where)

    # -- one task -----------------------------------------------------------------------------------------------------

    def _wants(self, actor: str, new: Hold, where: str) -> None:
        if new.lock == NOTIFIER and not self.kernel.notifier_map:
            return
        if new.lock == DMA_FENCE and not self.kernel.fences:
            return
        self._wanted[actor] = new.lock
        inside = new.lock == DMA_FENCE and self._drop(actor, DMA_FENCE)  # __dma_fence_might_wait
        self._acquire(actor, new, where)
        if inside:
            self._hold(actor, _SIGNALLING)
        if new.lock == FS_RECLAIM and self.kernel.reclaim_calls_notifiers and self.report is None:
            self._hold(actor, new)
            self._acquire(actor, Hold(NOTIFIER, 0), where)
            self._drop(actor, FS_RECLAIM)

    def _enters(self, actor: str, name: str, where: str) -> None:
        if name == "srcu":
            if self.kernel.srcu == "absent":
                return
            new = Hold(name, 2, checked=self.kernel.srcu == "checked")
        elif (name == NOTIFIER and not self.kernel.notifier_map) or (name == DMA_FENCE and not self.kernel.fences):
            return
        elif name == DMA_FENCE:
            self._hold(actor, _SIGNALLING)
            return
        else:
            new = Hold(name, 0)
        self._acquire(actor, new, where)
        self._hold(actor, new)

    def _hold(self, actor: str, hold: Hold) -> None:
        self._held.setdefault(actor, []).append(hold)

    def _drop(self, actor: str, lock: str) -> bool:
        holds = self._held.get(actor, [])
        for number in range(len(holds) - 1, -1, -1):
            if holds[number].lock == lock:
                del holds[number]
                return True
        return False

    # -- lockdep ------------------------------------------------------------------------------------------------------

    def _acquire(self, actor: str, new: Hold, where: str) -> None:
        """``validate_chain``."""
        holds = self._held.get(actor, [])
        if not new.checked:
            return
        for held in holds:
            if held.lock_class == new.lock_class and not (new.read == 2 and held.read):
                self.report = Report("recursive", actor, where, new, held, (), tuple(holds))
                return
        for held in reversed(holds):
            if not held.checked:
                continue
            if (chain := self._circle(new, held)) is not None:
                self.report = Report("circular", actor, where, new, held, chain, tuple(holds))
                return
            self._add(held, new, f"{actor}, in {where}")
            if not held.trylock:
                return

    def _add(self, first: Hold, second: Hold, where: str) -> None:
        links = self.after.setdefault(first.lock_class, {})
        link = links.setdefault(second.lock_class, Dependency(first.lock_class, second.lock_class, where))
        link.kinds.add((first.read == 0, second.read != 2))

    def _circle(self, new: Hold, held: Hold) -> tuple[Dependency, ...] | None:
        """``check_noncircular``: the shortest strong path from the wanted lock to the held one."""
        start = new.lock_class, new.read == 2
        came: dict[tuple[str, bool], tuple[tuple[str, bool], Dependency] | None] = {start: None}
        todo = [start]
        while todo:
            here = todo.pop(0)
            if here != start and here[0] == held.lock_class and (held.read == 0 or not here[1]):
                return _way(came, here)
            for link in self.after.get(here[0], {}).values():
                kinds = {kind for kind in link.kinds if kind[0] or not here[1]}
                if not kinds:
                    continue
                after = link.second, not any(plain for _, plain in kinds)
                if after not in came:
                    came[after] = here, link
                    todo.append(after)
        return None


def _way(
    came: dict[tuple[str, bool], tuple[tuple[str, bool], Dependency] | None], end: tuple[str, bool]
) -> tuple[Dependency, ...]:
    links: list[Dependency] = []
    step = came[end]
    while step is not None:
        links.append(step[1])
        step = came[step[0]]
    return tuple(reversed(links))
