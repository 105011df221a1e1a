"""The stages of munmap, as a listener and other actors see them."""

import pytest

from p2plab.core.actors import step
from p2plab.core.locks import LockAcquired, LockReleased
from p2plab.core.schedule import by_seed, by_text, follow, straight
from p2plab.core.world import Stepped, World
from p2plab.mm import LINUX_6_12, MAP_FIXED, MAP_PRIVATE, RFC2019, AddressSpace, File, MmuNotifier, Signal, VmOperations
from p2plab.mm.log import NotifierEnd, NotifierStart, PtesZapped, VmaSplit, VmaUnmapped

BASE = 0x7F00_0000_0000
PAGE = 4096
FIXED = MAP_PRIVATE | MAP_FIXED


class Looker(MmuNotifier):
    """Looks its address space up from within the callback (which a good listener does not do: invariant 25)."""

    def __init__(self):
        self.found = []

    async def invalidate_range_start(self, range):
        vma = range.mm.find_vma(range.start)
        found = None if vma is None else ((vma.vm_start - BASE) // PAGE, (vma.vm_end - BASE) // PAGE)
        self.found.append((range.event, found, range.mm.mmap_lock_state()))
        return 0


def test_the_stages_come_in_the_kernels_order(alone):
    """Split, out of the tree, lock downgraded, notifier, zapped, end, freed: munmap of the middle of a VMA."""

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, 16 * PAGE, flags=FIXED)
        await mm.touch(BASE, BASE + 16 * PAGE, True)
        await mm.munmap(BASE + 4 * PAGE, 4 * PAGE)

    log = alone(story).log
    first = max(e.index for e in log if isinstance(e.event, LockAcquired) and e.event.mode == "write")
    kinds = (VmaSplit, VmaUnmapped, LockReleased, LockAcquired, NotifierStart, PtesZapped, NotifierEnd)
    stages = [(type(e.event).__name__, getattr(e.event, "mode", "")) for e in log[first:] if isinstance(e.event, kinds)]
    assert stages == [
        ("LockAcquired", "write"),
        ("VmaSplit", ""),
        ("VmaSplit", ""),
        ("VmaUnmapped", ""),
        ("LockReleased", "write"),
        ("LockAcquired", "read"),
        ("NotifierStart", ""),
        ("PtesZapped", ""),
        ("NotifierEnd", ""),
        ("LockReleased", "read"),
    ]


@pytest.mark.parametrize(("kernel", "over"), [(LINUX_6_12, (32, 36)), (RFC2019, None)], ids=["6.12", "2019"])
def test_during_the_callback_find_vma_finds_the_next_vma_or_nothing(alone, kernel, over):
    """munmap: the VMA is out of the tree by then. mmap over it: 6.12 still has it there, older kernels do not (F15)."""
    looker = Looker()

    async def story():
        mm = AddressSpace(kernel=kernel)
        await mm.mmap(BASE, 4 * PAGE, flags=FIXED)
        await mm.mmap(BASE + 32 * PAGE, 4 * PAGE, flags=FIXED)
        await mm.mmu_notifier_register(looker)
        await mm.munmap(BASE, 4 * PAGE)
        await mm.mmap(BASE + 32 * PAGE, 4 * PAGE, flags=FIXED)
        await mm.munmap(BASE + 32 * PAGE, 4 * PAGE)

    alone(story)
    assert looker.found == [("UNMAP", (32, 36), "read"), ("UNMAP", over, "write"), ("UNMAP", None, "read")]


@pytest.mark.parametrize(("start", "end"), [(0, 4), (4, 8), (12, 16), (0, 16)])
def test_the_pointer_is_dead_after_munmap_of_any_part(alone, start, end):
    """6.12 splits off what stays, so the VMA that somebody kept a pointer to is the one that goes (F13, F14)."""

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, 16 * PAGE, flags=FIXED)
        vma = mm.find_vma(BASE)
        await mm.munmap(BASE + start * PAGE, (end - start) * PAGE)
        assert vma.freed
        mm._check()

    alone(story)


def test_until_6_1_the_pointer_lives_on_in_what_is_left(alone):
    """Older kernels split off what goes: a kept pointer then has other edges than before."""

    async def story():
        mm = AddressSpace(kernel=RFC2019)
        await mm.mmap(BASE, 16 * PAGE, flags=FIXED)
        vma = mm.find_vma(BASE)
        await mm.munmap(BASE + 4 * PAGE, 4 * PAGE)
        assert not vma.freed
        assert (vma.vm_start, vma.vm_end) == (BASE, BASE + 4 * PAGE)
        await mm.munmap(BASE, PAGE)
        assert (vma.vm_start, vma.vm_end) == (BASE + PAGE, BASE + 4 * PAGE)
        mm._check()

    alone(story)


class Counting(VmOperations):
    """A driver that counts its VMAs."""

    def __init__(self):
        self.open_vmas = 0

    async def open(self, vma):
        await step("open")
        self.open_vmas += 1

    async def close(self, vma):
        await step("close")
        self.open_vmas -= 1


def test_a_driver_that_counts_its_vmas_counts_right(alone):
    """open for each split, move and fork; close for each VMA that goes; never a merge behind its back."""
    ops = Counting()

    class Device(File):
        async def mmap(self, vma):
            vma.vm_ops = ops
            ops.open_vmas += 1

    async def story():
        mm = AddressSpace()
        device = Device("device", 64)
        await mm.mmap(BASE, 16 * PAGE, flags=FIXED, file=device)
        await mm.munmap(BASE + 4 * PAGE, 4 * PAGE)
        assert ops.open_vmas == len(mm.vmas) == 2
        await mm.mremap(BASE, 4 * PAGE, 4 * PAGE, 3, BASE + 64 * PAGE)
        assert ops.open_vmas == len(mm.vmas) == 2
        child = await mm.fork("child")
        assert ops.open_vmas == 4
        await child.exit()
        await mm.exit()
        assert ops.open_vmas == 0

    alone(story)


def test_a_fault_may_come_between_any_two_stages_and_sees_a_hole_or_a_page():
    """Whatever the order, the accessing thread gets its page or SIGSEGV, never a page that munmap then leaves behind."""

    def build(world: World) -> None:
        mm = AddressSpace()
        world.things = {"mm": mm}
        ready = []

        async def unmaps():
            await mm.mmap(BASE, 4 * PAGE, flags=FIXED)
            ready.append(True)
            await mm.munmap(BASE, 2 * PAGE)

        async def accesses():
            for _ in range(3):
                try:
                    await mm.touch(BASE, BASE + 4 * PAGE, True)
                except Signal as signal:
                    assert signal.name == "SIGSEGV"  # noqa: PT017

        world.actor("munmap", unmaps)
        world.actor("cpu", accesses)

    for seed in range(60):
        world = World(build)
        follow(world, by_seed(seed))
        assert not world.enabled()
        assert world.stuck is None
        assert all(actor.crash is None for actor in world.actors.values())
        world.things["mm"]._check()


def test_readers_run_while_munmap_zaps_and_writers_wait():
    """After the downgrade another reader gets mmap_lock at once; a writer waits, and is named with whom it waits for."""

    def build(world: World) -> None:
        mm = AddressSpace()

        async def unmaps():
            await mm.mmap(BASE, 4 * PAGE, flags=FIXED)
            await mm.munmap(BASE, 4 * PAGE)

        async def reads():
            async with mm.mmap_lock.read():
                await step("reading")

        async def writes():
            await mm.mprotect(BASE, PAGE, 1)

        world.actor("munmap", unmaps)
        world.actor("reader", reads)
        world.actor("writer", writes)

    world = World(build)
    while not any(isinstance(e.event, Stepped) and e.event.label == "downgrade mmap_lock" for e in world.log):
        world.take("munmap")
    follow(world, by_text("reader*2"))
    assert any(e.actor == "reader" and isinstance(e.event, LockAcquired) for e in world.log)
    world.take("writer")
    assert "munmap" in world.why_not("writer")
    follow(world, straight)
    assert world.blocked == []


def test_munmap_waits_for_a_fault_under_the_vmas_own_lock():
    """6.12: a copy-on-write that is being announced holds its VMA; munmap says whom it waits for. 6.1 has one lock."""

    class Slow(MmuNotifier):
        async def invalidate_range_start(self, range):
            await step("the listener drains")
            return 0

    def build(world: World) -> None:
        mm = AddressSpace()
        world.things = {"mm": mm}

        async def cpu():
            await mm.mmap(BASE, 2 * PAGE, flags=FIXED)
            await mm.mmu_notifier_register(Slow())
            await mm.touch(BASE, BASE + PAGE, False)
            await mm.touch(BASE, BASE + PAGE, True)

        async def unmaps():
            await mm.munmap(BASE, 2 * PAGE)

        world.actor("cpu", cpu)
        world.actor("munmap", unmaps)

    world = World(build)
    while not any(isinstance(e.event, NotifierStart) for e in world.log):
        world.take("cpu")
    while not world.why_not("munmap"):
        world.take("munmap")
    assert world.why_not("munmap") == "munmap waits: vma_start_write (for cpu)"
    follow(world, straight)
    assert world.blocked == []
    assert world.things["mm"].vmas == []
    world.things["mm"]._check()
