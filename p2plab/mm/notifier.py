"""``mmu_notifier``: calls listeners before page-table entries of an address space go away; what a refusal does.

Source of the rules: mm/mmu_notifier.c and include/linux/mmu_notifier.h of Linux 6.12. A callback runs inside the actor
that causes the invalidation, with that actor's locks held.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from p2plab.core import errno
from p2plab.core.actors import wait_event
from p2plab.core.calls import called
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.lockdep import NOTIFIER
from p2plab.core.locks import lock_map, note_released, note_taken
from p2plab.core.running import current_world, running
from p2plab.core.tracked import Tracked, name_of
from p2plab.mm.flags import ULONG_MAX
from p2plab.mm.locks import locks_held
from p2plab.mm.log import NotifierEnd, NotifierRelease, NotifierStart, NotifierWarned, span

if TYPE_CHECKING:
    from p2plab.mm.interval import IntervalTree, MmuIntervalNotifier
    from p2plab.mm.space import AddressSpace
    from p2plab.mm.vma import Vma


#: The lock map of the sleepable RCU under which the list of listeners is walked (mm/mmu_notifier.c).
SRCU = "srcu"


@dataclass(frozen=True, slots=True)
class MmuNotifierRange:
    """What is invalidated (``struct mmu_notifier_range``): bytes [start, end) of ``mm``, and why."""

    mm: AddressSpace
    start: int
    end: int
    event: str
    blockable: bool = True
    vma: Vma | None = None  #: the one VMA it is about, if the caller names it
    locks: tuple[tuple[str, str], ...] = ()  #: in a start callback: what the caller holds (``locks_held``)

    def __str__(self) -> str:
        return f"{self.event} {span(self.start, self.end)}" + ("" if self.blockable else ", non-blocking")

    def meets(self, start: int, end: int) -> bool:
        """Whether any byte of [start, end) is inside."""
        return self.start < end and start < self.end


class MmuNotifier(Tracked):
    """A listener. Override the callbacks that you need; one that is not overridden is a NULL pointer in the ops."""

    name: str = ""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """The range is about to go: drop every translation of it before returning 0. ``-EAGAIN`` only if non-blocking.

        A listener that may answer -EAGAIN must not override ``invalidate_range_end`` [include/linux/mmu_notifier.h].
        """
        raise NotImplementedError

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """The range is gone; new translations may be made."""
        raise NotImplementedError

    async def release(self, mm: AddressSpace) -> None:
        """The address space dies; no callback follows."""
        raise NotImplementedError


def listener_name(listener: Tracked) -> str:
    """A listener's name in the log: its own, or the one given by the world."""
    return str(getattr(listener, "name", "")) or name_of(listener)


def _has(listener: MmuNotifier, callback: str) -> bool:
    return getattr(type(listener), callback) is not getattr(MmuNotifier, callback)


class MmuNotifierSubscriptions(Tracked):
    """All listeners of one address space (``struct mmu_notifier_subscriptions``), newest first as in the kernel."""

    def __init__(self, itree: IntervalTree) -> None:
        self.list: list[MmuNotifier] = []
        self.itree = itree
        self.under_way: list[str] = []  #: the tasks that have announced an invalidation and not yet ended it

    async def take_all_locks(self) -> None:
        """``mm_take_all_locks``: a first hook-up waits until no invalidation is under way, so no end comes without start."""
        await wait_event(lambda: not self.under_way, "mm_take_all_locks", waits_for=lambda: tuple(self.under_way))

    def _check(self) -> None:
        """At rest no invalidation is under way and the sequence number is even (invariants 31 and 36)."""
        assert not self.under_way, f"invalidations by {', '.join(self.under_way)} have no end"
        self.itree._check()


async def mmu_notifier_register(mm: AddressSpace, listener: MmuNotifier) -> None:
    """Hook a listener in front of the others. Takes mmap_lock for writing."""
    async with mm.mmap_write():
        await mm.notifier_subscriptions.take_all_locks()
        if listener in mm.notifier_subscriptions.list:
            raise KernelError("EEXIST", f"{listener_name(listener)} already listens to {mm.name}")
        mm.notifier_subscriptions.list.insert(0, listener)


async def mmu_notifier_unregister(mm: AddressSpace, listener: MmuNotifier) -> None:
    """Unhook a listener; its ``release`` is called first, as the kernel does."""
    if listener not in mm.notifier_subscriptions.list:
        return
    if _has(listener, "release"):
        with called(listener_name(listener), "release", mm.name, caller="mmu_notifier_unregister"):
            await listener.release(mm)
    if listener in mm.notifier_subscriptions.list:
        mm.notifier_subscriptions.list.remove(listener)


async def mmu_notifier_invalidate_range_start(range: MmuNotifierRange) -> int:
    """Tell all listeners that the range is about to go; 0, or ``-EAGAIN`` which only a non-blocking caller heeds."""
    mm = range.mm
    if range.event not in mm.kernel.events:
        raise KernelError("EINVAL", f"{mm.kernel} has no event {range.event}; it has {', '.join(mm.kernel.events)}")
    range = replace(range, locks=locks_held(range))
    if ("vma", "read") in range.locks:
        note_taken(mm.vma_lock_name, "read")
    mmap_lock = mm.mmap_lock_state()
    emit(NotifierStart(mm.name, range.event, range.start, range.end, range.blockable, mmap_lock, range.locks))
    subscriptions = mm.notifier_subscriptions
    me = running.actor
    subscriptions.under_way.append(me)
    with lock_map(NOTIFIER):
        refused = await _interval_start(subscriptions.itree, range) if subscriptions.itree.in_use else 0
        refused = refused or await _list_start(subscriptions, range)
    if refused and not range.blockable:
        subscriptions.under_way.remove(me)
    return refused


async def mmu_notifier_invalidate_range_end(range: MmuNotifierRange) -> None:
    """Tell all listeners that the range is gone."""
    subscriptions = range.mm.notifier_subscriptions
    with lock_map(NOTIFIER):
        if subscriptions.itree.in_use:
            subscriptions.itree.inv_end()
        await _list_end(subscriptions, range)
    subscriptions.under_way.remove(running.actor)
    emit(NotifierEnd(range.mm.name, range.event, range.start, range.end))
    if range.mm.vma_lock_name in current_world().lock_order.held.get(running.actor, ()):
        note_released(range.mm.vma_lock_name, "read")


async def _interval_start(itree: IntervalTree, range: MmuNotifierRange) -> int:
    """``mn_itree_invalidate``: a refusal is taken back at once, so that nothing waits for an end that never comes.

    Second passes come after all first ones; after a refusal, for the listeners that had begun.
    """
    subscribers, seq = itree.inv_start_range(range.start, range.end)
    finals: list[MmuIntervalNotifier] = []
    refused = 0
    for subscriber in subscribers:
        if await _invalidate(subscriber, range, seq, finals):
            continue
        if range.blockable:
            emit(NotifierWarned(range.mm.name, listener_name(subscriber), "refused a blocking invalidation"))
            continue
        refused = -errno.EAGAIN
        break
    await _finish(finals, range, seq)
    if refused:
        itree.inv_end()
    return refused


async def _invalidate(
    subscriber: MmuIntervalNotifier, range: MmuNotifierRange, seq: int, finals: list[MmuIntervalNotifier]
) -> bool:
    name = "invalidate_start" if subscriber.two_pass else "invalidate"
    with called(listener_name(subscriber), name, str(range), caller="mmu_notifier") as call:
        if subscriber.two_pass:
            done, unfinished = await subscriber.invalidate_start(range, seq)
            if unfinished:
                finals.append(subscriber)
        else:
            done = await subscriber.invalidate(range, seq)
        call.result = "" if done else "false"
    return done


async def _finish(finals: list[MmuIntervalNotifier], range: MmuNotifierRange, seq: int) -> None:
    for subscriber in finals:
        with called(listener_name(subscriber), "invalidate_finish", str(range), caller="mmu_notifier"):
            await subscriber.invalidate_finish(range, seq)


async def _list_start(subscriptions: MmuNotifierSubscriptions, range: MmuNotifierRange) -> int:
    """``mn_hlist_invalidate_range_start``: every listener is called, even after one refused.

    An interval notifier's count stays raised when a listener of this list refuses: the kernel's own hole, recorded in
    ``oom_refuse_range_start``; ``mmu_interval_notifier_remove`` then waits for ever.
    """
    refused = 0
    for listener in list(subscriptions.list):
        if not _has(listener, "invalidate_range_start"):
            continue
        who = listener_name(listener)
        with lock_map(SRCU, "read"), called(who, "invalidate_range_start", str(range), caller="mmu_notifier") as call:
            answer = await listener.invalidate_range_start(range) or 0
            call.result = str(answer) if answer else ""
        if answer:
            refused = answer
            _warn_about_refusal(listener, range, answer)
    if refused:
        await _list_end(subscriptions, range)
    return refused


def _warn_about_refusal(listener: MmuNotifier, range: MmuNotifierRange, answer: int) -> None:
    mm, who = range.mm.name, listener_name(listener)
    if range.blockable:
        emit(NotifierWarned(mm, who, f"answered {answer} to a blocking call; the kernel goes on as if it had obeyed"))
    elif answer != -errno.EAGAIN:
        emit(NotifierWarned(mm, who, f"answered {answer}; only -EAGAIN is allowed"))
    if _has(listener, "invalidate_range_end"):
        emit(NotifierWarned(mm, who, "may refuse, so it must not have an invalidate_range_end"))


async def _list_end(subscriptions: MmuNotifierSubscriptions, range: MmuNotifierRange) -> None:
    for listener in list(subscriptions.list):
        if _has(listener, "invalidate_range_end"):
            who = listener_name(listener)
            with lock_map(SRCU, "read"), called(who, "invalidate_range_end", str(range), caller="mmu_notifier"):
                await listener.invalidate_range_end(range)


async def mmu_notifier_release(mm: AddressSpace) -> None:
    """The address space dies: RELEASE to interval notifiers, ``release`` to listeners, which are unhooked."""
    emit(NotifierRelease(mm.name))
    subscriptions = mm.notifier_subscriptions
    if subscriptions.itree.in_use:
        everything = MmuNotifierRange(mm, 0, ULONG_MAX, "RELEASE")
        subscribers, seq = subscriptions.itree.inv_start_range(0, ULONG_MAX)
        finals: list[MmuIntervalNotifier] = []
        for subscriber in subscribers:
            with lock_map(NOTIFIER):  # the kernel has no annotation here; what is allowed inside is the same
                await _invalidate(subscriber, everything, seq, finals)
        await _finish(finals, everything, seq)
        subscriptions.itree.inv_end()
    for listener in list(subscriptions.list):
        if _has(listener, "release"):
            with lock_map(SRCU, "read"), called(listener_name(listener), "release", mm.name, caller="mmu_notifier"):
                await listener.release(mm)
    subscriptions.list.clear()
