"""Device memory, aperture, fabric and DMA engine, without any driver."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2plab.catalog.rig import recorded_machine
from p2plab.core.errors import KernelError
from p2plab.core.schedule import by_text, follow
from p2plab.core.world import World
from p2plab.p2p.aperture import Aperture
from p2plab.p2p.engine import DmaEngine, Transfer
from p2plab.p2p.fabric import NOBODY, Fabric
from p2plab.p2p.memory import DeviceMemory

PAGE = 4096
GPU = "0000:03:00.0"
BAR = 0xE800_0000


def in_world(build) -> World:
    return World(build)


def kit(slots: int = 8, frames: int = 16) -> tuple[DeviceMemory, Aperture]:
    memory = DeviceMemory(frames)
    return memory, Aperture("gpu", BAR, slots, memory)


def refused(name: str, do) -> str:
    with pytest.raises(KernelError) as refusal:
        do()
    assert refusal.value.name == name
    return refusal.value.sentence


def test_objects_fill_frames_with_their_own_name():
    """So that damage can be read off the bytes."""

    def build(_world: World) -> None:
        memory, _ = kit()
        memory.create("A", "app", 2)
        assert memory.content[:2] == [b"A[0] of app.....", b"A[1] of app....."]
        assert [memory.who(frame) for frame in (0, 1, 2)] == [("A[0]", "app"), ("A[1]", "app"), ("", "")]
        before = (list(memory.content), list(memory.owners))
        assert refused("ENOMEM", lambda: memory.create("B", "app", 99)) == (
            "B needs 99 frames of device memory; 14 are free"
        )
        assert refused("EEXIST", lambda: memory.create("A", "app", 1)) == "there is an object A already"
        assert (list(memory.content), list(memory.owners)) == before
        memory._check()

    in_world(build)


@given(st.lists(st.tuples(st.sampled_from(["place", "free"]), st.integers(0, 7), st.integers(1, 4)), max_size=30))
def test_no_order_of_placing_and_freeing_lets_two_slots_meet(orders):
    """The aperture's own invariant, and a refusal that changes nothing."""

    def build(_world: World) -> None:
        memory, aperture = kit(frames=256)
        for number, (what, slot, pages) in enumerate(orders):
            before = list(aperture.shows)
            if what == "free":
                aperture.free(slot)
            else:
                thing = memory.create(f"o{number}", "app", pages)
                refusals = []
                try:
                    aperture.place(thing, at=slot)
                except KernelError as error:
                    refusals.append(error.name)
                if refusals:
                    assert (refusals, list(aperture.shows)) == (["ENOSPC"], before)
            aperture._check()
            memory._check()
            assert sum(length for _, length in aperture.free_runs()) == list(aperture.shows).count(None)

    in_world(build)


def test_a_slot_in_use_is_not_given_away():
    """-EBUSY, and it says to whom it belongs."""

    def build(_world: World) -> None:
        memory, aperture = kit()
        aperture.place(memory.create("A", "app", 1))
        assert refused("EBUSY", lambda: aperture.take(0, 5)) == "slot 0 shows A[0] already"

    in_world(build)


def test_the_fabric_follows_the_recorded_windows():
    """An address in the GPU's BAR reaches its slot; others reach nobody, and read as all ones."""

    def build(_world: World) -> None:
        memory, aperture = kit()
        aperture.place(memory.create("A", "app", 1), at=2)
        fabric = Fabric(recorded_machine())
        fabric.attach(GPU, 2, aperture)
        slot2 = aperture.address(2)
        assert slot2 == BAR + 2 * PAGE
        hit = fabric.access(slot2, b"new data 16 byte")
        assert hit == ("A[0]", "app", b"A[0] of app.....", b"new data 16 byte", 1, "")
        assert fabric.access(slot2, None) == ("A[0]", "app", b"new data 16 byte", b"new data 16 byte", 1, "")
        for nobody in (aperture.address(3), BAR - PAGE, 0xFFFF_8880_0000_0000):
            assert fabric.access(nobody, b"lost" * 4) == NOBODY

    in_world(build)


def test_an_aperture_must_lie_in_its_bar():
    """-EINVAL for a BAR that is not there or too small."""

    def build(_world: World) -> None:
        memory = DeviceMemory(1)
        fabric = Fabric(recorded_machine())
        for bdf, bar, base, slots in ((GPU, 5, BAR, 1), (GPU, 2, BAR - PAGE, 1), (GPU, 2, BAR, 128 * 256 + 1)):
            assert "is not inside BAR" in refused(
                "EINVAL", lambda b=bdf, n=bar, a=base, s=slots: fabric.attach(b, n, Aperture("gpu", a, s, memory))
            )
        fabric.attach(GPU, 2, Aperture("gpu", BAR, 128 * 256, memory))

    in_world(build)


def engine_world() -> World:
    def build(world: World) -> None:
        memory, aperture = kit()
        aperture.place(memory.create("A", "app", 3))
        fabric = Fabric(recorded_machine())
        fabric.attach(GPU, 2, aperture)
        engine = DmaEngine(world, "dma", "nic", fabric)
        world.things = {"engine": engine}

        async def driver() -> None:
            await engine.program(0x1000, (BAR, BAR + PAGE, BAR + 2 * PAGE))
            engine.start(Transfer(0x1000, 0x4000, write=True))
            await engine.clear(0x2000, 0x3000)
            await engine.drain(0x1000, 0x4000)

        world.actor("driver", driver)

    return World(build)


def words(world: World) -> list[tuple[str, str]]:
    kept = ("TransferBegun", "BeatIssued", "BeatLanded", "TransferEnded", "TranslationSet", "TranslationCleared")
    return [(entry.actor, entry.event.kind) for entry in world.log if entry.event.kind in kept]


def test_a_beat_under_way_lands_although_its_translation_is_gone():
    """Clearing does not call it back; draining waits for it; without a translation the engine stops."""
    world = engine_world()
    follow(world, by_text("driver*1 dma*1 dma*1 dma*1 driver*1"))
    assert world.things["engine"].in_flight == (0x2000, BAR + PAGE)
    assert world.why_not("driver") == "driver waits: DMA drained (for dma)"
    follow(world, by_text("dma*1 driver*1"))
    follow(world, by_text("..."))
    assert words(world)[:8] == [
        ("driver", "TranslationSet"),
        ("dma", "TransferBegun"),
        ("dma", "BeatIssued"),
        ("dma", "BeatLanded"),
        ("dma", "BeatIssued"),
        ("driver", "TranslationCleared"),
        ("dma", "BeatLanded"),
        ("dma", "BeatIssued"),
    ]


def test_an_engine_without_a_translation_waits_for_one():
    """It is stopped, not deadlocked, and goes on when the page comes back."""
    world = engine_world()
    follow(world, by_text("driver*2 dma"))
    assert world.why_not("dma") == "dma has nothing to do"
    assert world.stuck is None
    engine = world.things["engine"]
    engine.table[0x2000] = BAR + PAGE
    follow(world, by_text("..."))
    assert words(world)[-1] == ("dma", "TransferEnded")
    assert list(engine.queue) == []


def test_a_transfer_given_up_still_lands_its_last_beat():
    """Abort forgets the queue; what is on the bus arrives."""
    world = engine_world()
    follow(world, by_text("driver*1 dma*1"))
    engine = world.things["engine"]
    with world._as_running("driver"):
        engine.abort()
    follow(world, by_text("dma"))
    assert words(world)[-2:] == [("driver", "TransferEnded"), ("dma", "BeatLanded")]
    assert world.why_not("dma") == "dma has nothing to do"
