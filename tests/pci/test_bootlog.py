"""What the kernel's boot messages say of addresses."""

import pytest

from p2plab.pci import HostBridge, Machine, Resource
from p2plab.pci.bootlog import before_assignment, given_up, kernel_messages, old_style, root_windows
from tests.pci.build import function, port

NEW = """\
[    0.900000] pci_bus 0000:40: root bus resource [mem 0xec000000-0xf3ffffff window]
[    0.910000] pci_bus 0000:00: root bus resource [io  0x0d00-0xffff window]
[    0.920000] pci_bus 0000:00: root bus resource [mem 0x100000000-0x8ffffffff window]
[    1.000000] pci 0000:00:02.0: PCI bridge to [bus 01]
[    1.000001] pci 0000:00:02.0:   bridge window [mem 0xd0000000-0xefffffff 64bit pref]
[    1.000002] pci 0000:01:00.0: BAR 0 [mem 0x00000000-0x000fffff]
[    1.000003] pci 0000:01:00.0: BAR 4 [io  0xc000-0xc0ff]
[    1.000004] pci 0000:01:00.0: ROM [mem 0xfeb20000-0xfeb27fff pref]
[    1.100000] pci 0000:01:00.0: BAR 0 [mem size 0x00100000]: can't assign; no space
[    1.100001] pci 0000:01:00.0: BAR 0 [mem size 0x00100000]: failed to assign
[    1.100002] pci 0000:00:02.0:   bridge window [io  0x1000-0x1fff]
""".splitlines()
OLD = """\
[    1.000002] pci 0000:01:00.0: reg 0x10: [mem 0xfe600000-0xfe6fffff]
[    1.000003] pci 0000:01:00.0: reg 0x18: [mem 0xd0000000-0xdfffffff 64bit pref]
[    1.000004] pci 0000:01:00.0: reg 0x30: [mem 0xfeb20000-0xfeb27fff pref]
[    1.100000] pci 0000:00:02.0: BAR 13: assigned [io  0x1000-0x1fff]
""".splitlines()


def a_machine() -> Machine:
    devices = (port("0000:00:02.0", "root port", 1), function("0000:01:00.0", "0000:00:02.0"))
    return Machine("booting", devices, (HostBridge("pci0000:00"), HostBridge("pci0000:40")))


def test_host_bridges_come_in_the_order_of_discovery():
    """With the ranges routed to each."""
    windows = root_windows(NEW)
    assert list(windows) == ["0000:40", "0000:00"]
    assert [str(w) for w in windows["0000:00"]] == [
        "[io  0x0d00-0xffff window]",
        "[mem 0x100000000-0x8ffffffff window]",
    ]
    assert [bridge.name for bridge in before_assignment(a_machine(), NEW).host_bridges] == ["pci0000:40", "pci0000:00"]


def test_what_the_firmware_left_ends_where_the_kernel_begins():
    """Addresses up to the first thing the kernel did; a BAR at zero has a size only."""
    found = before_assignment(a_machine(), NEW)
    assert found["01:00.0"].resources == (
        Resource(0, 0, 0xFFFFF, 0x20040200),
        Resource(4, 0xC000, 0xC0FF, 0x40101),
        Resource(6, 0xFEB20000, 0xFEB27FFF, 0x46200),
    )
    assert found["00:02.0"].resources == (Resource(15, 0xD0000000, 0xEFFFFFFF, 0x102201),)


def test_older_kernels_name_registers():
    """reg 0x18 is BAR 2, reg 0x30 the ROM; what they did is worded otherwise too."""
    assert before_assignment(a_machine(), OLD)["01:00.0"].resources == (
        Resource(0, 0xFE600000, 0xFE6FFFFF, 0x40200),
        Resource(2, 0xD0000000, 0xDFFFFFFF, 0x14220C),
        Resource(6, 0xFEB20000, 0xFEB27FFF, 0x46200),
    )
    assert (old_style(OLD), old_style(NEW)) == (True, False)


def test_what_the_kernel_did_is_told_without_time_and_driver():
    """One message a line."""
    assert kernel_messages(NEW) == [
        "0000:01:00.0: BAR 0 [mem size 0x00100000]: can't assign; no space",
        "0000:01:00.0: BAR 0 [mem size 0x00100000]: failed to assign",
    ]
    assert kernel_messages(["pcieport 0000:00:02.0: bridge window [io  0x1000-0x1fff]: assigned"]) == [
        "0000:00:02.0: bridge window [io  0x1000-0x1fff]: assigned"
    ]


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("BAR 0 [mem size 0x00100000]", Resource(0, 0, 0xFFFFF, 0x20040200)),
        ("BAR 2 [mem 0x1000000000-0x11ffffffff 64bit pref]", Resource(2, 0, 0x1FFFFFFFF, 0x2014220C)),
        ("BAR 4 [io  size 0x0100]", Resource(4, 0, 0xFF, 0x20040101)),
    ],
)
def test_a_bar_that_was_given_up_has_a_size(what, found):
    """Whether the message shows its size or the firmware's address."""
    assert given_up([f"[ 1.0] pci 0000:01:00.0: {what}: failed to assign"]) == {"0000:01:00.0": (found,)}


def test_lines_longer_than_the_kernel_writes_are_passed_over():
    """A record of printk has at most 1024 bytes."""
    assert kernel_messages([f"pci 0000:01:00.0: {'x' * 2000}: assigned"]) == []
