"""Mutexes, mmap_lock's kind of lock, deadlocks with their cycle, and orders that could deadlock."""

import pytest

from p2plab.core.actors import step
from p2plab.core.lockdep import Deadlock, LockInversion
from p2plab.core.locks import LockAcquired, LockReleased, Mutex, RWLock
from p2plab.core.schedule import by_seed, by_text, follow, straight
from p2plab.core.world import Crashed, World


def locking(world: World) -> list[tuple[str, str, str]]:
    kinds = {LockAcquired: "+", LockReleased: "-"}
    return [(e.actor, kinds[type(e.event)] + e.event.lock, e.event.mode) for e in world.log if type(e.event) in kinds]


def events(world: World, kind: type) -> list:
    return [entry.event for entry in world.log if isinstance(entry.event, kind)]


def abba(world: World) -> None:
    a, b = Mutex("a"), Mutex("b")

    async def ab() -> None:
        async with a, b:
            await step("both")

    async def ba() -> None:
        async with b, a:
            await step("both")

    world.actor("ab", ab)
    world.actor("ba", ba)


def test_a_mutex_has_one_holder():
    """The second waits until the first has let go, and the release is a place where others may run."""
    world = World(abba)
    follow(world, by_text("ab*2"))
    assert world.why_not("ba") == "ba waits: lock b (for ab)"
    follow(world, straight)
    assert locking(world) == [
        ("ab", "+a", "mutex"),
        ("ab", "+b", "mutex"),
        ("ab", "-b", "mutex"),
        ("ab", "-a", "mutex"),
        ("ba", "+b", "mutex"),
        ("ba", "+a", "mutex"),
        ("ba", "-a", "mutex"),
        ("ba", "-b", "mutex"),
    ]


def test_a_deadlock_is_named_by_its_cycle():
    """Each holds what the other wants: the log says who waits for whom, and in what."""
    world = World(abba)
    follow(world, by_text("ab*1 ba"))
    assert events(world, Deadlock) == [Deadlock(("ba", "ab"), ("ba: lock a", "ab: lock b"))]
    assert world.stuck is not None
    assert world.enabled() == []


def test_an_inversion_is_named_even_when_it_did_not_bite():
    """One after the other nobody deadlocks, yet the two orders are reported, once."""
    world = World(abba)
    follow(world, straight)
    assert events(world, Deadlock) == []
    assert events(world, LockInversion) == [LockInversion("b", "a", ("a", "b"), "ab")]


def test_a_lock_taken_twice_is_a_deadlock_with_oneself():
    """The cycle has one member."""

    def build(world: World) -> None:
        lock = Mutex("lock")

        async def twice() -> None:
            async with lock, lock:
                pass

        world.actor("twice", twice)

    world = World(build)
    follow(world, straight)
    assert events(world, Deadlock) == [Deadlock(("twice",), ("twice: lock lock",))]


def test_waiting_for_one_who_is_gone_is_a_deadlock_without_a_cycle():
    """A crashed holder never lets go."""

    def build(world: World) -> None:
        lock = Mutex("lock")

        async def dies() -> None:
            await lock.lock()
            await step("about to die")
            raise OSError

        async def waits() -> None:
            async with lock:
                pass

        world.actor("dies", dies)
        world.actor("waits", waits)

    world = World(build)
    follow(world, straight)
    assert events(world, Crashed)[0].error == "OSError"
    assert events(world, Deadlock) == [Deadlock((), ("waits: lock lock",))]


def readers_and_writer(world: World) -> None:
    lock = RWLock("mmap_lock")
    world.things = {"lock": lock}

    def reader():
        async def read() -> None:
            async with lock.read():
                await step("reads")

        return read()

    async def writer() -> None:
        async with lock.write():
            await step("writes")
            lock.downgrade()
            await step("reads what it wrote")

    world.actor("r1", reader)
    world.actor("r2", reader)
    world.actor("w", writer)


def test_readers_share_and_a_queued_writer_holds_back_later_readers():
    """As in the kernel: first come, first served, so that a writer cannot starve."""
    world = World(readers_and_writer)
    follow(world, by_text("r1*1 w*1 r2*1"))
    assert world.things["lock"].queue == [("w", "write"), ("r2", "read")]
    assert world.why_not("r2") == "r2 waits: mmap_lock granted (for r1, w)"
    follow(world, by_text("r1"))
    assert world.things["lock"].writer == "w"
    assert world.why_not("r2") == "r2 waits: mmap_lock granted (for w)"
    follow(world, by_text("w*2 r2 ..."))
    assert world.state()["RWLock0", "queue"] == ("TrackedList",)
    assert locking(world) == [
        ("r1", "+mmap_lock", "read"),
        ("r1", "-mmap_lock", "read"),
        ("w", "+mmap_lock", "write"),
        ("w", "-mmap_lock", "write"),
        ("w", "+mmap_lock", "read"),
        ("r2", "+mmap_lock", "read"),
        ("r2", "-mmap_lock", "read"),
        ("w", "-mmap_lock", "read"),
    ]


@pytest.mark.parametrize("seed", range(50))
def test_a_writer_is_alone_in_every_order(seed):
    """Never two writers, never a writer with a reader, and everybody ends."""
    world = World(readers_and_writer)
    lock = world.things["lock"]

    def watched(world: World):
        for choice in by_seed(seed)(world):
            yield choice
            assert not (lock.writer and lock.readers)

    follow(world, watched)
    assert world.stuck is None
    assert all(actor.op is None for actor in world.actors.values())


def test_giving_back_what_one_does_not_hold_is_an_error():
    """In the driver's own line."""

    def build(world: World) -> None:
        mutex, lock = Mutex("mutex"), RWLock("lock")

        def careless(release):
            async def act() -> None:
                await step("first")
                release()

            return act

        for name, release in (("m", mutex.unlock), ("r", lock.up_read), ("w", lock.up_write), ("d", lock.downgrade)):
            world.actor(name, careless(release))

    world = World(build)
    follow(world, straight)
    assert [crash.error for crash in events(world, Crashed)] == [
        "RuntimeError: m unlocks mutex, which nobody holds",
        "RuntimeError: r gives back lock (read), which it does not hold",
        "RuntimeError: w gives back lock (write), which it does not hold",
        "RuntimeError: d downgrades lock, which nobody holds for writing",
    ]


def test_throwing_a_world_away_is_quiet(recwarn):
    """Actors asleep inside `async with` do not complain when nobody will ever run them again."""
    world = World(abba)
    follow(world, by_text("ab*2"))
    del world
    import gc

    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
