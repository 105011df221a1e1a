"""A machine is a value: a tree of functions that can be asked who is where and who answers."""

import pytest

from p2plab.core.errors import BadInput
from p2plab.pci import Device, Machine, Resource, read_recording
from tests.pci.build import A_PORT, RECORDED, SWITCH, A, B, D, port, switches


def bdfs(devices) -> list[str]:
    return [device.bdf for device in devices]


def test_the_way_up_ends_on_the_root_bus():
    """From a function over every bridge to the root port, the function itself first."""
    assert bdfs(switches().path_up(A)) == [A, A_PORT, SWITCH, "0000:00:01.0"]


def test_two_functions_meet_at_the_lowest_bridge_above_both():
    """Below one switch that is its upstream port; below two root ports there is none."""
    machine = switches()
    assert machine.common_bridge(A, B) == machine[SWITCH]
    assert machine.common_bridge(A, A) == machine[A]
    assert machine.common_bridge(A, D) is None


def test_a_function_is_found_by_its_short_address_too():
    """As lspci prints it when there is one domain only."""
    assert switches()["03:00.0"].bdf == A


def test_an_unknown_function_is_refused_with_those_there_are():
    """The sentence names what was asked for and what could have been."""
    with pytest.raises(BadInput, match=r"switches has no function 0f:00\.0; it has 0000:00:00\.0, "):
        switches()["0f:00.0"]
    with pytest.raises(BadInput, match=r"'gpu' is not a PCI address; allowed: 0000:03:00\.0 or 03:00\.0"):
        switches()["gpu"]


def test_a_range_without_address_or_size_answers_nowhere():
    """Its numbers say how big it is, or where it starts, not what it decodes."""
    unset, unsized = Resource(0, 0, 0xFFF, 0x20040200), Resource(0, 0xD000_0000, 0xD000_0000, 0x40200, sized=False)
    assert not unset.holds(0)
    assert not unsized.holds(0xD000_0000)
    assert Resource(0, 0, 0xFFF, 0x40200).holds(0)


def test_equal_machines_are_equal_and_hash_alike():
    """Nothing in a machine can change, so it can be a key."""
    assert switches() == switches()
    assert {switches(): "seen"}[switches()] == "seen"


def test_an_address_is_followed_through_every_window_down_to_the_bar():
    """A recorded machine: the 256 MiB BAR below the switch, through three bridges."""
    found = read_recording(RECORDED / "q35_switch1.json").decode(0xD000_1000)
    assert [owner for owner, _ in found.windows] == ["pci0000:00", "0000:00:02.0", "0000:01:00.0", "0000:02:00.0"]
    assert (found.device.bdf, found.resource) == ("0000:03:00.0", Resource(2, 0xD0000000, 0xDFFFFFFF, 0x14220C))


def test_an_address_in_a_window_that_no_bar_decodes_reaches_nobody():
    """The window passes it down, and there it ends."""
    machine = read_recording(RECORDED / "q35_switch1.json")
    assert machine.decode(0xE900_0000).device.bdf == "0000:06:00.0"
    assert machine.decode(0xEA00_0000).device is None
    assert [owner for owner, _ in machine.decode(0xEA00_0000).windows] == ["pci0000:00", "0000:00:02.0", "0000:01:00.0"]


def test_a_port_number_is_not_an_address():
    """I/O and memory are two spaces."""
    machine = read_recording(RECORDED / "q35_switch1.json")
    assert machine.decode(0xC000, io=True).device.bdf == "0000:06:00.0"
    assert machine.decode(0xC000).device is None


@pytest.mark.parametrize(
    ("devices", "sentence"),
    [
        ((Device("0000:00:01.0"), Device("0000:00:01.0")), "0000:00:01.0 is listed twice"),
        ((Device("0000:01:00.0", parent="0000:00:01.0"),), "hangs from 0000:00:01.0, which is not listed"),
        ((port("0000:01:00.0", "bridge", 2, parent="0000:01:00.0"),), "is below itself"),
    ],
)
def test_what_is_no_tree_is_refused(devices, sentence):
    """A function twice, a parent that is missing, a bridge below itself."""
    with pytest.raises(BadInput, match=sentence):
        Machine("odd", devices)


def test_a_tree_deeper_than_bus_numbers_allow_is_refused():
    """A chain of bridges needs a bus each, and a bus number has eight bits."""
    chain = [Device("00000000:00:00.0")]
    chain += [Device(f"{n:08x}:00:00.0", parent=f"{n - 1:08x}:00:00.0") for n in range(1, 300)]
    with pytest.raises(BadInput, match="below more than 256 bridges"):
        Machine("deep", tuple(chain))


def test_a_resource_prints_as_the_kernel_prints_it():
    """The %pR of the kernel's messages."""
    shown = [
        Resource(13, 0xC000, 0xCFFF, 0x100),
        Resource(15, 0xD0000000, 0xEFFFFFFF, 0x102201),
        Resource(16, 0x100000000, 0x8FFFFFFFF, 0x200200),
        Resource(2, 0, 0x1FFFFFFFF, 0x2014220C),
    ]
    assert [str(resource) for resource in shown] == [
        "[io  0xc000-0xcfff]",
        "[mem 0xd0000000-0xefffffff 64bit pref]",
        "[mem 0x100000000-0x8ffffffff window]",
        "[mem size 0x200000000 64bit pref]",
    ]
