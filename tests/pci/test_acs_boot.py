"""Boot options decide which ports redirect."""

from dataclasses import replace

import pytest

from p2plab.core.errors import BadInput
from p2plab.pci import LINUX_6_1, LINUX_6_12, Acs, reach_verdict, read_recording, with_boot_options
from p2plab.pci.acs_boot import UnreadOption, acs_at_boot
from tests.pci.build import A_PORT, RECORDED, A, B, switches


def a_port(cap=0x5F):
    return replace(switches()[A_PORT], acs=Acs(cap, 0), subsystem=(0x1AF4, 0x1100))


@pytest.mark.parametrize(
    ("cmdline", "iommu", "ctrl"),
    [
        ("quiet", False, 0x00),
        ("quiet", True, 0x1D),
        ("pci=noats", True, 0x1F),
        ("pci=noats", False, 0x00),
        ("pci=disable_acs_redir=0000:02:00.0", True, 0x00),
        ("pci=nomsi,disable_acs_redir=02:01.0;02:00.0", True, 0x00),
        ("pci=disable_acs_redir=0000:02:01.0", True, 0x1D),
        ("pci=config_acs=11101@0000:02:00.0", False, 0x1D),
        ("pci=config_acs=1xx@02:01.0;10x@02:00.0", True, 0x04),
        ("pci=config_acs=x@02:00.0", True, 0x00),
        ("pci=disable_acs_redir=pci:1b36:000c", True, 0x00),
        ("pci=disable_acs_redir=pci:1b36:0:1af4:1100", True, 0x00),
        ("pci=disable_acs_redir=pci:1b36:000d", True, 0x1D),
    ],
)
def test_what_a_port_holds_after_boot(cmdline, iommu, ctrl):
    """The IOMMU asks for isolation; an option for the port starts from the firmware's value again."""
    assert acs_at_boot(a_port(), cmdline, iommu) == ctrl


def test_until_6_11_an_option_kept_what_the_iommu_had_set():
    """Only the redirects go, and pci=config_acs is not known."""
    option = "pci=disable_acs_redir=0000:02:00.0"
    assert [acs_at_boot(a_port(), option, True, kernel=kernel) for kernel in (LINUX_6_1, LINUX_6_12)] == [0x11, 0x00]
    with pytest.raises(UnreadOption, match=r"Linux 6\.1 does not know it; it came with 6\.11"):
        acs_at_boot(a_port(), "pci=config_acs=1@02:00.0", True, kernel=LINUX_6_1)


def test_a_port_switches_on_only_what_it_has():
    """Capability bits bound the control bits."""
    assert acs_at_boot(a_port(cap=0x05), "", True) == 0x05
    assert acs_at_boot(a_port(cap=0x05), "pci=config_acs=1111111@02:00.0", True) == 0x05
    assert acs_at_boot(replace(a_port(), acs=None), "", True) == 0


@pytest.mark.parametrize("option", ["config_acs=11", "config_acs=12@02:00.0", "disable_acs_redir=00:01.0/00.0"])
def test_forms_that_are_not_read_are_named(option):
    """Nothing is guessed."""
    with pytest.raises(UnreadOption, match="allowed"):
        acs_at_boot(a_port(), f"pci={option}", False)
    with pytest.raises(BadInput, match="is not a PCI address"):
        acs_at_boot(a_port(), "pci=disable_acs_redir=gpu", False)


def test_an_iommu_takes_the_direct_way_from_two_functions_below_a_root_port():
    """As recorded: BUS_ADDR without, NOT_SUPPORTED with intel_iommu=on, and back with the redirect disabled."""
    machine = read_recording(RECORDED / "q35_multifn.json")
    pair = "01:00.0", "01:00.1"
    assert str(reach_verdict(machine, *pair).map_type) == "BUS_ADDR"
    booted = with_boot_options(machine, "intel_iommu=on")
    assert (str(reach_verdict(booted, *pair).map_type), booted.iommu) == ("NOT_SUPPORTED", True)
    back = with_boot_options(machine, "intel_iommu=on pci=disable_acs_redir=0000:00:02.0")
    assert str(reach_verdict(back, *pair).map_type) == "BUS_ADDR"
    assert with_boot_options(machine, "intel_iommu=on iommu=pt").iommu is False
    assert reach_verdict(with_boot_options(switches(), "intel_iommu=on"), A, B).distance == 4
