"""`mmu_interval_notifier`: the sequence protocol, with its numbers (invariants 36 to 40)."""

import pytest

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.core.locks import Mutex
from p2plab.core.schedule import by_seed, by_text, follow
from p2plab.core.world import World
from p2plab.mm import (
    RFC2019,
    AddressSpace,
    MmuIntervalNotifier,
    MmuNotifierRange,
    mmu_interval_notifier_insert,
    mmu_interval_notifier_remove,
    mmu_interval_read_begin,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)

PAGE = 4096


class Obedient(MmuIntervalNotifier):
    """Stores the number, as it must."""

    async def invalidate(self, range, cur_seq):
        self.set_seq(cur_seq)
        return True


def waits(node, mm):
    """Whether read_begin would sleep now."""
    return node.invalidate_seq == mm.notifier_subscriptions.itree.invalidate_seq


def test_the_numbers_of_a_whole_life(alone):
    """Insert, begin, start, retry, overlapping start, ends, an unmonitored range, two late inserts: each number."""

    async def story():
        mm = AddressSpace()
        itree = mm.notifier_subscriptions.itree
        a, b, c = Obedient(), Obedient(), Obedient()

        def clear(start, end):
            return MmuNotifierRange(mm, start * PAGE, end * PAGE, "CLEAR")

        def seqs(node):
            return itree.invalidate_seq, node.invalidate_seq

        await mmu_interval_notifier_insert(a, mm, 0, 16 * PAGE)
        assert seqs(a) == (2, 1)
        assert await mmu_interval_read_begin(a) == 1
        await mmu_notifier_invalidate_range_start(clear(0, 4))
        assert seqs(a) == (3, 3)
        assert a.read_retry(1)
        assert waits(a, mm)
        await mmu_notifier_invalidate_range_start(clear(2, 8))
        assert seqs(a) == (3, 3)
        await mmu_notifier_invalidate_range_end(clear(0, 4))
        assert seqs(a) == (3, 3)
        assert waits(a, mm)
        await mmu_notifier_invalidate_range_end(clear(2, 8))
        assert seqs(a) == (4, 3)
        assert not a.read_retry(await mmu_interval_read_begin(a))
        await mmu_notifier_invalidate_range_start(clear(100, 104))
        assert seqs(a) == (4, 3)
        assert not waits(a, mm)
        await mmu_interval_notifier_insert(b, mm, 50 * PAGE, PAGE)
        assert seqs(b) == (5, 5)
        assert waits(b, mm)
        await mmu_notifier_invalidate_range_end(clear(100, 104))
        assert seqs(b) == (6, 5)
        await mmu_notifier_invalidate_range_start(clear(0, 4))
        assert seqs(a) == (7, 7)
        await mmu_interval_notifier_insert(c, mm, 60 * PAGE, PAGE)
        assert seqs(c) == (7, 7)
        assert c not in itree.nodes
        await mmu_notifier_invalidate_range_end(clear(0, 4))
        assert seqs(c) == (8, 7)
        assert c in itree.nodes
        mm._check()

    alone(story)


def test_it_hears_only_what_meets_its_range(alone):
    """An invalidation beside the interval never makes it retry (invariant 39), one inside always does (38)."""

    async def story():
        mm = AddressSpace()
        node = Obedient()
        await mmu_interval_notifier_insert(node, mm, 4 * PAGE, 4 * PAGE)
        for start, end, meets in [(0, 4, False), (8, 12, False), (0, 5, True), (7, 8, True), (0, 16, True)]:
            seq = await mmu_interval_read_begin(node)
            range = MmuNotifierRange(mm, start * PAGE, end * PAGE, "CLEAR")
            await mmu_notifier_invalidate_range_start(range)
            await mmu_notifier_invalidate_range_end(range)
            assert node.read_retry(seq) is meets, (start, end)

    alone(story)


@pytest.mark.parametrize("length", [0, -PAGE, 1 << 65])
def test_an_empty_or_wrapping_range_is_eoverflow(alone, length):
    """As the kernel answers."""

    async def story():
        with pytest.raises(KernelError, match="EOVERFLOW"):
            await mmu_interval_notifier_insert(Obedient(), AddressSpace(), PAGE, length)

    alone(story)


def test_2019_has_none(alone):
    """It came with Linux 5.5."""

    async def story():
        with pytest.raises(KernelError, match=r"5\.5"):
            await mmu_interval_notifier_insert(Obedient(), AddressSpace(kernel=RFC2019), 0, PAGE)

    alone(story)


def race(locked: bool):
    """An importer maps a page by the protocol while another thread invalidates it, again and again."""

    def build(world: World) -> None:
        mm = AddressSpace()
        lock = Mutex("importer")
        world.things = {"mm": mm}

        class Importer(MmuIntervalNotifier):
            def __init__(self):
                self.mapped = None

            async def invalidate(self, range, cur_seq):
                async with lock:
                    self.set_seq(cur_seq)
                    self.mapped = None
                return True

        node = Importer()
        page = Obedient()  # `page.invalidate_seq` stands for where the memory is: it changes within start and end
        page.invalidate_seq = 0

        async def imports():
            await mmu_interval_notifier_insert(node, mm, 0, PAGE)
            for _ in range(2):
                seq = await mmu_interval_read_begin(node)
                where = await step("walk the page table", lambda: page.invalidate_seq)
                if locked:
                    async with lock:
                        if not node.read_retry(seq):
                            node.mapped = where
                elif not node.read_retry(seq):
                    await step("about to program the device")
                    node.mapped = where

        async def invalidates():
            for _ in range(2):
                one_page = MmuNotifierRange(mm, 0, PAGE, "CLEAR")
                async with mm.mmap_lock.read():
                    await mmu_notifier_invalidate_range_start(one_page)
                    await step("the page moves", lambda: setattr(page, "invalidate_seq", page.invalidate_seq + 1))
                    await mmu_notifier_invalidate_range_end(one_page)

        world.actor("importer", imports)
        world.actor("mover", invalidates)
        world.things["stale"] = lambda: node.mapped not in (None, page.invalidate_seq)

    return build


def stale_runs(locked: bool, seeds: int) -> int:
    found = 0
    for seed in range(seeds):
        world = World(race(locked))
        itree = world.things["mm"].notifier_subscriptions.itree
        stale = False
        for choice in by_seed(seed)(world):
            world.take(choice)
            stale |= not itree.active_invalidate_ranges and world.things["stale"]()
        assert world.stuck is None
        world.things["mm"]._check()
        found += stale
    return found


def test_the_protocol_never_leaves_a_stale_translation():
    """Over many orders: with retry checked under the lock, no mapping outlives the page's move (invariant 38)."""
    assert stale_runs(locked=True, seeds=250) == 0


def test_without_the_lock_a_stale_translation_slips_through():
    """The same importer that checks and then programs without its lock is caught in some order (F11)."""
    assert stale_runs(locked=False, seeds=250) > 0


def test_remove_waits_for_the_end_and_then_goes():
    """While its range is being invalidated, remove sleeps; the end lets it go on."""

    def build(world: World) -> None:
        mm = AddressSpace()
        node = Obedient()
        world.things = {"mm": mm, "node": node}

        async def invalidates():
            await mmu_interval_notifier_insert(node, mm, 0, PAGE)
            range = MmuNotifierRange(mm, 0, PAGE, "CLEAR")
            await mmu_notifier_invalidate_range_start(range)
            await step("started")
            await mmu_notifier_invalidate_range_end(range)

        async def removes():
            await step("wait for the start")
            await mmu_interval_notifier_remove(node)
            await step("removed")

        world.actor("mover", invalidates)
        world.actor("importer", removes)

    world = World(build)
    itree = world.things["mm"].notifier_subscriptions.itree
    while not itree.is_invalidating:
        world.take("mover")
    world.take("importer")
    assert world.why_not("importer") == "importer waits: mmu_interval_notifier_remove"
    follow(world, by_text("..."))
    assert world.things["node"] not in itree.nodes
    world.things["mm"]._check()


def test_the_first_one_is_hooked_up_only_between_invalidations():
    """mm_take_all_locks: who registers during an invalidation waits for its end, so no end comes without its start."""

    def build(world: World) -> None:
        mm = AddressSpace()
        world.things = {"mm": mm}

        async def invalidates():
            one_page = MmuNotifierRange(mm, 0, PAGE, "CLEAR")
            await step("before")
            await mmu_notifier_invalidate_range_start(one_page)
            await step("under way")
            await mmu_notifier_invalidate_range_end(one_page)

        async def registers():
            await mmu_interval_notifier_insert(Obedient(), mm, 0, PAGE)

        world.actor("mover", invalidates)
        world.actor("importer", registers)

    world = World(build)
    follow(world, by_text("mover*1 importer*1"))
    assert world.why_not("importer") == "importer waits: mm_take_all_locks (for mover)"
    follow(world, by_text("..."))
    assert world.things["mm"].notifier_subscriptions.itree.invalidate_seq == 2
    world.things["mm"]._check()


class TwoPass(MmuIntervalNotifier):
    """Notes its passes; the second has to come."""

    two_pass = True

    def __init__(self, name, note, refuses=False):
        self.name, self.note, self.refuses = name, note, refuses

    async def invalidate_start(self, range, cur_seq):
        if self.refuses and not range.blockable:
            return False, False
        self.set_seq(cur_seq)
        self.note(f"{self.name} starts")
        return True, True

    async def invalidate_finish(self, range, cur_seq):
        self.note(f"{self.name} finishes")


def test_second_passes_come_after_all_first_ones_and_after_a_refusal(alone):
    """Linux 7.3: start, start, finish, finish; after -EAGAIN those who had begun still finish, and nobody waits for an end."""
    passes = []

    async def story():
        mm = AddressSpace()
        for number, refuses in enumerate((False, False, True)):
            node = TwoPass(f"n{number}", passes.append, refuses)
            await mmu_interval_notifier_insert(node, mm, number * PAGE, PAGE)
        range = MmuNotifierRange(mm, 0, 2 * PAGE, "CLEAR")
        assert await mmu_notifier_invalidate_range_start(range) == 0
        assert passes == ["n0 starts", "n1 starts", "n0 finishes", "n1 finishes"]
        await mmu_notifier_invalidate_range_end(range)
        passes.clear()
        assert (
            await mmu_notifier_invalidate_range_start(MmuNotifierRange(mm, 0, 3 * PAGE, "UNMAP", blockable=False))
            == -11
        )
        assert passes == ["n0 starts", "n1 starts", "n0 finishes", "n1 finishes"]
        assert not mm.notifier_subscriptions.itree.is_invalidating

    alone(story)
