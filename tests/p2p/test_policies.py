"""The predictability policies, eviction by least recent use, and moves, on one GPU."""

import pytest

from p2plab.core.errors import KernelError
from p2plab.p2p.placing import POLICIES
from tests.p2p.conftest import Kit


def places(k: Kit, name: str) -> list[str]:
    thing = k.memory.objects[name]
    return [kind for _, kind in k.gpu.place_of(thing, 0, len(thing.frames))]


def test_eviction_takes_the_least_recently_used(kit):
    """Of three objects the one whose last use is longest ago goes; what is reserved stays."""

    async def story(k: Kit) -> None:
        for name in ("B", "C"):
            k.memory.create(name, "app", 2)
        for name in ("B", "C", "A", "B"):
            places(k, name)
        assert k.gpu.least_recent().name == "C"
        k.gpu.reserved = ("C",)
        assert k.gpu.least_recent().name == "A"
        await k.gpu.evict()
        assert k.aperture.slots_of(k.thing) == (None,) * 4
        k.gpu.reserved = ("A", "B", "C")
        with pytest.raises(KernelError, match="-ENOSPC: every object in the aperture is reserved"):
            await k.gpu.evict()

    kit().run(story)


@pytest.mark.parametrize(
    ("policy", "second"),
    [("refuse", "ENOSPC"), ("reserve", "ENOSPC"), ("ram", ["ram"] * 6), ("cap", ["ram"] * 6)],
)
def test_each_policy_answers_a_full_aperture_in_its_own_way(kit, policy, second):
    """The first object fills half of eight slots; six more do not fit."""

    async def story(k: Kit) -> None:
        k.gpu.policy, k.gpu.cap = policy, 6
        k.memory.create("B", "app2", 6)
        for name in ("A", "B"):
            k.gpu.open_file(name)
        assert places(k, "A") == ["bar"] * 4
        if isinstance(second, list):
            assert places(k, "B") == second
        else:
            with pytest.raises(KernelError) as refusal:
                places(k, "B")
            assert refusal.value.name == second
        assert (k.gpu.reserved == ("A",)) == (policy == "reserve")

    kit(ram=6).run(story)
    assert set(POLICIES) == {"refuse", "reserve", "ram", "cap"}


def test_a_cap_leaves_room_for_the_gpu_itself(kit):
    """With a cap of four slots the second object is lent from main memory although the aperture is half empty."""

    async def story(k: Kit) -> None:
        k.gpu.policy, k.gpu.cap = "cap", 4
        k.memory.create("B", "app2", 2)
        for name in ("A", "B"):
            k.gpu.open_file(name)
        assert (places(k, "A"), places(k, "B")) == (["bar"] * 4, ["ram"] * 2)

    kit(ram=2).run(story)


def test_without_main_memory_there_is_nothing_to_fall_back_to(kit):
    """-ENODEV, and nothing was moved."""

    async def story(k: Kit) -> None:
        places(k, "A")
        before = list(k.aperture.shows)
        with pytest.raises(KernelError, match="-ENODEV: gpu has no main memory"):
            await k.gpu.migrate(k.thing)
        assert (list(k.aperture.shows), k.thing.moving) == (before, False)

    kit().run(story)


def test_a_migration_takes_the_bytes_along(kit):
    """From device memory to main memory, with the slots free afterwards."""

    async def story(k: Kit) -> None:
        places(k, "A")
        k.memory.content[k.thing.frames[1]] = b"written before.."
        await k.gpu.migrate(k.thing)
        assert places(k, "A") == ["ram"] * 4
        assert k.fabric.ram.content[k.thing.ram_frames[1]] == b"written before.."
        assert list(k.aperture.shows) == [None] * 8
        k.fabric.ram._check()

    kit(ram=4).run(story)


def test_a_page_beyond_the_object_has_no_place(kit):
    """-ENXIO for what a vma shows behind the end of the object."""

    async def story(k: Kit) -> None:
        with pytest.raises(KernelError, match=r"-ENXIO: A has 4 pages, not 3\.\.5"):
            k.gpu.place_of(k.thing, 3, 2)

    kit().run(story)
