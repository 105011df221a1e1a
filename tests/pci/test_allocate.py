"""Addresses are given as Linux gives them: sized from the leaves up, placed from the root down, refused with reason."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2plab.core.errors import BadInput
from p2plab.pci import (
    LINUX_6_12,
    LINUX_7_3,
    RFC2019,
    FunctionKind,
    HostBridge,
    Machine,
    Resource,
    assign_resources,
    broken,
    without_addresses,
)
from p2plab.pci.allocate import must_release
from p2plab.pci.invariants import unjust
from p2plab.pci.resource import (
    IO_WINDOW,
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_PREFETCH,
    IORESOURCE_UNSET,
    MEM_WINDOW,
    PREF_WINDOW,
)
from p2plab.pci.sizing import align_up, calculate_head_align, memory_sum
from p2plab.pci.space import Range
from tests.pci.build import GIB, HIGH, IO, LOW, MEM32, MEM64, MIB, PORTS, PREF64, bar, function, host_function, port

KIB = 1 << 10
PREF32 = 0x42208


@pytest.mark.parametrize(
    ("bars", "size", "align"),
    [
        ([256 * MIB], 256, 256),
        ([256 * MIB, 16 * MIB, 4 * KIB], 384, 128),
        ([4 * KIB] * 3, 1, 1),
        ([16 * MIB] * 2, 32, 16),
        ([16 * GIB, 256 * MIB], 24 * 1024, 8 * 1024),
        ([256 * MIB] * 2, 512, 256),
        ([128 * MIB, 256 * MIB], 384, 128),
    ],
)
def test_the_kernels_window_sizes(bars, size, align):
    """Window alignment can be smaller than the biggest BAR's."""
    total, found = memory_sum((bar, bar) for bar in bars)
    assert (align_up(total, found), found) == (size * MIB, align * MIB)


def test_a_window_inside_a_window_is_summed_but_leaves_the_alignment_alone():
    """What is bigger than its own alignment does not count when the alignment is chosen."""
    assert memory_sum([(384 * MIB, 128 * MIB), (64 * MIB, 64 * MIB), (256 * MIB, 256 * MIB)]) == (704 * MIB, 128 * MIB)


def machine(*devices, windows=(LOW, HIGH, PORTS)) -> Machine:
    return Machine("built", (host_function(), *devices), (HostBridge("pci0000:00", windows),))


def places(allocated) -> dict[str, list[str]]:
    return {d.bdf: [f"{r.name} {r}" for r in d.resources] for d in allocated.machine if d.resources}


def test_the_biggest_alignment_goes_first_and_64_bit_above_4_gib():
    """Two BARs on the root bus and one behind a root port."""
    built = machine(
        function("0000:00:01.0", None, bar(0, 4 * KIB, MEM32), bar(2, 256 * MIB)),
        port("0000:00:02.0", FunctionKind.ROOT_PORT, 1),
        function("0000:01:00.0", "0000:00:02.0", bar(0, 16 * KIB, MEM64), bar(2, GIB), bar(4, 256, IO)),
    )
    done = assign_resources(built)
    assert places(done) == {
        "0000:00:01.0": ["BAR 0 [mem 0xc0100000-0xc0100fff]", "BAR 2 [mem 0x140000000-0x14fffffff 64bit pref]"],
        "0000:00:02.0": [
            "io window [io  0x1000-0x1fff]",
            "mem window [mem 0xc0000000-0xc00fffff]",
            "pref window [mem 0x100000000-0x13fffffff 64bit pref]",
        ],
        "0000:01:00.0": [
            "BAR 0 [mem 0xc0000000-0xc0003fff 64bit]",
            "BAR 2 [mem 0x100000000-0x13fffffff 64bit pref]",
            "BAR 4 [io  0x1000-0x10ff]",
        ],
    }
    assert (done.refused, broken(done.machine)) == ((), ())


def test_a_32_bit_prefetchable_bar_keeps_out_of_a_64_bit_window():
    """It goes into the non-prefetchable window: the other may lie above 4 GiB."""
    built = machine(
        port("0000:00:02.0", FunctionKind.ROOT_PORT, 1), function("0000:01:00.0", "0000:00:02.0", bar(0, MIB, PREF32))
    )
    done = assign_resources(built).machine
    assert done["00:02.0"].resource(MEM_WINDOW) == Resource(14, 0xC000_0000, 0xC00F_FFFF, 0x200)
    assert done["00:02.0"].resource(PREF_WINDOW) is None


def test_what_finds_no_room_is_refused_and_the_rest_is_placed():
    """8 GiB and 32 GiB do not both fit into 32 GiB: the bigger alignment wins, as on the recorded 36-bit machine."""
    built = machine(
        port("0000:00:02.0", FunctionKind.ROOT_PORT, 1),
        function("0000:01:00.0", "0000:00:02.0", bar(2, 8 * GIB)),
        port("0000:00:03.0", FunctionKind.ROOT_PORT, 2),
        function("0000:02:00.0", "0000:00:03.0", bar(2, 32 * GIB)),
        windows=(LOW, Resource(17, 0x8_0000_0000, 0xF_FFFF_FFFF, 0x200200)),
    )
    done = assign_resources(built)
    assert [str(refusal) for refusal in done.refused] == [
        "0000:00:02.0: pref window [mem size 0x200000000 64bit pref]: no space",
        "0000:01:00.0: BAR 2 [mem size 0x200000000 64bit pref]: no space",
    ]
    assert done.machine["02:00.0"].resource(2).start == 0x8_0000_0000
    assert unjust(done) == ()


def test_the_machine_given_is_not_changed():
    """A run works on copies."""
    built = machine(function("0000:00:01.0", None, bar(0, 4 * KIB, MEM32)))
    before = replace(built)
    assign_resources(built)
    assert built == before


def test_room_for_devices_still_to_come_is_kept_if_there_is_any():
    """A port that can be hot-plugged gets windows of 4 KiB I/O and 2 MiB each; without space, none."""
    built = machine(port("0000:00:02.0", FunctionKind.ROOT_PORT, 1, hotplug=True))
    done = assign_resources(built)
    assert [str(w) for w in done.machine["00:02.0"].windows] == [
        "[io  0x1000-0x1fff]",
        "[mem 0xc0000000-0xc01fffff]",
        "[mem 0x100000000-0x1001fffff 64bit pref]",
    ]
    cramped = replace(
        built, host_bridges=(HostBridge("pci0000:00", (Resource(16, 0xC000_0000, 0xC00F_FFFF, 0x200200),)),)
    )
    refused = assign_resources(cramped)
    assert refused.machine["00:02.0"].windows == ()
    assert {r.index for r in refused.refused} == {13, 14, 15}


def test_what_the_firmware_placed_stays():
    """A claimed window does not move, and an unplaced BAR goes into what is left of it."""
    window = Resource(15, 0x2_0000_0000, 0x2_3FFF_FFFF, 0x102201)
    placed = Resource(2, 0x2_0000_0000, 0x2_0FFF_FFFF, PREF64)
    built = machine(
        port("0000:00:02.0", FunctionKind.ROOT_PORT, 1, resources=(window,)),
        function("0000:01:00.0", "0000:00:02.0", placed),
        function("0000:01:00.1", "0000:00:02.0", bar(2, 512 * MIB), bar(4, GIB)),
    )
    done = assign_resources(built)
    assert done.machine["00:02.0"].resource(PREF_WINDOW) == window
    assert done.machine["01:00.0"].resources == (placed,)
    assert places(done)["0000:01:00.1"] == ["BAR 2 [mem 0x220000000-0x23fffffff 64bit pref]"]
    assert [(r.bdf, r.index) for r in done.refused] == [("0000:01:00.1", 4)]


def test_two_bars_at_the_same_place_cannot_both_be_claimed():
    """The second one loses its address and gets another."""
    built = machine(
        function("0000:00:01.0", None, Resource(0, 0xC000_0000, 0xC000_0FFF, MEM32)),
        function("0000:00:02.0", None, Resource(0, 0xC000_0000, 0xC000_0FFF, MEM32)),
    )
    done = assign_resources(built)
    assert done.messages == (
        "0000:00:02.0: BAR 0 [mem 0xc0000000-0xc0000fff]: can't claim; "
        "address conflict with 0000:00:01.0 [mem 0xc0000000-0xc0000fff]",
        "0000:00:02.0: BAR 0 [mem 0xc0001000-0xc0001fff]: assigned",
    )


def test_a_function_that_decodes_goes_before_one_that_does_not():
    """Both claim the same place; one with decoding off keeps its own place if nobody wants it."""
    here, there = Resource(0, 0xC000_0000, 0xC000_0FFF, MEM32), Resource(0, 0xD000_0000, 0xD000_0FFF, MEM32)
    built = machine(
        function("0000:00:01.0", None, here, memory_decode=False),
        function("0000:00:02.0", None, here, memory_decode=True),
        function("0000:00:03.0", None, there, memory_decode=False),
    )
    done = assign_resources(built).machine
    assert [done[bdf].resources[0].start for bdf in ("00:01.0", "00:02.0", "00:03.0")] == [
        0xC000_1000,
        0xC000_0000,
        0xD000_0000,
    ]


def test_room_for_later_is_added_after_what_must_be_has_its_place():
    """A BAR that fits nowhere spoils the first try with all wishes; the window still grows in the second."""
    built = machine(
        port("0000:00:02.0", FunctionKind.ROOT_PORT, 1, hotplug=True),
        function("0000:01:00.0", "0000:00:02.0", bar(0, MIB, MEM32)),
        function("0000:00:03.0", None, bar(0, 4 * MIB, MEM32)),
        windows=(Resource(16, 0xC000_0000, 0xC02F_FFFF, 0x200200), HIGH, PORTS),
    )
    done = assign_resources(built)
    assert [(r.bdf, r.index) for r in done.refused] == [("0000:00:03.0", 0)]
    assert done.machine["00:02.0"].resource(MEM_WINDOW) == Resource(14, 0xC000_0000, 0xC01F_FFFF, 0x200)


def test_ports_keep_clear_of_what_old_cards_decode_too():
    """ISA cards looked at ten address bits only, so 0x100-0x3ff of every KiB stay free."""
    built = machine(function("0000:00:01.0", None, bar(0, 256, IO), bar(1, 256, IO)))
    done = assign_resources(built).machine
    assert [r.start for r in done["00:01.0"].resources] == [0x1000, 0x1400]


def test_small_ports_count_four_times_in_a_window():
    """Five times 256 ports, each of which may have to dodge the aliases, need 8 KiB."""
    cards = [function(f"0000:01:{slot:02x}.0", "0000:00:02.0", bar(0, 256, IO)) for slot in range(5)]
    done = assign_resources(machine(port("0000:00:02.0", FunctionKind.ROOT_PORT, 1), *cards)).machine
    assert done["00:02.0"].resource(IO_WINDOW) == Resource(13, 0x1000, 0x2FFF, 0x100)
    assert [done[card.bdf].resources[0].start for card in cards] == [0x1000, 0x1400, 0x1800, 0x1C00, 0x2000]


def test_the_host_bridges_own_function_is_left_alone():
    """Its BAR may be what memory itself hangs from (``__dev_sort_resources``)."""
    host = replace(host_function(), resources=(bar(0, MIB, MEM32),))
    done = assign_resources(Machine("host", (host,), (HostBridge("pci0000:00", (LOW,)),)))
    assert (done.machine["00:00.0"].resources, done.refused, done.messages) == ((), (), ())


def test_a_wish_from_below_keeps_its_alignment_on_the_way_up():
    """The root port's window can do with 64 MiB; the wish passed up to it is aligned to 128 MiB."""
    cards = [
        function(f"0000:02:{slot:02x}.0", "0000:01:00.0", bar(2, size * MIB))
        for slot, size in enumerate((256, 64, 32, 16, 8, 4, 2))
    ]
    built = machine(
        port("0000:00:02.0", FunctionKind.ROOT_PORT, 1, 3),
        port("0000:01:00.0", FunctionKind.UPSTREAM, 2, 3, "0000:00:02.0"),
        *cards,
        port("0000:02:1f.0", FunctionKind.DOWNSTREAM, 3, None, "0000:01:00.0", hotplug=True),
        function("0000:01:01.0", "0000:00:02.0", bar(2, 16 * MIB)),
    )
    said = [m for m in assign_resources(built).messages if "pref] to" in m]
    assert said[1:] == [
        "0000:01:00.0: bridge window [mem 0x08000000-0x1fffffff 64bit pref] to [bus 02-03] "
        "add_size 8000000 add_align 8000000",
        "0000:00:02.0: bridge window [mem 0x04000000-0x1fffffff 64bit pref] to [bus 01-03] "
        "add_size c000000 add_align 8000000",
    ]


def test_memory_starts_above_the_first_mebibyte():
    """The lowest is kept for ISA cards, although a window is there."""
    built = machine(
        function("0000:00:01.0", None, bar(0, 4 * KIB, MEM32)),
        windows=(Resource(16, 0xA_0000, 0xB_FFFF, 0x200200), LOW),
    )
    assert assign_resources(built).machine["00:01.0"].resources[0].start == LOW.start


@pytest.mark.parametrize(
    ("failed", "found", "above", "released"),
    [
        (IORESOURCE_MEM, MEM32, LOW.flags, True),
        (IORESOURCE_MEM, IO, LOW.flags, False),
        (IORESOURCE_IO, IO, PORTS.flags, True),
        (IORESOURCE_MEM, PREF64, LOW.flags, True),
        (IORESOURCE_MEM, PREF64, 0x102201, False),
        (IORESOURCE_MEM | IORESOURCE_PREFETCH, PREF64, 0x102201, True),
    ],
)
def test_what_is_in_the_way_of_what_failed_is_released(failed, found, above, released):
    """The same kind of space; prefetchable ranges only where they lie in a window that is not."""
    window = Range("window", 14, 0, 0xFFFF_FFFF, above)
    assert must_release(failed, Range("card", 0, 0, 0xFFF, found, window)) is released


def test_on_a_root_bus_the_firmwares_address_is_the_last_resort():
    """Outside every window, but the host bridge may pass it on all the same; behind a bridge that cannot be."""
    outside = Resource(2, 0x10_0000_0000, 0x11_FFFF_FFFF, PREF64)
    built = machine(function("0000:00:01.0", None, outside), windows=(LOW,))
    done = assign_resources(built)
    assert done.machine["00:01.0"].resources == (outside,)
    assert done.messages[-3:] == (
        "0000:00:01.0: BAR 2 [mem size 0x200000000 64bit pref]: can't assign; no space",
        "0000:00:01.0: BAR 2 [mem 0x1000000000-0x11ffffffff 64bit pref]: trying firmware assignment",
        "0000:00:01.0: BAR 2 [mem 0x1000000000-0x11ffffffff 64bit pref]: assigned",
    )


def test_a_window_that_reaches_too_far_is_clipped():
    """What the bus above offers of it is kept."""
    built = machine(
        port("0000:00:02.0", FunctionKind.ROOT_PORT, 1, resources=(Resource(14, 0xFE00_0000, 0xFEFF_FFFF, 0x200),)),
    )
    done = assign_resources(built)
    assert done.machine["00:02.0"].resource(MEM_WINDOW) == Resource(14, 0xFE00_0000, 0xFEBF_FFFF, 0x200)
    assert done.messages[1] == (
        "0000:00:02.0: bridge window [mem 0xfe000000-0xfeffffff] clipped to [mem 0xfe000000-0xfebfffff]"
    )


def test_behind_a_bridge_that_passes_everything_on_the_bus_above_has_room_too():
    """Subtractive decoding (prog-if 01): no window is needed."""
    built = machine(
        replace(port("0000:00:1e.0", FunctionKind.CONVENTIONAL_BRIDGE, 1), class_code=0x060401, resources=()),
        function("0000:01:00.0", "0000:00:1e.0", Resource(0, 0xD000_0000, 0xD000_0FFF, MEM32)),
    )
    done = assign_resources(built).machine
    assert done["01:00.0"].resources == (Resource(0, 0xD000_0000, 0xD000_0FFF, MEM32),)


SIZES = st.integers(12, 33).map(lambda bits: 1 << bits)
BARS = st.one_of(
    st.builds(lambda size: bar(0, min(size, GIB), MEM32), SIZES),
    st.builds(lambda size: bar(0, min(size, GIB), PREF32), SIZES),
    st.builds(lambda size: bar(2, size, PREF64), SIZES),
    st.builds(lambda size: bar(2, min(size, GIB), MEM64), SIZES),
    st.integers(2, 8).map(lambda bits: bar(4, 1 << bits, IO)),
)


@st.composite
def unplaced(draw) -> Machine:
    """A random tree of bridges, hot-plug or not, and functions with random BARs, in more or less room."""
    devices, bridges = [], [(None, 0)]
    for bus in range(1, draw(st.integers(1, 10))):
        parent, above = draw(st.sampled_from(bridges))
        bridge = port(
            f"0000:{above:02x}:{bus:02x}.0", FunctionKind.DOWNSTREAM, bus, parent=parent, hotplug=draw(st.booleans())
        )
        devices.append(bridge)
        bridges.append((bridge.bdf, bus))
    for number in range(draw(st.integers(0, 10))):
        parent, bus = draw(st.sampled_from(bridges))
        found = {r.index: r for r in draw(st.lists(BARS, max_size=4))}
        devices.append(function(f"0000:{bus:02x}:{0x10 + number:02x}.0", parent, *(found[i] for i in sorted(found))))
    high = replace(HIGH, end=HIGH.start + draw(SIZES) * 4 - 1)
    low = replace(LOW, start=LOW.end + 1 - draw(st.integers(1, 0x3EC)) * MIB)
    return machine(*devices, windows=(low, high, PORTS))


@given(unplaced())
def test_every_layout_is_sound_and_every_refusal_has_its_reason(built):
    """BARs naturally aligned and apart, windows on their steps around their children, no refusal with room left."""
    done = assign_resources(built)
    assert broken(done.machine) == ()
    assert unjust(done) == ()
    refused = {(r.bdf, r.index) for r in done.refused}
    for device in built:
        got = {r.index for r in done.machine[device.bdf].resources}
        assert {r.index for r in device.resources} - got == {i for bdf, i in refused if bdf == device.bdf and i < 6}


@given(unplaced())
def test_a_finished_layout_is_claimed_as_it_is(built):
    """Given its own result, the allocator moves nothing that has a place, and claims all of it."""
    first = assign_resources(built).machine
    again = assign_resources(first)
    assert not [message for message in again.messages if "can't claim" in message]
    for device in first:
        assert set(device.resources) <= set(again.machine[device.bdf].resources)


@given(unplaced())
def test_a_blank_machine_forgets_its_layout(built):
    """Without addresses, a finished layout is the machine it was made from again."""
    done = assign_resources(built)
    if not done.refused:
        assert assign_resources(without_addresses(done.machine)).machine == done.machine


@given(unplaced())
def test_every_layout_of_7_3_is_sound(built):
    """Its windows are sized and filled in another way, and none overlaps or sticks out."""
    done = assign_resources(built, kernel=LINUX_7_3)
    assert broken(done.machine) == ()
    assert unjust(done, LINUX_7_3) == ()


@pytest.mark.parametrize(
    ("aligns", "largest", "head"),
    [
        ({8: 256}, 8, 256),  # one BAR of 256 MiB
        ({8: 256, 7: 128}, 8, 128),  # 128 MiB more fill the head of a window aligned to half
        ({8: 256, 6: 64}, 8, 256),  # 64 MiB do not
        ({8: 256, 6: 128}, 8, 128),  # twice 64 MiB do
        ({8: 256, 7: 128, 6: 64}, 8, 64),
        ({0: 3}, 0, 1),
    ],
)
def test_7_3_aligns_a_window_by_what_can_fill_its_head(aligns, largest, head):
    """Sums of sizes in MiB by alignment, 2 to the power of the key; the alignment of the window in MiB."""
    sums = [aligns.get(order, 0) * MIB for order in range(28)]
    assert calculate_head_align(sums, largest) == head * MIB


def test_7_3_takes_roms_that_are_off_for_optional():
    """The window must hold the BAR, and would like to hold the ROM too; until 6.12 it must hold both."""
    rom = Resource(6, 0, 8 * MIB - 1, 0x46200 | IORESOURCE_UNSET)
    card = function("0000:01:00.0", "0000:00:02.0", bar(0, MIB, MEM32), rom)
    built = machine(port("0000:00:02.0", FunctionKind.ROOT_PORT, 1), card)
    said = {k.name: assign_resources(built, kernel=k).messages for k in (LINUX_6_12, LINUX_7_3)}
    wish = "0000:00:02.0: bridge window [mem 0x00100000-0x001fffff] to [bus 01] add_size 800000 add_align 800000"
    assert [wish in said[name] for name in ("6.12", "7.3")] == [False, True]
    assert all(any("ROM" in text and "assigned" in text for text in messages) for messages in said.values())


def test_7_3_tries_what_must_be_once_more():
    """So what finds no room is said twice."""
    built = machine(function("0000:00:02.0", None, bar(2, 1 << 40)))
    for kernel, times in ((LINUX_6_12, 1), (LINUX_7_3, 2)):
        done = assign_resources(built, kernel=kernel)
        assert sum("failed to assign" in text for text in done.messages) == times
        assert len(done.refused) == 1


def test_how_5_0_gave_addresses_is_not_modelled():
    """The sentence names the kernels that are."""
    with pytest.raises(BadInput, match=r"2019 \(v5\.0\) assigns addresses is not modelled; allowed: 6\.1, 6\.12, 7\.3"):
        assign_resources(machine(), kernel=RFC2019)
