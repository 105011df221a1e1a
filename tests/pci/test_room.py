"""Why there was no room, and what would help: each proposal was tried on the model."""

import json
from dataclasses import replace

import pytest

from p2plab.core.errors import BadInput, KernelError, NotKnown
from p2plab.pci import (
    FunctionKind,
    HostBridge,
    Machine,
    ResizableBar,
    Resource,
    assign_resources,
    read_lspci,
    read_machine,
    resize_bar,
    with_decode,
)
from p2plab.pci.room import explain, requests, with_guessed_ranges
from p2plab.pci.room_options import RoomOptions, room_options
from p2plab.views.room_text import room_text
from tests.pci.build import GIB, LOW, MIB, bar, function, port
from tests.pci.test_cli_pci import run
from tests.pci.test_whatif import _gpu

#: A Thunderbolt-like switch whose first port was given all there is.
OLD = """\
[    0.400000] pci_bus 0000:00: root bus resource [mem 0x80000000-0xdfffffff window]
[    1.000000] pci 0000:05:02.0: [8086:15da] type 01 class 0x060400
[    1.000001] pci 0000:05:02.0: BAR 15: no space for [mem size 0x10000000 64bit pref]
[    1.000002] pci 0000:05:02.0: BAR 15: failed to assign [mem size 0x10000000 64bit pref]
[    1.000003] pci 0000:05:01.0: PCI bridge to [bus 06-3a]
[    1.000004] pci 0000:05:01.0:   bridge window [mem 0xa0000000-0xbfffffff 64bit pref]
[    1.000005] pci 0000:05:02.0: PCI bridge to [bus 3b]
[    1.000006] pci 0000:04:00.0: PCI bridge to [bus 05-3b]
[    1.000007] pci 0000:04:00.0:   bridge window [mem 0xa0000000-0xbfffffff 64bit pref]
"""
NEW = "[    1.000000] pci 0000:01:00.0: BAR 1 [mem size 0x400000000 64bit pref]: can't assign; no space\n"


def test_boot_messages_alone_say_which_request_and_which_window():
    """What is in the way has the whole window; what is above is not shown."""
    answer = explain(read_lspci(OLD))[0]
    assert str(answer.request) == "0000:05:02.0 pref window [mem size 0x10000000 64bit pref]"
    nearest = answer.levels[0]
    assert (nearest.owner, nearest.free, [bdf for bdf, _ in nearest.inside]) == ("0000:04:00.0", 0, ["0000:05:01.0"])
    assert not answer.levels[-1].shown
    assert "      in the way: 0000:05:01.0 pref window [mem 0xa0000000-0xbfffffff 64bit pref], 512 MiB" in room_text(
        read_lspci(OLD)
    )


def test_the_last_message_counts():
    """A second pass may find room for what the first one did not."""
    done = "[    2.000000] pci 0000:01:00.0: BAR 1 [mem 0x4000000000-0x43ffffffff 64bit pref]: assigned\n"
    assert len(requests(read_lspci(NEW))) == 1
    assert requests(read_lspci(NEW + done)) == ()


def low_only(size=4 * GIB, hotplug=None, *more) -> Machine:
    """A GPU that finds no room below 4 GiB."""
    root = port("0000:00:01.0", FunctionKind.ROOT_PORT, 1, hotplug=hotplug)
    gpu = function("0000:01:00.0", "0000:00:01.0", bar(1, size))
    return Machine("low", (root, gpu, *more), (HostBridge("pci0000:00", (LOW,)),), "intel")


def test_above_4g_decoding_is_named_where_it_helps():
    """Tried with a window above 4 GiB."""
    answer = explain(low_only())[0]
    assert answer.helps is not None
    assert [text.partition(":")[0] for text in answer.helps] == ["above-4G decoding in the firmware's setup"]
    assert answer.levels[-1].window == LOW


def test_a_smaller_size_is_named_where_the_card_offers_one():
    """The largest that fits."""
    machine = low_only()
    gpu = replace(machine["01:00.0"], rebar=(ResizableBar(1, 0b1_1111_0000_0000, 12),))
    machine = replace(machine, devices=(machine["00:01.0"], gpu))
    assert explain(machine)[0].largest == 512 * MIB


def test_realloc_is_named_where_windows_are_only_in_the_wrong_place():
    """And what to reserve if the card comes after boot."""
    window = Resource(15, 0xC000_0000, 0xC00F_FFFF, 0x102201)
    machine = low_only(256 * MIB, True)
    closed = replace(machine["00:01.0"], resources=(window,))
    answer = explain(replace(machine, devices=(closed, machine["01:00.0"])))[0]
    assert answer.helps == (
        "pci=realloc: it fits",
        "pci=hpmmioprefsize=512M: so much kept below 0000:00:01.0 is enough if the card comes after boot, and Linux makes the "
        "windows of 0000:00:01.0, not the firmware",
    )
    assert answer.levels[0].free == 1 << 20


def test_a_number_for_hot_plug_is_one_with_which_the_card_finds_room():
    """The window is aligned to 1 MiB and the BAR to its size: 256 MiB kept would not hold it."""
    machine = low_only(256 * MIB, True)
    kept = [text for text in explain(machine)[0].helps or () if text.startswith("pci=hpmmioprefsize")]
    assert [text.partition(":")[0] for text in kept] == ["pci=hpmmioprefsize=512M"]
    empty = replace(machine, devices=(machine["00:01.0"],))
    for size, fits in (("256M", False), ("512M", True)):
        booted = assign_resources(empty, options=room_options(f"pci=hpmmioprefsize={size}")).machine
        plugged = assign_resources(replace(booted, devices=(*booted.devices, machine["01:00.0"]))).machine
        assert (plugged["01:00.0"].resource(1) is not None) is fits


def test_an_option_that_does_nothing_is_not_named():
    """The window that is too small is another card's neighbour: pci=realloc moves nobody who has a place."""
    first = replace(
        port("0000:00:01.0", FunctionKind.ROOT_PORT, 1), resources=(Resource(14, 0xC000_0000, 0xC00F_FFFF, 0x200),)
    )
    second = replace(
        port("0000:00:02.0", FunctionKind.ROOT_PORT, 2), resources=(Resource(14, 0xC010_0000, 0xFEBF_FFFF, 0x200),)
    )
    taken = function("0000:02:00.0", "0000:00:02.0", Resource(0, 0xC010_0000, 0xC010_0FFF, 0x40200))
    wanting = function("0000:01:00.0", "0000:00:01.0", bar(0, 256 * MIB, 0x40200))
    machine = Machine("two", (first, wanting, second, taken), (HostBridge("pci0000:00", (LOW,)),), "intel")
    assert explain(machine)[0].helps == (
        "all windows assigned again, by firmware that leaves them to Linux: then it fits; pci=realloc alone does not help",
    )
    level = explain(machine)[0].levels[0]
    assert (level.growth, level.beside[1]) == (0, "0000:00:02.0 mem window [mem 0xc0100000-0xfebfffff]")
    assert any("cannot grow: next to it is" in line for line in room_text(machine))


def test_a_window_with_room_beside_it_says_why_it_stays():
    """Linux keeps what the firmware made."""
    window = Resource(15, 0xC000_0000, 0xC00F_FFFF, 0x102201)
    machine = low_only(256 * MIB)
    level = explain(replace(machine, devices=(replace(machine["00:01.0"], resources=(window,)), machine["01:00.0"])))[
        0
    ].levels[0]
    assert level.growth == LOW.size - MIB
    assert explain(low_only())[0].levels[-1].growth is None


@pytest.mark.parametrize(
    ("cmdline", "said"),
    [
        ("quiet", RoomOptions()),
        ("pci=nocrs,realloc pci=hpmemsize=16M", RoomOptions(True, mmio=16 * MIB, mmio_pref=16 * MIB)),
        ("pci=realloc=off,hpiosize=1k,hpmmiosize=0", RoomOptions(False, io=1024, mmio=0)),
        ("pci=hpmmioprefsize=1G", RoomOptions(mmio_pref=GIB)),
    ],
)
def test_boot_options_for_room_are_read_as_the_kernel_reads_them(cmdline, said):
    """Several in one word, sizes with a letter."""
    assert room_options(cmdline) == said


def test_a_bad_size_is_an_error():
    """Not a default."""
    with pytest.raises(BadInput, match="hpmemsize=much"):
        room_options("pci=hpmemsize=much")


def test_guessed_ranges_are_what_is_in_use():
    """And said to be guessed."""
    guessed = with_guessed_ranges(_gpu()).host_bridges[0].windows
    assert [(w.start, w.end) for w in guessed] == [(0x40_0000_0000, 0x40_0FFF_FFFF)]


def test_a_smaller_bar_always_fits():
    """Without host windows too, and where a larger one is not known."""
    machine = with_decode(_gpu(), "01:00.0", False)
    small = resize_bar(machine, "01:00.0", 1, 128 * MIB)["01:00.0"]
    assert (small.resources[0].start, small.resources[0].size, small.rebar[0].current) == (0x40_0000_0000, 128 * MIB, 7)
    with pytest.raises(NotKnown, match=r"the address ranges of pci0000:00: the boot messages \(--dmesg\)"):
        resize_bar(machine, "01:00.0", 1, 512 * MIB)


def test_a_bar_that_never_had_an_address_forbids_no_resize():
    """I/O ports that found no place."""
    machine = with_decode(_gpu(), "01:00.0", False)
    ports = Resource(5, 0, 0, 0x2004_0101, sized=False)
    gpu = replace(machine["01:00.0"], resources=(*machine["01:00.0"].resources, ports))
    host = HostBridge("pci0000:00", (Resource(16, 0x40_0000_0000, 0x40_3FFF_FFFF, 0x200200),))
    machine = replace(machine, devices=(machine["00:01.0"], gpu), host_bridges=(host,))
    assert resize_bar(machine, "01:00.0", 1, 512 * MIB)["01:00.0"].resource(1).size == 512 * MIB
    assert resize_bar(machine, "01:00.0", 1, 1 << 30)["01:00.0"].resource(1).size == 1 << 30
    with pytest.raises(KernelError, match="-EINVAL"):
        resize_bar(machine, "01:00.0", 1, 2 << 30)


def test_the_command_resizes_and_explains(capsys, tmp_path):
    """With boot messages, iomem or ranges beside lspci's text."""
    text, dmesg, iomem = tmp_path / "lspci.txt", tmp_path / "dmesg.txt", tmp_path / "iomem.txt"
    text.write_text(
        "00:01.0 PCI bridge: Port\n\tBus: primary=00, secondary=01, subordinate=01, sec-latency=0\n"
        "\tPrefetchable memory behind bridge: 4000000000-400fffffff [size=256M] [64-bit]\n"
        "\tCapabilities: [a0] Express (v2) Root Port (Slot+), MSI 00\n\n"
        "01:00.0 VGA compatible controller: GPU\n\tRegion 1: Memory at 4000000000 (64-bit, prefetchable) [size=256M]\n"
        "\tCapabilities: [bb0 v1] Physical Resizable BAR\n\t\tBAR 1: current size: 256MB, supported: 256MB 1GB\n\n"
    )
    dmesg.write_text("[    0.300000] pci_bus 0000:00: root bus resource [mem 0x4000000000-0x7fffffffff window]\n")
    iomem.write_text("4000000000-7fffffffff : PCI Bus 0000:00\n  4000000000-400fffffff : PCI Bus 0000:01\n")
    resize = ("machine", str(text), "--resize", "01:00.0", "1", "1G")
    assert run(capsys, *resize)[0] == 3
    for beside in (("--dmesg", str(dmesg)), ("--iomem", str(iomem)), ("--host-window", "00=0x4000000000-0x7fffffffff")):
        status, out, _ = run(capsys, *resize, *beside)
        assert status == 0
        assert "0000:01:00.0 BAR 1 is at [mem 0x4000000000-0x403fffffff 64bit pref] now" in out
    iomem.write_text("00000000-00000000 : PCI Bus 0000:00\n")
    assert "without root all its addresses read 0" in run(capsys, "machine", str(text), "--iomem", str(iomem))[2]
    found = json.loads(run(capsys, "machine", str(text), "--dmesg", str(dmesg), "--json")[1])
    assert found["no_room"] == []


def test_a_machine_whose_card_found_no_room_says_so(capsys):
    """8 GiB on a CPU of 36 address bits."""
    status, out, _ = run(capsys, "machine", "q35_bigbars_phys36")
    assert status == 0
    assert "  0000:01:00.0 BAR 2: 8 GiB [mem size 0x200000000 64bit pref] (no address shown)" in out
    assert read_machine("q35_bigbars_phys36").name in out
