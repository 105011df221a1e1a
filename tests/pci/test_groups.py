"""IOMMU groups, held against those that kernels made, and the reason for each function."""

from dataclasses import replace

import pytest

from p2plab.pci import FunctionKind, HostBridge, Machine, read_recording, with_acs
from p2plab.pci.groups import REQUIRED, iommu_groups
from tests.pci.build import (
    A1,
    A_PORT,
    B_PORT,
    HIGH,
    LOW,
    PORTS,
    RECORDED,
    ROOT,
    SWITCH,
    A,
    B,
    E,
    function,
    host_function,
    port,
    switches,
)  # fmt: skip
from tests.pci.test_reach import unseen

GROUPED = [
    path for path in sorted(RECORDED.glob("*.json")) if any(d.iommu_group is not None for d in read_recording(path))
]


def groups(machine) -> dict[str, str | None]:
    return {member.bdf: member.group for member in iommu_groups(machine)}


@pytest.mark.parametrize("path", GROUPED, ids=lambda path: path.stem)
def test_groups_are_those_of_the_kernel_to_the_number(path):
    """Every machine that was recorded with an IOMMU."""
    machine = read_recording(path)
    assert {m.bdf: m.number for m in iommu_groups(machine)} == {d.bdf: d.iommu_group for d in machine}


def test_without_acs_all_below_a_root_port_is_one_group():
    """Requests could turn around at the switch, below the IOMMU's eyes."""
    found = groups(switches())
    assert {found[bdf] for bdf in (ROOT, SWITCH, A_PORT, B_PORT, A, A1, B)} == {ROOT}
    assert found[E] == "0000:00:03.0"
    why = {member.bdf: member.why for member in iommu_groups(switches())}
    assert why[A] == f"{A_PORT} has no ACS capability"


def test_with_acs_at_every_port_each_card_has_its_own():
    """Two functions of one card without ACS of their own stay together."""
    ports = [d.bdf for d in switches() if d.kind in (FunctionKind.ROOT_PORT, FunctionKind.DOWNSTREAM)]
    machine = with_acs(switches(), dict.fromkeys(ports, REQUIRED))
    found = groups(machine)
    assert (found[A], found[A1], found[B], found[E]) == (A, A, B, E)
    why = {member.bdf: member.why for member in iommu_groups(machine)}
    assert why[A1] == f"it shares its slot with {A}, and {A1} has no ACS capability"


def test_a_bit_that_is_off_is_named():
    """A port that does all but redirect completions keeps nothing apart."""
    machine = with_acs(switches(), {ROOT: REQUIRED, A_PORT: REQUIRED, B_PORT: REQUIRED & ~0x8})
    machine = replace(machine, devices=tuple(replace(d, acs=replace(d.acs, cap=0x5F)) if d.acs else d for d in machine))
    why = {member.bdf: member.why for member in iommu_groups(machine)}
    assert why[B] == f"{B_PORT} has CR off"


def test_what_is_not_shown_leaves_the_group_open():
    """What the kernel found before it keeps its number."""
    found = {member.bdf: member for member in iommu_groups(unseen(switches(), A_PORT, acs_shown=False))}
    assert (found[A].group, found[A].missing) == (None, (f"ACS of {A_PORT}: run lspci as root with -vvv",))
    assert (found[E].group, found[E].number) == ("0000:00:03.0", 3)


# -- quirks -------------------------------------------------------------------------------------------------------------


def two_ports(ids, **more):
    """A card below each of two root ports of that part; neither has an ACS capability."""
    vendor, device = ids
    below = ("0000:00:01.0", "0000:00:02.0")
    devices = (
        host_function(),
        *(
            replace(port(bdf, FunctionKind.ROOT_PORT, n), vendor=vendor, device=device, **more)
            for n, bdf in enumerate(below, 1)
        ),
        function("0000:01:00.0", below[0]),
        function("0000:01:00.1", below[0]),
        function("0000:02:00.0", below[1]),
    )
    return Machine("ports", devices, (HostBridge("pci0000:00", (LOW, HIGH, PORTS)),))


@pytest.mark.parametrize(
    ("ids", "quirk"),
    [
        ((0x177D, 0xA123), "pci_quirk_cavium_acs"),
        ((0x177D, 0xAF84), "pci_quirk_cavium_acs"),
        ((0x14E4, 0xD714), "pci_quirk_brcm_acs"),
        ((0x10E8, 0xE004), "pci_quirk_xgene_acs"),
        ((0x1DEF, 0xE00C), "pci_quirk_xgene_acs"),
        ((0x17CB, 0x0401), "pci_quirk_qcom_rp_acs"),
        ((0x1957, 0x8DA9), "pci_quirk_nxp_rp_acs"),
        ((0x0014, 0x7A39), "pci_quirk_loongson_acs"),
        ((0x1C36, 0x0031), "pci_quirk_al_acs"),
        ((0x1D17, 0x0723), "pci_quirk_zhaoxin_pcie_ports_acs"),
    ],
)
def test_a_port_is_vouched_for_without_a_capability(ids, quirk):
    """The card below it has a group of its own, and the reason names the quirk."""
    found = {member.bdf: member for member in iommu_groups(two_ports(ids))}
    assert found["0000:02:00.0"].group == "0000:02:00.0"
    assert found["0000:02:00.0"].why == f"every port above it keeps it apart (0000:00:02.0 by {quirk})"


@pytest.mark.parametrize("ids", [(0x177D, 0xA800), (0x14E4, 0x1601), (0x1D17, 0x0722), (0x8086, 0x9D1C)])
def test_another_part_of_the_same_vendor_is_not(ids):
    """It lacks the capability; or, of Zhaoxin's ports, the quirk itself says no."""
    found = groups(two_ports(ids))
    assert found["0000:02:00.0"] == "0000:00:02.0"


def test_functions_of_a_part_whose_vendor_vouches_are_apart():
    """Two functions of an I350, whose ports above have ACS; a part that nobody vouches for keeps them together."""
    machine = with_acs(two_ports((0x1B36, 0xC)), dict.fromkeys(["0000:00:01.0", "0000:00:02.0"], REQUIRED))
    assert groups(machine)["0000:01:00.1"] == "0000:01:00.0"
    i350 = tuple(replace(d, vendor=0x8086, device=0x1521) if d.bus == 1 else d for d in machine)
    assert groups(replace(machine, devices=i350))["0000:01:00.1"] == "0000:01:00.1"


@pytest.mark.parametrize(
    ("requested", "said", "group"),
    [
        (True, "Intel PCH root port ACS workaround enabled", "0000:02:00.0"),
        (True, "Failed to enable Intel PCH ACS quirk", "0000:00:02.0"),
        (True, "", None),
        (False, "", "0000:00:02.0"),
    ],
)
def test_a_port_of_an_intel_pch_keeps_apart_if_the_kernel_said_so(requested, said, group):
    """What the workaround did at boot is in its messages alone."""
    machine = replace(two_ports((0x8086, 0x8C10)), acs_requested=requested)
    boot = tuple(f"[    0.5] pci {bdf}: {said}" for bdf in ("0000:00:01.0", "0000:00:02.0")) if said else ()
    found = {member.bdf: member for member in iommu_groups(replace(machine, boot=boot))}["0000:02:00.0"]
    assert found.group == group
    assert group or "ACS workaround enabled" in found.missing[0]


def test_registers_in_an_order_of_their_own_decide_nothing():
    """A Sunrise Point port shows ACS; where lspci reads it there is something else."""
    machine = with_acs(two_ports((0x8086, 0xA110)), dict.fromkeys(["0000:00:01.0", "0000:00:02.0"], REQUIRED))
    found = {member.bdf: member for member in iommu_groups(machine)}["0000:02:00.0"]
    assert (found.group, "laid out in this chipset's own way" in found.missing[0]) == (None, True)


def test_functions_of_an_old_southbridge_are_apart_on_a_root_bus():
    """Of AMD, with an AMD IOMMU: no peer-to-peer between them. Conventional functions otherwise share a group."""
    slot = [
        replace(host_function(ids), bdf=f"0000:00:14.{n}", class_code=code)
        for n, (ids, code) in enumerate(
            [((0x1002, 0x4385), 0x0C0500), ((0x1002, 0x439C), 0x01018A), ((0x1002, 0x1234), 0)]
        )
    ]
    machine = Machine("southbridge", (host_function((0x1022, 0x1410)), *slot), (HostBridge("pci0000:00", (LOW,)),))
    assert groups(machine) == {d.bdf: d.bdf for d in machine}
    fourth = replace(slot[2], bdf="0000:00:14.3")
    found = groups(replace(machine, devices=(*machine.devices, fourth)))
    assert (found["0000:00:14.1"], found["0000:00:14.3"]) == ("0000:00:14.1", "0000:00:14.2")


def test_a_port_without_ids_may_be_a_part_with_a_quirk():
    """By its name, if it has one: then not all is lost."""
    machine = with_acs(two_ports((None, None)), dict.fromkeys(["0000:00:01.0", "0000:00:02.0"], REQUIRED))
    found = {member.bdf: member for member in iommu_groups(machine)}["0000:02:00.0"]
    assert found.missing == ("the ids of 0000:00:02.0, by which the kernel knows parts with quirks: -nn",)
    named = tuple(replace(d, name="Red Hat, Inc. QEMU PCIe Root port") if d.is_bridge else d for d in machine)
    assert groups(replace(machine, devices=named))["0000:02:00.0"] == "0000:02:00.0"
