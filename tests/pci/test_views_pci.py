"""A machine as text and as boxes to draw."""

from dataclasses import replace
from pathlib import Path

import pytest

from p2plab.core.errors import BadInput
from p2plab.pci import (
    RFC2019,
    FunctionKind,
    HostBridge,
    Machine,
    address_map,
    assign_resources,
    reach_matrix,
    read_lspci,
    read_recording,
    with_acs,
)
from p2plab.views.pci_map import map_view, zoom
from p2plab.views.pci_text import WIDTH, machine_text, matrix_text, reach_text, tree_text
from p2plab.views.pci_tree import tree_rows
from tests.pci.build import A_PORT, B_PORT, HIGH, LOW, RECORDED, SWITCH, A, B, D, bar, function, port, switches

GOLDEN = Path(__file__).parent / "golden"
PAIR = with_acs(read_recording(RECORDED / "q35_switch1.json"), {A_PORT: 0x1C})


def recorded(name: str) -> Machine:
    return read_recording(RECORDED / f"{name}.json")


def matrices(machine: Machine) -> list[str]:
    return matrix_text(reach_matrix(machine, kernel=RFC2019), reach_matrix(machine))


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("machine_pxb", machine_text(recorded("q35_pxb"))),
        ("machine_phys36", machine_text(recorded("q35_bigbars_phys36"))),
        ("reach_redirected", reach_text(PAIR, A, B)),
        ("reach_two_host_bridges", reach_text(recorded("q35_pxb"), "43:00.0", "21:00.0", 32)),
        ("matrix_multifn", matrices(recorded("q35_iommu_multifn"))),
    ],
)
def test_texts_are_as_reviewed(name, lines):
    """The whole output, word for word; at most 100 columns wide."""
    assert max(map(len, lines)) <= WIDTH
    assert "\n".join(lines) + "\n" == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.json")), ids=lambda path: path.stem)
def test_no_line_is_wider_than_a_mail(path):
    """Machine, matrix and every pair of endpoints."""
    machine = read_recording(path)
    lines = machine_text(machine) + matrices(machine)
    first = machine.endpoints[0].bdf
    for device in machine.endpoints:
        lines += reach_text(machine, first, device.bdf)
    assert max(map(len, lines)) <= WIDTH


def test_the_tree_marks_the_way_between_two_functions():
    """Provider, client, where they meet, what lies between; the rest is aside."""
    rows = tree_rows(switches(), A, B)
    assert {row.bdf: row.role for row in rows if row.role} == {
        A: "provider",
        B: "client",
        SWITCH: "common",
        A_PORT: "between",
        B_PORT: "between",
    }
    assert {row.bdf for row in rows if row.looked_at} == {A, B, SWITCH, A_PORT, B_PORT}


def test_without_a_common_bridge_no_acs_register_is_looked_at():
    """The way leads over the root ports of both sides."""
    rows = {row.bdf: row for row in tree_rows(switches(), A, D)}
    assert [row.bdf for row in rows.values() if row.role == "between"] == [
        "0000:00:01.0",
        SWITCH,
        A_PORT,
        "0000:00:02.0",
    ]
    assert not any(row.looked_at for row in rows.values())


def test_a_function_with_itself_is_both():
    """One mark for the two."""
    assert [line[0] for line in tree_text(switches(), A, A) if line[0] != " "] == ["B"]


def test_the_map_nests_windows_down_to_bars():
    """As /proc/iomem does."""
    spans = address_map(recorded("q35_switch2"))
    shown = [(depth, span.label) for top in spans for depth, span in top.walk() if span.start == 0xE800_0000]
    assert shown == [(1, "PCI Bus 0000:01"), (2, "PCI Bus 0000:02"), (3, "PCI Bus 0000:03"), (4, "0000:03:00.0")]


def far_apart() -> Machine:
    """4 KiB beside 32 GiB, below one port."""
    gpu = function("0000:01:00.0", "0000:00:02.0", bar(0, 4096), bar(2, 32 << 30))
    room = HostBridge("pci0000:00", (LOW, replace(HIGH, end=0x3F_FFFF_FFFF)))
    return assign_resources(
        Machine("far apart", (port("0000:00:02.0", FunctionKind.ROOT_PORT, 1), gpu), (room,))
    ).machine


def test_small_and_big_are_both_wide_enough_to_read():
    """On the map a 4 KiB BAR is not a ten-millionth of a 32 GiB one."""
    boxes = {box.name: box for box in map_view(far_apart()).boxes}
    small, big = boxes["BAR 0"], boxes["BAR 2"]
    assert small.size == "4 KiB"
    assert big.size == "32 GiB"
    assert 1 <= small.right - small.left < big.right - big.left < 20 * (small.right - small.left)


def test_boxes_stand_apart_or_inside_each_other_as_the_ranges_do():
    """Whatever the scale, order and nesting are true."""
    view = map_view(recorded("q35_pxb"))
    for box in view.boxes:
        for other in view.boxes:
            inside = int(box.start, 16) <= int(other.start, 16) and int(other.end, 16) <= int(box.end, 16)
            assert inside == (box.left <= other.left and other.right <= box.right)


def test_labels_are_exact_beyond_what_a_double_holds():
    """The axis carries hex text, never a float address."""
    machine = far_apart()
    view = map_view(machine, *zoom(machine, "01:00.0"))
    assert [text for _, text in view.ticks] == ["0x400000000", "0x400001000", "0x800000000", "0x1000000000"]
    edges = [position for position, _ in view.ticks]
    assert edges == sorted(edges)


def test_zooming_shows_what_lies_in_the_range_only():
    """The window of one port, cut at its edges."""
    machine = recorded("q35_switch1")
    low, high = zoom(machine, "02:00.0")
    assert {box.owner for box in map_view(machine, 0xD000_0000, 0xDFFF_FFFF).boxes} == {
        "pci0000:00",
        "0000:00:02.0",
        "0000:01:00.0",
        "0000:02:00.0",
        "0000:03:00.0",
    }
    assert (low, high) == (0xD000_0000, 0xFE7F_FFFF)
    with pytest.raises(BadInput, match="allowed: 0 <= low <= high"):
        map_view(machine, 5, 4)
    with pytest.raises(BadInput, match=r"0000:00:1f\.0 has nothing in I/O ports"):
        zoom(machine, "00:1f.0", io=True)


def test_what_a_source_does_not_show_is_said_in_the_text():
    """Unsized and unplaced BARs have their own paragraphs."""
    text = "\n".join(
        machine_text(read_lspci("01:00.0 RAM: x\n\tRegion 0: Memory at <unassigned> (32-bit) [size=1M]\n"))
    )
    assert "not shown by the source: the CPU; the address ranges of the host bridges" in text
    assert text.endswith("without an address\n  0000:01:00.0 BAR 0, 1 MiB")
    text = "\n".join(machine_text(read_lspci("01:00.0 RAM: x\n\tRegion 0: Memory at fe000000 (32-bit)\n")))
    assert text.endswith("size not shown\n  0000:01:00.0 BAR 0 at 0xfe000000")


def test_resizable_bars_are_listed_with_their_sizes():
    """What the capability offers, in bytes for people."""
    text = "03:00.0 VGA: x\n\tControl: Mem+\n\tCapabilities: [200 v1] Physical Resizable BAR\n"
    text += "\t\tBAR 0: current size: 16GB, supported: 256MB 8GB 16GB\n"
    assert machine_text(read_lspci(text))[-1] == "  0000:03:00.0 BAR 0: now 16 GiB; offered 256 MiB, 8 GiB, 16 GiB"


def test_a_big_matrix_is_summed_up():
    """Above 64 functions only the counts are printed."""
    many = Machine(
        "many", tuple(function(f"0000:00:{n >> 3:02x}.{n & 7}") for n in range(80)), switches().host_bridges, "intel"
    )
    assert matrices(many) == [
        "rfc2019: 80 functions, 6400 pairs: no common bridge 6320, reachable 80",
        "7.3: 80 functions, 6400 pairs: BUS_ADDR 80, NOT_SUPPORTED 6320",
    ]
