"""A layout that breaks a promise is told so, sentence by sentence."""

import pytest

from p2plab.pci import FunctionKind, HostBridge, Machine, Resource, broken
from p2plab.pci.allocate import Allocation, Refusal
from p2plab.pci.invariants import unjust
from tests.pci.build import HIGH, LOW, MEM32, MEM64, PREF64, function, port

WINDOW = Resource(14, 0xD000_0000, 0xD01F_FFFF, 0x200)
PREF = Resource(15, 0x2_0000_0000, 0x2_3FFF_FFFF, 0x102201)


def machine(*resources, windows=(WINDOW, PREF)) -> Machine:
    root = port("0000:00:02.0", FunctionKind.ROOT_PORT, 1, resources=windows)
    return Machine(
        "bent", (root, function("0000:01:00.0", root.bdf, *resources)), (HostBridge("pci0000:00", (LOW, HIGH)),)
    )


def test_a_sound_layout_breaks_nothing():
    """A BAR in each window."""
    assert (
        broken(machine(Resource(0, 0xD000_0000, 0xD000_0FFF, MEM32), Resource(2, 0x2_0000_0000, 0x2_0FFF_FFFF, PREF64)))
        == ()
    )


@pytest.mark.parametrize(
    ("bent", "sentence"),
    [
        (
            machine(Resource(0, 0xD000_0800, 0xD000_17FF, MEM32)),
            "0000:01:00.0: BAR 0 [mem 0xd0000800-0xd00017ff] is not a power of two aligned to itself",
        ),
        (
            machine(Resource(0, 0xD000_0000, 0xD000_2FFF, MEM32)),
            "0000:01:00.0: BAR 0 [mem 0xd0000000-0xd0002fff] is not a power of two aligned to itself",
        ),
        (
            machine(Resource(0, 0xD040_0000, 0xD040_0FFF, MEM32)),
            "0000:01:00.0: BAR 0 [mem 0xd0400000-0xd0400fff] lies in no window of 0000:00:02.0",
        ),
        (
            machine(windows=(Resource(14, 0xD000_0000, 0xD000_0FFF, 0x200),)),
            "0000:00:02.0: [mem 0xd0000000-0xd0000fff] does not start and end on a step of 0x100000",
        ),
        (
            machine(windows=(Resource(14, 0xFF00_0000, 0xFF0F_FFFF, 0x200),)),
            "0000:00:02.0: mem window [mem 0xff000000-0xff0fffff] lies in no window of pci0000:00",
        ),
        (
            machine(Resource(0, 0xD000_0000, 0xD000_0FFF, MEM32), Resource(1, 0xD000_0000, 0xD000_0FFF, MEM32)),
            "0000:01:00.0: BAR 1 [mem 0xd0000000-0xd0000fff] overlaps 0000:01:00.0 BAR 0",
        ),
    ],
)
def test_each_broken_promise_has_its_sentence(bent, sentence):
    """Alignment, windows, steps, overlaps."""
    assert broken(bent) == (sentence,)


def test_a_bar_that_is_not_prefetchable_stays_below_4_gib_behind_a_bridge():
    """That window has 32 bits; the other one is not for it, 64-bit flag or not."""
    assert broken(machine(Resource(0, 0x2_0000_0000, 0x2_0000_0FFF, MEM64))) == (
        "0000:01:00.0: BAR 0 [mem 0x200000000-0x200000fff 64bit] lies in no window of 0000:00:02.0",
        "0000:01:00.0: BAR 0 [mem 0x200000000-0x200000fff 64bit] is not prefetchable, yet above 4 GiB behind a bridge",
    )


def test_a_refusal_with_room_left_is_unjust():
    """The free place is named."""
    refusal = Refusal("0000:01:00.0", 2, 1 << 20, 1 << 20, PREF64)
    assert unjust(Allocation(machine(), (refusal,), ())) == (
        "0000:01:00.0: BAR 2 [mem size 0x00100000 64bit pref]: no space, yet 0x200000000 is free",
    )
