"""IOMMU groups, held against those that kernels made, and the reason for each function."""

from dataclasses import replace

import pytest

from p2plab.pci import Kind, read_recording, with_acs
from p2plab.pci.groups import REQUIRED, iommu_groups
from tests.pci.build import A1, A_PORT, B_PORT, RECORDED, ROOT, SWITCH, A, B, E, switches
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
    ports = [d.bdf for d in switches() if d.kind in (Kind.ROOT_PORT, Kind.DOWNSTREAM)]
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
