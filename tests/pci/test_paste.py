"""What people paste is read whatever happened to it on the way, and no line of it goes missing in silence."""

import pytest

from p2plab.core.errors import BadInput
from p2plab.pci import Acs, FunctionKind, MapType, ResizableBar, reach_verdict, read_lspci
from p2plab.pci.paste import decode
from p2plab.views.pci_text import machine_text

#: A root port, a switch, two functions below it; redirects on at one of its ports, the other has no ACS.
SWITCH = """\
00:00.0 Host bridge [0600]: Maker Chipset [8086:2020] (rev 04)
\tControl: I/O- Mem- BusMaster- SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-
\tStatus: Cap- 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-

00:01.0 PCI bridge [0604]: Maker Root Port [8086:2030] (rev 04) (prog-if 00 [Normal decode])
\tControl: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx+
\tBus: primary=00, secondary=01, subordinate=04, sec-latency=0
\tI/O behind bridge: f000-0fff [disabled] [16-bit]
\tMemory behind bridge: e0000000-e01fffff [size=2M] [32-bit]
\tPrefetchable memory behind bridge: 4000000000-401fffffff [size=512M] [64-bit]
\tCapabilities: [60] Express (v2) Root Port (Slot+), IntMsgNum 0
\tCapabilities: [100 v1] Access Control Services
\t\tACSCap:\tSrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
\t\tACSCtl:\tSrcValid- TransBlk- ReqRedir- CmpltRedir- UpstreamFwd- EgressCtrl- DirectTrans-
\tKernel driver in use: pcieport

01:00.0 PCI bridge [0604]: Switch Maker Switch [10b5:9733] (rev aa) (prog-if 00 [Normal decode])
\tControl: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx+
\tBus: primary=01, secondary=02, subordinate=04, sec-latency=0
\tCapabilities: [68] Express (v2) Upstream Port, IntMsgNum 0
\tCapabilities: [fb4 v1] Advanced Error Reporting
\tKernel driver in use: pcieport

02:08.0 PCI bridge [0604]: Switch Maker Switch [10b5:9733] (rev aa) (prog-if 00 [Normal decode])
\tBus: primary=02, secondary=03, subordinate=03, sec-latency=0
\tCapabilities: [68] Express (v2) Downstream Port (Slot+), IntMsgNum 0
\tCapabilities: [f24 v1] Access Control Services
\t\tACSCap:\tSrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl+ DirectTrans+
\t\tACSCtl:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
\tKernel driver in use: pcieport

02:10.0 PCI bridge [0604]: Switch Maker Switch [10b5:9733] (rev aa) (prog-if 00 [Normal decode])
\tBus: primary=02, secondary=04, subordinate=04, sec-latency=0
\tCapabilities: [68] Express (v2) Downstream Port (Slot+), IntMsgNum 0
\tCapabilities: [f24 v1] Access Control Services
\t\tACSCap:\tSrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl+ DirectTrans+
\t\tACSCtl:\tSrcValid- TransBlk- ReqRedir- CmpltRedir- UpstreamFwd- EgressCtrl- DirectTrans-
\tKernel driver in use: pcieport

03:00.0 Non-Volatile memory controller [0108]: Disk Maker Disk [1aaa:0001] (prog-if 02 [NVM Express])
\tRegion 0: Memory at e0000000 (64-bit, non-prefetchable) [size=16K]
\tRegion 2: Memory at 4000000000 (64-bit, prefetchable) [size=256M]
\tCapabilities: [70] Express (v2) Endpoint, IntMsgNum 0
\tCapabilities: [100 v2] Advanced Error Reporting
\tKernel driver in use: nvme

04:00.0 Ethernet controller [0200]: Net Maker NIC [1bbb:0002]
\tRegion 0: Memory at e0100000 (64-bit, non-prefetchable) [size=64K]
\tCapabilities: [70] Express (v2) Endpoint, IntMsgNum 0
\tCapabilities: [100 v2] Advanced Error Reporting
\tKernel driver in use: mlx5_core

"""
PAIR = ("03:00.0", "04:00.0")


def test_the_whole_text_decides():
    """A listed host bridge carries what a port's redirect sends up; nothing is missing, each line is understood."""
    verdict = reach_verdict(read_lspci(SWITCH), *PAIR)
    assert (verdict.map_type, verdict.distance, verdict.missing) == (MapType.THRU_HOST_BRIDGE, 4, ())
    assert str(read_lspci(SWITCH).unread) == ""


@pytest.mark.parametrize("closed", ["[disabled] [16-bit]", "f000-0fff [disabled] [16-bit]", "None", "<unassigned>"])
def test_a_closed_window_is_read_however_it_is_written(closed):
    """pciutils 3.5 to 3.14, with two and three v's."""
    text = "00:01.0 PCI bridge: x\n\tBus: primary=00, secondary=01, subordinate=01, sec-latency=0\n"
    text += f"\tI/O behind bridge: {closed}\n"
    assert (read_lspci(text)["00:01.0"].windows, read_lspci(text).unread.count) == ((), 0)


def test_drivers_and_a_tree_leave_type_and_acs_open():
    """lspci -nnk; lspci -t: the way is known, what the ports do is not."""
    text = """\
00:01.0 PCI bridge [0604]: Maker Root Port [1022:1483]
\tKernel driver in use: pcieport
02:01.0 PCI bridge [0604]: Maker Port [1022:57a3]
\tKernel driver in use: pcieport
-[0000:00]---01.0-[01-04]----00.0-[02-04]--+-01.0-[03]----00.0
                                           \\-03.0-[04]----00.0
"""
    machine = read_lspci(text)
    verdict = reach_verdict(machine, *PAIR)
    assert (machine["02:01.0"].kind, machine["02:01.0"].acs_shown, verdict.map_type) == (
        FunctionKind.BRIDGE,
        False,
        MapType.NOT_KNOWN,
    )
    assert "ACS of 0000:02:03.0: run lspci as root with -vvv" in verdict.missing


def test_two_redirects_through_grep_rule_the_short_way_out():
    """Whether the host bridge carries it is still to be told."""
    lines = [line for line in SWITCH.split("\n") if line[:1].isdigit() or "ACSCtl" in line]
    lines = [line.replace("ReqRedir-", "ReqRedir+") for line in lines if line[:2] in ("02", "\t\t")]
    tree = "-[0000:00]---01.0-[01-04]----00.0-[02-04]--+-08.0-[03]----00.0\n" + " " * 43 + "\\-10.0-[04]----00.0\n"
    verdict = reach_verdict(read_lspci("\n".join(lines[-4:]) + "\n" + tree), *PAIR)
    assert verdict.possible == ("THRU_HOST_BRIDGE", "NOT_SUPPORTED")
    assert verdict.missing[0].startswith("the PCI Express type of 0000:00:01.0: run lspci as root")


def test_a_gap_in_the_tree_is_said_and_not_bridged():
    """The switch's own functions are missing: path and distance are not known, and no ACS is made up."""
    text = "\n\n".join(block for block in SWITCH.split("\n\n") if block[:2] in ("00", "03", "04"))
    machine = read_lspci(text)
    verdict = reach_verdict(machine, *PAIR)
    assert [d.bdf for d in machine if d.gap] == ["0000:03:00.0", "0000:04:00.0"]
    assert (verdict.map_type, verdict.distance) == (MapType.NOT_KNOWN, None)
    assert verdict.missing[0] == (
        "the bridges between 0000:00:01.0 and 0000:03:00.0: lspci -t, or -vv of the whole machine"
    )
    assert "(bridges above it are not shown)" in "\n".join(machine_text(machine))


def test_resizable_bars_of_a_card_and_of_its_virtual_functions_are_two_things():
    """The second list does not overwrite the first."""
    text = """\
01:00.0 Display controller: GPU
\tRegion 2: Memory at 202000000000 (64-bit, prefetchable) [size=64G]
\tCapabilities: [420 v1] Physical Resizable BAR
\t\tBAR 2: current size: 64GB, supported: 256MB 512MB 64GB 128GB
\tCapabilities: [220 v1] Virtual Resizable BAR
\t\tBAR 2: current size: 2GB, supported: 1GB 2GB 4GB 8GB

"""
    card = read_lspci(text)["01:00.0"]
    assert card.rebar == (ResizableBar(2, 1 << 8 | 1 << 9 | 1 << 16 | 1 << 17, 16),)
    assert card.vf_rebar == (ResizableBar(2, 0xF << 10, 11),)
    assert "  0000:01:00.0 VF BAR 2: now 2 GiB; offered 1 GiB, 2 GiB, 4 GiB, 8 GiB" in machine_text(read_lspci(text))


@pytest.mark.parametrize(
    ("ids", "cpu"), [("1022:14a4", "zen"), ("1022:1480", "zen"), ("8086:4c43", "intel"), ("8086:29c0", None)]
)
def test_a_host_bridge_that_is_part_of_the_cpu_names_it(ids, cpu):
    """Zen and Intel by their own; a chipset that hypervisors emulate says nothing of the guest's CPU."""
    assert read_lspci(f"00:00.0 Host bridge [0600]: x [{ids}]\n").cpu == cpu


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('00:00.0 "Host bridge" "Maker" "Chipset" -r01 "" ""\n', "line 1: this is lspci -mm, a form for scripts"),
        ("00:01.0/00.0/08.0 VGA compatible controller: x\n", "line 1: lspci -P leaves the bus numbers out"),
    ],
)
def test_forms_without_a_tree_are_refused_in_a_sentence(text, sentence):
    """With what to run instead."""
    with pytest.raises(BadInput, match=sentence):
        read_lspci(text)


def test_a_tree_that_lost_its_backslashes_is_whole():
    """Markdown eats them."""
    tree = "-[0000:00]-+-00.0\n           +-01.0-[01]--+-00.0\n           |            -00.1\n           -1f.0\n"
    machine = read_lspci(tree)
    assert [d.bdf[5:] for d in machine] == ["00:00.0", "00:01.0", "01:00.0", "01:00.1", "00:1f.0"]
    assert machine["01:00.1"].parent == "0000:00:01.0"


def test_iommu_groups_are_read_wherever_they_stand():
    """In Flags with one v, in a field with two, in a list by group, in sysfs paths, in lspci -vmm."""
    flags = (
        "01:00.0 VGA compatible controller: x\n\tFlags: bus master, fast devsel, latency 0, IRQ 41, IOMMU group 33\n"
    )
    listed = "IOMMU Group 33:\n\t01:00.0 VGA compatible controller [0300]: x [10de:2204] (rev a1)\n"
    one_line = "IOMMU Group 33 01:00.0 VGA compatible controller [0300]: x [10de:2204] (rev a1)\n"
    path = "01:00.0 VGA compatible controller: x\n\n/sys/kernel/iommu_groups/33/devices/0000:01:00.0\n"
    vmm = "Slot:\t01:00.0\nClass:\tVGA compatible controller [0300]\nVendor:\tx [10de]\nDevice:\ty [2204]\nIOMMUGroup:\t33\n"
    for text in (flags, listed, one_line, path, vmm):
        machine = read_lspci(text)
        assert (machine["01:00.0"].iommu_group, machine.iommu, machine.unread.count) == (33, True, 0), text
        assert "  group 33: 0000:01:00.0" in machine_text(machine)
    assert (machine["01:00.0"].ids, machine["01:00.0"].class_code) == ("10de:2204", 0x030000)


def test_paths_of_bridges_show_the_whole_way():
    """lspci -PP: bus numbers in every part."""
    text = "00:01.0 PCI bridge: a\n00:01.0/01:00.0 PCI bridge: b\n00:01.0/01:00.0/02:08.0/03:00.0 3D controller: c\n"
    machine = read_lspci(text)
    assert [d.bdf[5:] for d in machine.path_up("03:00.0")] == ["03:00.0", "02:08.0", "01:00.0", "00:01.0"]
    assert all(b.shown for b in machine.host_bridges)
    assert not any(d.gap for d in machine)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_files_from_other_systems_are_decoded(encoding):
    """The first function is there, whatever mark stands before it."""
    assert read_lspci(decode(SWITCH.encode(encoding))).devices == read_lspci(SWITCH).devices


def test_lines_that_are_not_understood_are_counted_and_shown():
    """How many, and the first with its number."""
    text = SWITCH.replace("\n03:00.0", "\nThanks for looking,\nme\n\n03:00.0")
    machine = read_lspci(text)
    assert machine.unread.count == 2
    assert "2 lines not understood, first: line 40: Thanks for looking," in machine_text(machine)


def test_a_block_with_something_left_out_proves_nothing():
    """Below an ellipsis there may have been an ACS capability."""
    text = SWITCH.replace("\tCapabilities: [fb4 v1] Advanced Error Reporting\n", "[...]\n")
    verdict = reach_verdict(read_lspci(text), *PAIR)
    assert not read_lspci(text)["01:00.0"].acs_shown
    assert verdict.map_type == MapType.THRU_HOST_BRIDGE  # the other port redirects, whatever this one does


def test_an_acs_register_of_which_half_is_lost_is_not_shown():
    """Nor is it when the end of the line stands further down."""
    line = "\t\tACSCtl:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-"
    half, rest = line.split(" UpstreamFwd")
    assert not read_lspci(SWITCH.replace(line, half))["02:08.0"].acs_shown
    wrapped = SWITCH.replace(line, f"{half}\n\t\tUpstreamFwd{rest}")
    assert read_lspci(wrapped)["02:08.0"].acs == Acs(0x7F, 0x1D)


def test_of_two_parts_with_the_same_ids_one_cannot_lack_what_the_other_has():
    """Three lines are gone, and nothing else shows it."""
    lost = SWITCH.replace("ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl+ DirectTrans+", "", 1).split("\n")
    block = next(n for n, line in enumerate(lost) if line.startswith("02:10.0"))
    del lost[block + 3 : block + 6]
    assert not read_lspci("\n".join(lost))["02:10.0"].acs_shown


def test_a_lost_first_line_does_not_give_its_fields_to_the_function_before():
    """Fields come in one order: one that comes again is somebody else's."""
    text = SWITCH.replace(
        "\n\n02:08.0 PCI bridge [0604]: Switch Maker Switch [10b5:9733] (rev aa) (prog-if 00 [Normal decode])", ""
    )
    machine = read_lspci(text)
    assert (machine["01:00.0"].secondary, machine["01:00.0"].acs, machine.unread.count) == (2, None, 6)
    assert machine["03:00.0"].gap


def test_a_virtual_function_on_a_bus_of_its_own_is_no_gap():
    """SR-IOV: the physical function says where its virtual ones are."""
    text = """\
00:00.0 Host bridge: x

00:01.0 PCI bridge: Port
\tBus: primary=00, secondary=03, subordinate=05, sec-latency=0

03:00.0 Ethernet controller: NIC
\tCapabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)
\t\tInitial VFs: 64, Total VFs: 64, Number of VFs: 2, Function Dependency Link: 00
\t\tVF offset: 256, stride: 8, Device ID: 154c

04:00.0 Ethernet controller: NIC
04:01.0 Ethernet controller: NIC
04:02.0 Ethernet controller: NIC
"""
    machine = read_lspci(text)
    assert [d.bdf[5:] for d in machine if d.gap] == ["04:02.0"]
    assert machine["04:01.0"].parent == "0000:00:01.0"


def test_buses_that_a_tree_draws_below_a_bridge_are_no_root_buses():
    """lspci -t puts a bus that no bridge leads to below the one whose range covers it."""
    tree = "-[0000:00]---1e.0-[01-03]--+-[0000:02]---00.0\n                           \\-[0000:01]---05.0\n"
    machine = read_lspci(tree)
    assert [bridge.name for bridge in machine.host_bridges] == ["pci0000:00"]
    assert (machine["02:00.0"].parent, machine["02:00.0"].gap) == ("0000:00:1e.0", True)


def test_two_domains_and_a_vmd_are_kept_apart():
    """Functions of a VMD have a domain of five digits."""
    text = "10000:e0:06.0 PCI bridge: Port\n\tBus: primary=e0, secondary=e1, subordinate=e1, sec-latency=0\n"
    text += "\tCapabilities: [40] Express (v2) Root Port (Slot+), MSI 00\n\n"
    text += "10000:e1:00.0 Non-Volatile memory controller: Disk\n"
    machine = read_lspci(text)
    assert (machine["10000:e1:00.0"].parent, machine.host_bridges[0].name) == ("10000:e0:06.0", "pci10000:e0")
    assert machine.host_bridges[0].shown


TOPO = """
        GPU0    GPU1    GPU2    NIC0    CPU Affinity    NUMA Affinity
GPU0     X      PIX     SYS     PIX     0-31    0
GPU1    PIX      X      SYS     PIX     0-31    0
GPU2    SYS     SYS      X      SYS     32-63   1
NIC0    PIX     PIX     SYS      X

Legend:

  X    = Self
  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes
  PIX  = Connection traversing at most a single PCIe bridge
"""
GPUS = """\
-+-[0000:80]---01.0-[81]----00.0  NVIDIA Corporation GPU [10de:2204]
 \\-[0000:00]---01.0-[01-04]----00.0-[02-04]--+-08.0-[03]----00.0  NVIDIA Corporation GPU [10de:2204]
                                             \\-10.0-[04]----00.0  NVIDIA Corporation GPU [10de:2204]

03:00.0 3D controller [0302]: NVIDIA Corporation GPU [10de:2204]
04:00.0 3D controller [0302]: NVIDIA Corporation GPU [10de:2204]
81:00.0 3D controller [0302]: NVIDIA Corporation GPU [10de:2204]
"""


def test_another_tools_table_is_compared_with_the_tree():
    """nvidia-smi topo -m: agreement in a line, each difference in one."""
    machine = read_lspci(GPUS + TOPO)
    assert machine.unread.count == 0
    assert "  every pair of GPUs as the tree has it" in machine_text(machine)
    text = "\n".join(machine_text(read_lspci(GPUS + TOPO.replace("X      PIX", "X      PHB"))))
    assert "GPU0 0000:03:00.0 and GPU1 0000:04:00.0: nvidia-smi says PHB, the tree PIX" in text
    alone = read_lspci(
        GPUS.rpartition("81:00.0")[0].replace("-+-[0000:80]---01.0-[81]----00.0", "-+-[0000:80]---01.0") + TOPO
    )
    assert any("not compared" in line for line in machine_text(alone))


def test_iomem_alone_shows_ranges_and_no_tree():
    """Functions and root windows; the tree is missing."""
    text = "c0000000-cfffffff : PCI Bus 0000:00\n  c0000000-c00fffff : PCI Bus 0000:01\n    c0000000-c000ffff : 0000:01:00.0\n"
    machine = read_lspci(text)
    assert [(d.bdf, d.resources[0].size) for d in machine] == [("0000:01:00.0", 0x10000)]
    assert machine.host_bridges[0].windows[0].end == 0xCFFF_FFFF
    assert not all(b.shown for b in machine.host_bridges)


@pytest.mark.parametrize(
    "before",
    ["[    0.412350] ", "<6>[    0.412350] ", "[Sat Nov 28 10:00:00 2026] ", "Nov 28 10:00:00 host kernel: ", ""],
)
def test_boot_messages_are_known_by_whatever_stands_before_them(before):
    """dmesg, dmesg -T, journalctl, a log without times."""
    message = f"{before}pci_bus 0000:00: root bus resource [mem 0x90000000-0xfbffffff window]\n"
    machine = read_lspci(SWITCH + message)
    assert [w.start for w in machine.host_bridges[0].windows] == [0x9000_0000]
    assert (machine.unread.count, "the address ranges of the host bridges" in machine.lacks) == (0, False)


def test_a_cardbus_bridge_has_buses_below_it():
    """With -v and from its registers."""
    line = "\tBus: primary=02, secondary=03, subordinate=06, sec-latency=176\n"
    line += "\tMemory window 0: d4000000-d7fff000 (prefetchable)\n"
    text = read_lspci(f"02:01.0 CardBus bridge: x\n{line}\t16-bit legacy interface ports at 0001\n")
    assert (text["02:01.0"].secondary, text.unread.count) == (3, 0)
    config = bytearray(64)
    config[0:4], config[9:12], config[14], config[0x18:0x1B] = b"\x4c\x10\x50\xac", b"\0\x07\x06", 2, bytes((2, 3, 6))
    rows = "\n".join(f"{at:02x}: {config[at : at + 16].hex(' ')}" for at in range(0, 64, 16))
    assert read_lspci(f"02:01.0 CardBus bridge: x\n{rows}\n")["02:01.0"].subordinate == 6
