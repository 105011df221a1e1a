"""Listeners of the chain: who is called in which order, what a refusal does, and what never comes back from it."""

import pytest

from p2plab.core import errno
from p2plab.core.calls import Called, Returned
from p2plab.core.errors import KernelError
from p2plab.core.lockdep import Deadlock
from p2plab.core.schedule import follow, straight
from p2plab.core.world import World
from p2plab.mm import (
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    RFC2019,
    AddressSpace,
    MmuIntervalNotifier,
    MmuNotifier,
    MmuNotifierRange,
    NotifierWarned,
    PfnFile,
    mmu_interval_notifier_insert,
    mmu_interval_notifier_remove,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
    oom_reap,
)
from p2plab.mm.recorder import IntervalRecorder, NotifierRecorder

BASE = 0x7F00_0000_0000
PAGE = 4096
FIXED = MAP_PRIVATE | MAP_FIXED


def page(address):
    return (address - BASE) // PAGE


class Listener(MmuNotifier):
    """Has start and end."""

    def __init__(self, name):
        self.name = name

    async def invalidate_range_start(self, range):
        return 0

    async def invalidate_range_end(self, range):
        return None


class Refuses(MmuNotifier):
    """Has a start that refuses what it may, and no end: the legal way to refuse."""

    name = "refuser"

    async def invalidate_range_start(self, range):
        return 0 if range.blockable else -errno.EAGAIN


class RefusesAlways(Listener):
    """Refuses blocking calls too, and has an end: wrong twice."""

    async def invalidate_range_start(self, range):
        return -errno.EAGAIN


def calls(world):
    kinds = (Called, Returned)
    return [str(e.event) for e in world.log if isinstance(e.event, kinds)]


def test_the_newest_listener_is_called_first_and_all_starts_before_any_end(alone):
    """Two listeners: the log has every call with its return, in the kernel's order."""

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, PAGE, flags=FIXED)
        await mm.mmu_notifier_register(Listener("old"))
        await mm.mmu_notifier_register(Listener("new"))
        await mm.madvise(BASE, PAGE, "DONTNEED")

    detail = "CLEAR [0x7f0000000000, 0x7f0000001000)"
    assert [line for line in calls(alone(story)) if "(" in line] == [
        f"new.invalidate_range_start({detail})",
        f"old.invalidate_range_start({detail})",
        f"new.invalidate_range_end({detail})",
        f"old.invalidate_range_end({detail})",
    ]


def test_a_listener_registers_once(alone):
    """Registering it twice is EEXIST; unregistering calls its release."""

    async def story():
        mm = AddressSpace()
        listener = Listener("one")
        await mm.mmu_notifier_register(listener)
        with pytest.raises(KernelError, match="EEXIST"):
            await mm.mmu_notifier_register(listener)
        await mm.mmu_notifier_unregister(listener)
        assert not mm.notifier_subscriptions.list

    alone(story)


def test_one_refusal_does_not_spare_the_others(alone):
    """Non-blocking, one of three refuses: all are asked, those with an end get it at once, the caller hears -EAGAIN."""
    heard = []

    async def story():
        mm = AddressSpace()
        for listener in (Listener("first"), Refuses(), Listener("last")):
            await mm.mmu_notifier_register(listener)
        range = MmuNotifierRange(mm, BASE, BASE + PAGE, "UNMAP", blockable=False)
        heard.append(await mmu_notifier_invalidate_range_start(range))

    world = alone(story)
    assert heard == [-errno.EAGAIN]
    names = [(e.event.target, e.event.function) for e in world.log if isinstance(e.event, Called)]
    assert names == [
        ("last", "invalidate_range_start"),
        ("refuser", "invalidate_range_start"),
        ("first", "invalidate_range_start"),
        ("last", "invalidate_range_end"),
        ("first", "invalidate_range_end"),
    ]
    assert not [e for e in world.log if isinstance(e.event, NotifierWarned)]


def test_refusing_a_blocking_call_warns_and_changes_nothing(alone):
    """The kernel goes on as if it had obeyed (F6): the page is gone, and two WARNs say what was wrong."""

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, PAGE, flags=FIXED)
        await mm.touch(BASE, BASE + PAGE, True)
        await mm.mmu_notifier_register(RefusesAlways("rogue"))
        await mm.madvise(BASE, PAGE, "DONTNEED")
        assert mm.page_table.get(BASE) is None

    warned = [str(e.event) for e in alone(story).log if isinstance(e.event, NotifierWarned)]
    assert warned == [
        "WARN: rogue answered -11 to a blocking call; the kernel goes on as if it had obeyed",
        "WARN: rogue may refuse, so it must not have an invalidate_range_end",
    ]


def test_an_interval_refusal_is_taken_back_at_once(alone):
    """The count that it raised is lowered again: a later remove does not hang."""

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, 4 * PAGE, flags=FIXED)
        heard = []
        node = IntervalRecorder(heard.append, page, refuse=True)
        await mmu_interval_notifier_insert(node, mm, BASE, 4 * PAGE)
        assert await oom_reap(mm) is False
        assert [call["blockable"] for call in heard] == [False] * 10
        await mmu_interval_notifier_remove(node)
        mm._check()

    alone(story)


def test_a_listeners_refusal_hangs_the_removal_of_interval_notifiers():
    """The kernel's own hole, recorded in oom_refuse_range_start: the interval count stays raised for good."""

    def build(world):
        mm = AddressSpace()

        async def story():
            await mm.mmap(BASE, 4 * PAGE, flags=FIXED)
            node = IntervalRecorder(lambda call: None, page, refuse=False)
            await mmu_interval_notifier_insert(node, mm, BASE, 4 * PAGE)
            await mm.mmu_notifier_register(Refuses())
            assert await oom_reap(mm) is False
            await mmu_interval_notifier_remove(node)

        world.actor("process", story)

    world = World(build)
    follow(world, straight)
    assert world.why_not("process") == "process waits: mmu_interval_notifier_remove"
    assert [e.event.waits for e in world.log if isinstance(e.event, Deadlock)] == [
        ("process: mmu_interval_notifier_remove",)
    ]


def test_the_hole_also_hangs_who_only_watches_device_memory():
    """Recorded too: the reaper never touched the device's VMA, but the count leaks, and exit leaves the number odd."""

    def build(world):
        mm = AddressSpace()

        async def story():
            await mm.mmap(BASE, 4 * PAGE, flags=MAP_SHARED | MAP_FIXED, file=PfnFile("bar", 16))
            await mm.mmap(BASE + 64 * PAGE, PAGE, flags=FIXED)
            node = IntervalRecorder(lambda call: None, page, refuse=False)
            await mmu_interval_notifier_insert(node, mm, BASE, 4 * PAGE)
            await mm.mmu_notifier_register(Refuses())
            assert await oom_reap(mm) is False
            assert mm.notifier_subscriptions.itree.invalidate_seq == 2
            await mm.exit()
            assert mm.notifier_subscriptions.itree.invalidate_seq == 3
            await mmu_interval_notifier_remove(node)

        world.actor("process", story)

    world = World(build)
    follow(world, straight)
    assert world.why_not("process") == "process waits: mmu_interval_notifier_remove"


@pytest.mark.parametrize("shared", [MAP_SHARED, MAP_PRIVATE], ids=["shared", "private"])
def test_the_reaper_leaves_device_memory_alone(alone, shared):
    """Anonymous memory is reaped without blocking; listeners of device memory are never asked so (C3)."""
    heard = []

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, 4 * PAGE, flags=shared | MAP_FIXED, file=PfnFile("bar", 16))
        await mm.mmap(BASE + 8 * PAGE, 4 * PAGE, flags=FIXED)
        for start in (0, 8):
            await mm.touch(BASE + start * PAGE, BASE + (start + 4) * PAGE, start > 0)
        await mm.mmu_notifier_register(NotifierRecorder(heard.append, page))
        assert await oom_reap(mm) is True
        assert mm.page_table.get(BASE) is not None
        assert mm.page_table.get(BASE + 8 * PAGE) is None

    alone(story)
    assert [(c["cb"], c["event"], c["start"], c["end"], c["blockable"]) for c in heard] == [
        ("start", "UNMAP", 8, 12, False),
        ("end", "UNMAP", 8, 12, False),
    ]


def test_exit_unhooks_the_chain_before_it_unmaps(alone):
    """release is the chain's last word; an interval notifier hears RELEASE and then the UNMAP of everything."""
    heard = []

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, PAGE, flags=FIXED)
        await mm.mmu_notifier_register(NotifierRecorder(heard.append, page))
        await mmu_interval_notifier_insert(IntervalRecorder(heard.append, page, refuse=False), mm, BASE, PAGE)
        await mm.exit()
        mm._check()

    alone(story)
    assert [(c["cb"], c.get("event"), c["mmap_lock"]) for c in heard] == [
        ("interval", "RELEASE", "none"),
        ("release", None, "none"),
        ("interval", "UNMAP", "read"),
    ]


def test_2019_knows_five_events(alone):
    """The names of the v4 series of January 2019; what came later is refused with the list."""

    async def story():
        mm = AddressSpace(kernel=RFC2019)
        for event in ("UNMAP", "CLEAR", "PROTECTION_VMA", "PROTECTION_PAGE", "SOFT_DIRTY"):
            range = MmuNotifierRange(mm, 0, PAGE, event)
            assert await mmu_notifier_invalidate_range_start(range) == 0
            await mmu_notifier_invalidate_range_end(range)
        for event in ("RELEASE", "MIGRATE", "EXCLUSIVE"):
            with pytest.raises(KernelError, match="it has UNMAP, CLEAR"):
                await mmu_notifier_invalidate_range_start(MmuNotifierRange(mm, 0, PAGE, event))

    alone(story)


def test_a_callback_that_is_missing_is_not_called(alone):
    """A listener without callbacks is no error, as a NULL in the ops is none."""

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, PAGE, flags=FIXED)
        await mm.mmu_notifier_register(MmuNotifier())
        await mm.munmap(BASE, PAGE)
        await mm.exit()

    assert calls(alone(story)) == []
    assert issubclass(IntervalRecorder, MmuIntervalNotifier)
