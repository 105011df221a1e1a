"""What lspci prints becomes a machine; what it does not print is said, not guessed."""

import json

import pytest

from p2plab.core.errors import BadInput
from p2plab.pci import Acs, FunctionKind, ResizableBar, Resource, read_lspci, read_recording
from tests.pci.build import RECORDED

PLAIN = """\
00:00.0 Host bridge: Intel Corporation Device 29c0
00:02.0 PCI bridge: Red Hat, Inc. QEMU PCIe Root port
01:00.0 RAM memory: Red Hat, Inc. Inter-VM shared memory (rev 01)
"""
NUMERIC = """\
00:00.0 0600: 8086:29c0
01:00.0 0500: 1af4:1110 (rev 01)
"""
ONE_V = """\
00:02.0 PCI bridge: Red Hat, Inc. QEMU PCIe Root port (prog-if 00 [Normal decode])
\tFlags: bus master, fast devsel, latency 0, IRQ 22
\tMemory at fea00000 (32-bit, non-prefetchable) [size=4K]
\tBus: primary=00, secondary=01, subordinate=01, sec-latency=0
\tMemory behind bridge: fe800000-fe9fffff [size=2M] [32-bit]
\tCapabilities: [54] Express Root Port (Slot+), MSI 00

01:00.0 VGA compatible controller: Some GPU (rev a1) (prog-if 00 [VGA controller])
\tFlags: fast devsel
\tMemory at 8000000000 (64-bit, prefetchable) [size=16G]
\tMemory at fe800000 (32-bit, non-prefetchable) [size=256K]
\tI/O ports at 1000 [disabled] [size=256]
\tExpansion ROM at fe8c0000 [virtual] [disabled] [size=128K]
\tCapabilities: <access denied>
\tKernel driver in use: amdgpu
"""
GPU = """\
03:00.0 VGA compatible controller [0300]: Maker GPU [1002:73bf] (rev c1) (prog-if 00 [VGA controller])
\tControl: I/O+ Mem+ BusMaster+
\tIOMMU group: 17
\tRegion 0: Memory at 7800000000 (64-bit, prefetchable) [size=16G]
\tRegion 2: Memory at 7c00000000 (64-bit, prefetchable) [size=256M]
\tRegion 4: I/O ports at <unassigned> [disabled] [size=256]
\tRegion 5: Memory at <ignored> (32-bit, non-prefetchable)
\tCapabilities: [64] Express (v2) Legacy Endpoint, MSI 00
\tCapabilities: [200 v1] Physical Resizable BAR
\t\tBAR 0: current size: 16GB, supported: 256MB 512MB 1GB 2GB 4GB 8GB 16GB
\t\tBAR 2: current size: 256MB, supported: 2MB 4MB 8MB 16MB 32MB 64MB 128MB 256MB
\tCapabilities: [2a0 v1] Access Control Services
\t\tACSCap:\tSrcValid- TransBlk- ReqRedir- CmpltRedir- UpstreamFwd- EgressCtrl- DirectTrans-
\t\tACSCtl:\tSrcValid- TransBlk- ReqRedir- CmpltRedir- UpstreamFwd- EgressCtrl- DirectTrans-
\tCapabilities: [320 v1] Single Root I/O Virtualization (SR-IOV)
\t\tRegion 0: Memory at 0000007d00000000 (64-bit, prefetchable)
"""


@pytest.mark.parametrize("order", [("vvv", "xxx", "tv"), ("tv", "xxx", "vvv"), ("xxx", "vvv", "tv")])
@pytest.mark.parametrize("name", ["q35_switch1", "q35_pxb", "pc_flat", "q35_bigbars_phys36"])
def test_all_outputs_together_say_what_sysfs_says(name, order):
    """In whatever order they follow each other: tree, ids, every BAR and window, to the last flag."""
    data = json.loads((RECORDED / f"{name}.json").read_text())
    seen = read_lspci("\n".join(line for key in order for line in data[f"lspci_{key}"]))
    for device in read_recording(data):
        shown = seen[device.bdf]
        assert [r for r in shown.resources if not r.unset] == [r for r in device.resources if not r.unset]
        assert (shown.ids, shown.class_code, shown.subsystem) == (device.ids, device.class_code, device.subsystem)
        assert (shown.parent, shown.host_bridge, shown.kind) == (device.parent, device.host_bridge, device.kind)


def test_windows_line_ends_and_blanks_do_not_matter():
    """Pasted from a mail or a notebook on another system."""
    text = "\n".join(json.loads((RECORDED / "q35_switch2.json").read_text())["lspci_vvv"])
    assert read_lspci(text.replace("\n", "  \r\n")) == read_lspci(text)
    assert read_lspci(text.replace("\t", "        ")) == read_lspci(text)


def test_plain_lspci_shows_who_is_there_and_little_else():
    """The classes of bridges are known by name; everything else is said to be missing."""
    machine = read_lspci(PLAIN)
    assert [(d.bdf, str(d.kind), d.name) for d in machine] == [
        ("0000:00:00.0", "function", "Intel Corporation Device 29c0"),
        ("0000:00:02.0", "bridge", "Red Hat, Inc. QEMU PCIe Root port"),
        ("0000:01:00.0", "function", "Red Hat, Inc. Inter-VM shared memory"),
    ]
    assert not all(b.shown for b in machine.host_bridges)
    assert machine.lacks == (
        "the CPU",
        "the address ranges of the host bridges",
        "the tree: which function is below which bridge (-v, -t or -x show it)",
        "vendor and device ids (-nn shows them)",
        "BARs and windows (-v shows them)",
        "the PCI Express type of some functions (-v as root shows it)",
        "ACS of some functions (-vvv as root shows it)",
    )


def test_numeric_output_shows_ids():
    """lspci -n prints class, vendor and device as numbers only."""
    machine = read_lspci(NUMERIC)
    assert [(d.ids, d.class_code, d.revision) for d in machine] == [
        ("8086:29c0", 0x060000, 0),
        ("1af4:1110", 0x050000, 1),
    ]


def test_one_v_shows_bars_in_order_but_not_their_numbers():
    """They are counted, a 64-bit one twice, and that is said."""
    machine = read_lspci(ONE_V)
    assert machine["01:00.0"].resources == (
        Resource(0, 0x80_0000_0000, 0x83_FFFF_FFFF, 0x14220C),
        Resource(2, 0xFE80_0000, 0xFE83_FFFF, 0x40200),
        Resource(3, 0x1000, 0x10FF, 0x40101),
        Resource(6, 0xFE8C_0000, 0xFE8D_FFFF, 0x46200),
    )
    assert machine["00:02.0"].kind is FunctionKind.ROOT_PORT
    assert machine["01:00.0"].kind is FunctionKind.FUNCTION
    assert "the number of each BAR: counted from 0 in order (-vv shows it)" in machine.lacks
    assert "ACS of some functions (-vvv as root shows it)" in machine.lacks


def test_a_graphics_card_with_everything():
    """Unplaced and ignored regions, resizable BARs, ACS of its own; a VF BAR has no size while no virtual function shows it."""
    card = read_lspci(GPU)["03:00.0"]
    assert card.resources == (
        Resource(0, 0x78_0000_0000, 0x7B_FFFF_FFFF, 0x14220C),
        Resource(2, 0x7C_0000_0000, 0x7C_0FFF_FFFF, 0x14220C),
        Resource(4, 0, 0xFF, 0x20040101),
        Resource(5, 0, 0, 0x20040200, sized=False),
        Resource(7, 0x7D_0000_0000, 0x7D_0000_0000, 0x14220C, sized=False),
    )
    assert card.rebar == (ResizableBar(0, 0x7F00, 14), ResizableBar(2, 0x1FE, 8))
    assert (card.acs, card.kind, card.iommu_group, card.ids) == (
        Acs(0, 0),
        FunctionKind.LEGACY_ENDPOINT,
        17,
        "1002:73bf",
    )


@pytest.mark.parametrize("line", ["Region 0: [virtual] Memory at {}", "Region 0: Memory at {} [virtual]"])
def test_a_region_that_only_the_kernel_knows_is_read_in_both_spellings(line):
    """Older and newer lspci put the word in different places."""
    text = "00:01.0 RAM: x\n\t" + line.format("d0000000 (32-bit, prefetchable)") + " [size=1M]\n"
    assert read_lspci(text)["00:01.0"].resources == (Resource(0, 0xD000_0000, 0xD00F_FFFF, 0x42208),)


def test_a_graphics_cards_rom_in_low_memory_is_a_copy():
    """The firmware's, at 0xc0000: the card does not answer there."""
    text = "00:01.0 VGA compatible controller: x\n\tExpansion ROM at 000c0000 [virtual] [disabled] [size=128K]\n"
    machine = read_lspci(text)
    assert machine["00:01.0"].resources == (Resource(6, 0xC_0000, 0xD_FFFF, 0x212),)
    assert machine["00:01.0"].rom.shadow
    assert machine.decode(0xC_0000).device is None


def test_registers_alone_show_addresses_without_sizes():
    """-xxx: the kind and place of each BAR, all windows, but how big a BAR is only -v says."""
    data = json.loads((RECORDED / "q35_switch1.json").read_text())
    machine = read_lspci("\n".join(data["lspci_xxx"]))
    assert machine["03:00.0"].resources == (
        Resource(0, 0xFE60_0000, 0xFE60_0000, 0x40200, sized=False),
        Resource(2, 0xD000_0000, 0xD000_0000, 0x14220C, sized=False),
    )
    assert "the size of some BARs (-v shows it)" in machine.lacks


def test_an_address_that_no_bridge_passes_on_counts_as_none():
    """A 36-bit CPU: the register still holds the firmware's address, the kernel has given the BAR up."""
    data = json.loads((RECORDED / "q35_bigbars_phys36.json").read_text())
    given_up = read_lspci("\n".join(data["lspci_xxx"]))["01:00.0"].resource(2)
    assert given_up.unset
    assert not given_up.sized


def test_extended_config_space_shows_acs_and_resizable_bars():
    """-xxxx prints all 4096 bytes."""
    config = bytearray(4096)
    config[0:4] = bytes.fromhex("02 10 bf 73")
    config[6], config[0x34], config[0x40] = 0x10, 0x40, 0x10
    config[0x100:0x104] = (0x148 << 20 | 1 << 16 | 0x0015).to_bytes(4, "little")
    config[0x104:0x10C] = (0x7F00 << 4).to_bytes(4, "little") + (14 << 8 | 1 << 5).to_bytes(4, "little")
    config[0x148:0x150] = (1 << 16 | 0x000D).to_bytes(4, "little") + bytes.fromhex("5f 00 1d 00")
    rows = [f"{at:02x}: {config[at : at + 16].hex(' ')}" for at in range(0, 4096, 16)]
    machine = read_lspci("\n".join(["03:00.0 VGA compatible controller: GPU", *rows]))
    assert machine["03:00.0"].acs == Acs(0x5F, 0x1D)
    assert machine["03:00.0"].rebar == (ResizableBar(0, 0x7F00, 14),)
    assert machine.acs_shown


def test_without_the_status_bit_there_is_no_capability_list():
    """Whatever stands where its pointer would be."""
    config = bytearray(256)
    config[0:4], config[0x34], config[0x40] = bytes.fromhex("86 80 34 12"), 0x40, 0x10
    rows = [f"{at:02x}: {config[at : at + 16].hex(' ')}" for at in range(0, 256, 16)]
    assert read_lspci("\n".join(["03:00.0 RAM memory: x", *rows]))["03:00.0"].kind is FunctionKind.CONVENTIONAL
    config[6] = 0x10
    rows = [f"{at:02x}: {config[at : at + 16].hex(' ')}" for at in range(0, 256, 16)]
    assert read_lspci("\n".join(["03:00.0 RAM memory: x", *rows]))["03:00.0"].kind is FunctionKind.ENDPOINT


def test_a_function_that_does_not_answer_is_shown_as_such():
    """Asleep or gone: its config space reads all ones."""
    text = "05:00.0 3D controller: Some GPU (rev ff) (prog-if ff)\n\t!!! Unknown header type 7f\n"
    assert "everything about 0000:05:00.0: config space reads all ones" in read_lspci(text).lacks
    lacks = read_lspci("05:00.0 3D controller: x\n00:" + " ff" * 16 + "\n").lacks
    assert any(what.startswith("everything about 0000:05:00.0") for what in lacks)


def test_virtual_functions_hang_from_the_bridge_whose_buses_cover_theirs():
    """SR-IOV takes bus numbers that no bridge owns alone."""
    text = (
        "00:01.0 PCI bridge: Root\n\tBus: primary=00, secondary=03, subordinate=05, sec-latency=0\n\n"
        "03:00.0 Ethernet controller: PF\n\tControl: Mem+\n\n04:10.0 Ethernet controller: VF\n\tControl: Mem-\n"
    )
    assert read_lspci(text)["04:10.0"].parent == "0000:00:01.0"


def test_of_several_bridges_that_cover_a_bus_the_innermost_is_above_it():
    """A virtual function behind a switch."""
    text = (
        "00:01.0 PCI bridge: Root\n\tBus: primary=00, secondary=01, subordinate=05, sec-latency=0\n\n"
        "01:00.0 PCI bridge: Switch\n\tBus: primary=01, secondary=02, subordinate=05, sec-latency=0\n\n"
        "05:10.0 Ethernet controller: VF\n\tControl: Mem-\n"
    )
    assert [d.bdf for d in read_lspci(text).path_up("05:10.0")] == ["0000:05:10.0", "0000:01:00.0", "0000:00:01.0"]


def test_a_bar_that_v_shows_keeps_its_address_wherever_it_lies():
    """Beside registers that say the bridge above passes nothing on: then the layout is broken, not the text."""
    config = bytearray(64)
    config[0:4], config[9:12], config[14] = bytes.fromhex("36 1b 0c 00"), bytes.fromhex("00 04 06"), 1
    config[0x19], config[0x1A], config[0x1C], config[0x20], config[0x24] = 1, 1, 0xF0, 0xF0, 0xF0
    rows = [f"{at:02x}: {config[at : at + 16].hex(' ')}" for at in range(0, 64, 16)]
    text = "\n".join(
        ["00:01.0 PCI bridge: Port", *rows, "", "01:00.0 RAM: x", "\tRegion 0: Memory at d0000000 (32-bit)"]
    )
    assert read_lspci(text)["01:00.0"].resources[0].unset
    assert not read_lspci(text + " [size=1M]")["01:00.0"].resources[0].unset


def test_domains_are_kept_apart():
    """The same bus number in two domains is two buses."""
    text = (
        "-+-[0001:00]---00.0-[01]----00.0  Disk\n \\-[0000:00]-+-00.0  Host\n             \\-02.0-[01]----00.0  Net\n"
    )
    machine = read_lspci(text)
    assert [(d.bdf, d.parent, d.host_bridge) for d in machine] == [
        ("0001:00:00.0", None, "pci0001:00"),
        ("0001:01:00.0", "0001:00:00.0", "pci0001:00"),
        ("0000:00:00.0", None, "pci0000:00"),
        ("0000:00:02.0", None, "pci0000:00"),
        ("0000:01:00.0", "0000:00:02.0", "pci0000:00"),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: no line starts with a PCI address, and none draws a tree: not lspci's output"),
        ("hello\nworld\n", "line 1: no line starts with a PCI address"),
        ("00:00.0 RAM: x\n\tRegion 9: Memory at 0 (32-bit)", "line 2: region 9; allowed: 0 to 5"),
        ("00:00.0 RAM: x\n\tRegion 0: Memory at zz (32-bit)", "line 2: 'zz' is not a hexadecimal address"),
        ("00:00.0 RAM: x\n\tRegion 0: Memory at 10 (64-bit) [size=99E]", "line 2: .* more than 64 bits can hold"),
        ("00:00.0 RAM: x\n\tMemory behind bridge: up-down", "line 2: 'up-down' is not a range"),
        ("00:00.0 PCI bridge: x\n\tBus: primary=00, secondary=05, subordinate=03", "line 1: 0000:00:00.0 cannot have"),
        ("00: 86 80\n", "line 1: bytes of a config space without a function above them"),
        ("00:00.0 RAM: x\n10: 00 00\n", "line 2: bytes at 0x10, expected at 0x0"),
        ("00:00.0 0600: 8086:1111\n00:00.0 0600: 8086:2222", "line 2: 0000:00:00.0 has device 2222 here, 1111 above"),
        ("-[0000:00]-+-00.0\n     \\-01.0\n", "line 2: column 6 continues nothing drawn above it"),
        (
            "-[0000:00]-+-02.0-[01]--+-00.0\n           \\-03.0\n                        \\-00.1\n",
            "line 3: column 25 continues nothing drawn above it",
        ),
        (" +-00.0\n", "line 1: function 00.0 hangs from nothing"),
        ("-[0000:00]-+-zz", "line 1: not a tree as lspci -t draws it, at column 14: 'zz'"),
        ("-[0000:05]---00.0-[03]--", "line 1: bus \\[03\\] cannot be below 0000:05:00.0"),
        ("00:00.0 RAM: x\n" + "y" * 5000, "line 2: 5000 characters; allowed: 4096"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_line(text, sentence):
    """Nothing but BadInput comes out, and it names the line."""
    with pytest.raises(BadInput, match=sentence):
        read_lspci(text)


def test_too_much_text_is_refused_before_it_is_read():
    """Bounded time and memory."""
    with pytest.raises(BadInput, match="allowed: 67108864"):
        read_lspci("x" * ((64 << 20) + 1))


def test_equal_signs_followed_by_digits_are_no_quoted_printable():
    """Bus numbers 09 and 20 look like an encoded tab and blank; a bare "=" elsewhere shows that nothing is encoded."""
    ports = "".join(
        f"00:0{n}.0 PCI bridge: x (prog-if 00 [Normal decode])\n"
        f"\tBus: primary=00, secondary=0{n}, subordinate=0{n}, sec-latency=0\n"
        for n in (9, 8)
    )
    text = ports + "".join(
        f"0{n}:00.0 Memory controller: y\n\tRegion 0: Memory at fe{n}00000 [size=1M]\n" for n in (9, 8)
    )
    machine = read_lspci(text.replace("latency=0", "latency=20"))
    assert [machine[f"0{n}:00.0"].parent for n in (8, 9)] == ["0000:00:08.0", "0000:00:09.0"]
