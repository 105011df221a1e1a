"""Virtual functions: they live inside the VF BAR of their physical function, and have nothing of their own to place."""

import json
from dataclasses import replace

import pytest

from p2plab.pci import (
    FunctionKind,
    HostBridge,
    Machine,
    Resource,
    address_map,
    assign_resources,
    broken,
    read_lspci,
    read_recording,
    read_sysfs,
    without_addresses,
)
from p2plab.pci.bootlog import virtual_functions
from p2plab.pci.invariants import unjust
from p2plab.pci.resource import IORESOURCE_UNSET
from p2plab.views.pci_text import machine_text
from tests.pci.build import HIGH, LOW, MEM64, MIB, PORTS, RECORDED, bar, function, host_function, port

PF, VF = "0000:01:00.0", "0000:01:00.1"


@pytest.fixture(scope="module")
def recorded() -> Machine:
    """Two NVMe controllers, of which one has four VFs and the other two."""
    return read_recording(RECORDED / "q35_sriov.json")


def physical(share, total=8, window=2 * MIB) -> Machine:
    """A function with VF BARs that the firmware left, below a root port whose windows it placed."""
    vf_bar = Resource(7, 0, share * total - 1, MEM64 | IORESOURCE_UNSET)
    windows = (Resource(14, 0xFE80_0000, 0xFE80_0000 + window - 1, 0x200),)
    below = "0000:00:01.0"
    devices = (
        host_function(),
        port(below, FunctionKind.ROOT_PORT, 1, resources=windows),
        function(PF, below, Resource(0, 0xFE80_0000, 0xFE80_3FFF, MEM64), vf_bar, vfs=total),
        *(function(f"0000:01:00.{n}", below, physfn=PF) for n in (1, 2, 3)),
    )
    return Machine("physical", devices, (HostBridge("pci0000:00", (LOW, HIGH, PORTS)),))


def test_a_virtual_function_is_known_by_where_its_bar_lies(recorded):
    """In the VF BAR of another function, whose number of VFs the boot messages tell."""
    assert {d.bdf: d.physfn for d in recorded if d.physfn} == {
        **{f"0000:01:00.{n}": PF for n in (1, 2, 3, 4)},
        **{f"0000:04:00.{n}": "0000:04:00.0" for n in (1, 2)},
    }
    assert (recorded[PF].vfs, recorded["04:00.0"].vfs, recorded[VF].vfs) == (4, 2, 0)


def test_the_map_nests_virtual_functions_in_the_vf_bar(recorded):
    """As /proc/iomem does, and the layout is sound: a share does not overlap the whole."""
    spans = {(span.label, span.resource.name): span for top in address_map(recorded) for _, span in top.walk()}
    assert [child.label for child in spans[PF, "VF BAR 0"].children] == [f"0000:01:00.{n}" for n in (1, 2, 3, 4)]
    assert broken(recorded) == ()
    moved = replace(recorded[VF], resources=(Resource(0, 0xFE90_0000, 0xFE90_3FFF, MEM64),))
    outside = replace(recorded, devices=tuple(moved if d.bdf == VF else d for d in recorded))
    assert broken(outside) == (f"{VF}: BAR 0 [mem 0xfe900000-0xfe903fff 64bit] does not lie in VF BAR 0 of {PF}",)
    assert "VF of 0000:01:00.0" in next(line for line in machine_text(recorded) if "01:00.1 " in line)


def test_an_address_in_a_vf_bar_is_answered_by_the_virtual_function(recorded):
    """By its number, whatever its own command register says; beyond the last one that is there, by nobody."""
    assert recorded.decode(0xFE80_8000).device == recorded["01:00.2"]
    fewer = replace(recorded, devices=tuple(d for d in recorded if d.bdf != "0000:01:00.4"))
    assert fewer.decode(0xFE81_0000).device is None
    assert recorded.decode(0xFE80_0000).device == recorded[PF]


def test_registers_of_a_virtual_function_have_no_ids_and_no_bars(recorded):
    """ffff and zeroes; class, subsystem and type are there, and lspci's own line has the ids."""
    dump = """01:00.1 Non-Volatile memory controller [0108]: Red Hat, Inc. QEMU NVM Express Controller [1b36:0010] (rev 02)
00: ff ff ff ff 00 00 10 00 02 02 08 01 00 00 00 00
10: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
20: 00 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
30: 00 00 00 00 40 00 00 00 00 00 00 00 00 01 00 00
"""
    seen = read_lspci(dump)["01:00.1"]
    assert (seen.ids, seen.class_code, seen.subsystem, seen.resources) == ("1b36:0010", 0x010802, (0x1AF4, 0x1100), ())
    gone = read_lspci(dump.replace("02 02 08 01", "ff ff ff ff"))
    assert any("config space reads all ones" in what for what in gone.lacks)


def test_a_sysfs_copy_shows_virtual_functions(tmp_path):
    """Its resource files hold the VF BARs."""
    for bdf, rows in ((PF, {0: "fe800000 fe803fff", 7: "fe804000 fe80bfff"}), (VF, {0: "fe804000 fe807fff"})):
        folder = tmp_path / bdf
        folder.mkdir()
        lines = ["0x0 0x0 0x0"] * 17
        for index, row in rows.items():
            lines[index] = " ".join(f"0x{text:0>16}" for text in (*row.split(), "140204"))
        (folder / "resource").write_text("\n".join(lines) + "\n")
        (folder / "vendor").write_text("0x1b36\n")
    machine = read_sysfs(tmp_path)
    assert (machine[VF].physfn, machine[PF].vfs) == (PF, 2)


def test_the_kernel_gives_vf_bars_an_address_with_a_message():
    """Beside what the firmware placed; the virtual functions follow, each at its share."""
    done = assign_resources(physical(0x4000))
    assert f"{PF}: VF BAR 0 [mem 0xfe804000-0xfe823fff 64bit]: assigned" in done.messages
    shares = [str(done.machine[f"01:00.{n}"].bars[0]) for n in (1, 2, 3)]
    assert shares == [
        "[mem 0xfe804000-0xfe807fff 64bit]",
        "[mem 0xfe808000-0xfe80bfff 64bit]",
        "[mem 0xfe80c000-0xfe80ffff 64bit]",
    ]
    assert (done.refused, broken(done.machine), unjust(done)) == ((), (), ())


def test_a_vf_bar_without_room_makes_the_kernel_try_again():
    """pci=realloc turns itself on: the window above is released and grows. A kernel not built so refuses."""
    machine = physical(MIB)
    tried = assign_resources(machine)
    assert f"{PF}: VF BAR 0 [mem size 0x00800000 64bit]: failed to assign" in tried.messages
    assert (tried.refused, broken(tried.machine)) == ((), ())
    assert tried.machine[PF].resource(7).size == 8 * MIB
    once = assign_resources(machine, realloc_auto=False)
    assert [str(refusal) for refusal in once.refused] == [f"{PF}: VF BAR 0 [mem size 0x00800000 64bit]: no space"]
    assert once.machine[VF].resources == ()


def test_vf_bars_are_what_would_be_good_to_have_only_in_the_last_try():
    """So the messages of the first one have no add_size (as recorded on 6.12), those of a kernel without it do (7.3)."""
    blank = without_addresses(physical(MIB))
    sizes = [any("add_size" in text for text in assign_resources(blank, auto).messages) for auto in (True, False)]
    assert sizes == [False, True]


def test_a_blank_firmware_leaves_virtual_functions_to_their_physical_one(recorded):
    """Nothing of theirs is placed by itself, and all of it is where the VF BAR is."""
    blank = without_addresses(recorded)
    assert blank[VF].resources == ()
    done = assign_resources(blank).machine
    assert done[VF].bars[0].start == done[PF].resource(7).start
    assert broken(done) == ()


@pytest.mark.parametrize(
    "line",
    [
        "[    1.1] pci 0000:01:00.0: VF BAR 0 [mem 0x00000000-0x0000ffff 64bit]: contains BAR 0 for 4 VFs",
        "[    1.1] pci 0000:01:00.0: VF(n) BAR0 space: [mem 0x00000000-0x0000ffff 64bit] (contains BAR0 for 4 VFs)",
    ],
)
def test_boot_messages_tell_how_many_virtual_functions_there_can_be(line):
    """As worded since 6.9 and before."""
    assert virtual_functions([line]) == {PF: 4}


def test_a_vf_bar_that_the_firmware_placed_is_kept():
    """Claimed like a BAR."""
    machine = physical(0x4000)
    placed = Resource(7, 0xFE82_0000, 0xFE83_FFFF, MEM64)
    kept = tuple(replace(d, resources=(d.resources[0], placed)) if d.bdf == PF else d for d in machine)
    done = assign_resources(replace(machine, devices=kept))
    assert done.machine[PF].resource(7) == placed
    assert not any("VF BAR" in text for text in done.messages)


def test_a_share_decides_the_alignment_of_a_vf_bar():
    """Not the whole, whose size need be no power of two."""
    machine = physical(0x4000, total=3)
    extra = replace(
        machine[PF], resources=(*machine[PF].resources[:1], bar(2, 0x1000, MEM64), machine[PF].resources[1])
    )
    done = assign_resources(replace(machine, devices=tuple(extra if d.bdf == PF else d for d in machine)))
    assert done.machine[PF].resource(7).start % 0x4000 == 0
    assert done.machine[PF].resource(7).size == 3 * 0x4000


# -- as lspci shows them ------------------------------------------------------------------------------------------------

SWITCHED_ON = """00:00.0 Host bridge [0600]: Intel Corporation X [8086:29c0]

00:01.0 PCI bridge [0604]: Intel Corporation Y [8086:1901]
	Bus: primary=00, secondary=01, subordinate=01, sec-latency=0
	Memory behind bridge: fe800000-fe8fffff [size=1M] [32-bit]
	Prefetchable memory behind bridge: 4000000000-400fffffff [size=256M] [64-bit]
	Capabilities: [40] Express (v2) Root Port (Slot+), MSI 00

01:00.0 Ethernet controller [0200]: Intel Corporation Z [8086:1572]
	Region 0: Memory at fe800000 (32-bit, non-prefetchable) [size=16K]
	Capabilities: [a0] Express (v2) Endpoint, MSI 00
	Capabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)
		IOVCap:	Migration- 10BitTagReq- IntMsgNum 0
		Initial VFs: 8, Total VFs: 8, Number of VFs: 2, Function Dependency Link: 00
		VF offset: 1, stride: 1, Device ID: 154c
		Region 0: Memory at 0000004000000000 (64-bit, prefetchable)
		Region 3: Memory at 0000004000080000 (64-bit, prefetchable)
		VF Migration: offset: 00000000, BIR: 0

"""
ENABLED = """01:00.1 Ethernet controller [0200]: Intel Corporation Virtual Function [8086:154c]
	Region 0: Memory at 4000000000 (64-bit, prefetchable) [virtual] [size=64K]
	Region 3: Memory at 4000080000 (64-bit, prefetchable) [virtual] [size=16K]

"""


def test_a_vf_bar_from_lspci_is_a_virtual_functions_bar_times_totalvfs():
    """Also for those that are not enabled; the apertures are what the physical function takes of its bridge's window."""
    machine = read_lspci(SWITCHED_ON + ENABLED)
    found = {r.name: str(r) for r in machine[PF].resources if r.iov}
    assert found == {
        "VF BAR 0": "[mem 0x4000000000-0x400007ffff 64bit pref]",
        "VF BAR 3": "[mem 0x4000080000-0x400009ffff 64bit pref]",
    }
    assert (machine[PF].vfs, machine[VF].physfn) == (8, PF)
    assert broken(machine) == ()


def test_a_resizable_vf_bar_shows_one_share():
    """No virtual function is enabled: the capability of the physical one has the size."""
    rebar = "\tCapabilities: [200 v1] Virtual Resizable BAR\n\t\tBAR 0: current size: 1MB, supported: 1MB 2MB\n\n"
    machine = read_lspci(SWITCHED_ON.rstrip("\n") + "\n" + rebar)
    sizes = {r.name: r.size for r in machine[PF].resources if r.iov}
    assert sizes == {"VF BAR 0": 8 * MIB, "VF BAR 3": 0}


def test_a_vf_bar_without_a_virtual_function_has_an_address_and_no_size():
    """Not known, and said; the text may have lost its indentation."""
    flat = "\n".join(line.lstrip("\t") for line in SWITCHED_ON.splitlines())
    for text in (SWITCHED_ON, flat + "\n"):
        machine = read_lspci(text)
        assert [(r.name, r.start, r.sized) for r in machine[PF].resources if r.iov] == [
            ("VF BAR 0", 0x40_0000_0000, False),
            ("VF BAR 3", 0x40_0008_0000, False),
        ]
        assert any(said.startswith(f"the size of the VF BARs of {PF}") for said in machine.lacks)
        assert machine.unread.count == 0


def test_vf_bars_from_lspci_are_those_that_the_kernel_shows(recorded):
    """The recorded machine's own lspci, to the last byte."""
    lines = json.loads((RECORDED / "q35_sriov.json").read_text())["lspci_vvv"]
    seen = read_lspci("\n".join(lines) + "\n\n")
    for bdf in (PF, "0000:04:00.0"):
        assert [(r.start, r.end) for r in seen[bdf].resources if r.iov] == [
            (r.start, r.end) for r in recorded[bdf].resources if r.iov
        ]
