"""A machine changed: cards in other slots, registers, BARs; before and after."""

import json

import pytest

from p2plab.core.errors import BadInput
from p2plab.pci import MapType, read_machine, with_cpu
from p2plab.pci.whatif import moved, what_if, with_acs_words, with_iommu, with_rebar
from p2plab.views.pci_text import WIDTH
from p2plab.views.whatif_text import changed_pairs, what_if_headline, what_if_text
from tests.pci.build import A1, A_PORT, A, B, C, D, switches
from tests.pci.test_cli_pci import run


def test_a_card_in_a_slot_below_the_same_switch_is_reached_there():
    """What two root ports could not do a switch does; all functions of the card go along, the other card takes its place."""
    before = switches()
    after, places = moved(before, D, "04:00.0")
    assert places == {D: B, B: D}
    found = what_if(before, after, places)
    changes = {(a, b): (was.map_type, now.map_type) for a, b, was, now in changed_pairs(found)}
    assert changes[A, D] == (MapType.NOT_SUPPORTED, MapType.BUS_ADDR)
    assert changes[A, B] == (MapType.BUS_ADDR, MapType.NOT_SUPPORTED)
    assert "  0000:09:00.0 is at 0000:04:00.0 now" in what_if_text(found)
    was, now = next((was, now) for a, b, was, now in changed_pairs(found) if (a, b) == (A, D))
    mine = f"Since the change: this pair NOT_SUPPORTED {was.distance} -> BUS_ADDR {now.distance}; "
    assert what_if_headline(found, A, B).startswith(mine)  # it is where the other card was
    assert f"; {len(changes)} of {len(found.before.reach.bdfs) ** 2} pairs changed; " in what_if_headline(found, A, B)
    assert "this pair as before; 0 of" in what_if_headline(what_if(before, before, {}), A, B)


def test_a_card_with_buses_below_it_takes_them_along():
    """A switch on a card, with what hangs from it."""
    after, places = moved(switches(), "05:00.0", "09:00.0")
    assert [d.bdf for d in after.path_up(C)] == [C, "0000:06:00.0", "0000:09:00.0", "0000:00:02.0"]
    assert places["0000:05:00.0"] == "0000:09:00.0"


def test_there_and_back_is_the_same_machine():
    """Functions, parents and host bridges."""
    there, _ = moved(switches(), A, "0a:00.0")
    back, _ = moved(there, "0a:00.0", A)
    assert {d.bdf: d.parent for d in back} == {d.bdf: d.parent for d in switches()}
    assert A1 in back


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        ("00:04.0", "09:00.0", "0000:00:04.0 is on a root bus|00:04.0 is on a root bus and not a card"),
        (A, "7f:00.0", "no port leads to bus 7f; there are 01, 02"),
        ("01:00.0", "03:00.0", "03:00.0 is below 01:00.0"),
        (A, A, "is in slot .* already"),
        ("1e:00.0", "03:00.0", "has no function 1e:00.0"),
    ],
)
def test_impossible_moves_are_refused_in_a_sentence(source, target, sentence):
    """With what there is."""
    with pytest.raises(BadInput, match=sentence):
        moved(switches(), source, target)


def test_acs_is_switched_by_words():
    """Off, on as with an IOMMU, or the register's value."""
    on = with_acs_words(with_acs_words(switches(), A_PORT, "1c"), A_PORT, "on")
    assert (on[A_PORT].acs.ctrl, with_acs_words(on, A_PORT, "off")[A_PORT].acs.ctrl) == (0x1C, 0)
    with pytest.raises(BadInput, match="allowed: off, on, or hex"):
        with_acs_words(switches(), A_PORT, "maybe")
    with pytest.raises(BadInput, match="has no ACS capability"):
        with_acs_words(switches(), A_PORT, "on")


def test_passthrough_asks_for_acs_and_translates_nothing():
    """Redirects are on as with an IOMMU that translates."""
    machine = read_machine("q35_rootports")
    for word, translates in (("on", True), ("pt", False)):
        after = with_iommu(machine, word)
        assert (after.iommu, after["00:02.0"].acs.ctrl) == (translates, 0x1D)
    with pytest.raises(BadInput, match="allowed: on, pt, off"):
        with_iommu(machine, "perhaps")


def test_a_bar_is_resized_to_what_it_offers_only():
    """The sentence lists the sizes."""
    with pytest.raises(BadInput, match="is not offered with 0x3 bytes; offered: 64 MiB"):
        with_rebar(_gpu(), "01:00.0", 1, 3)
    assert with_rebar(_gpu(), "01:00.0", 1, 1 << 30)["01:00.0"].resource(1).size == 1 << 30


def _gpu():
    from p2plab.pci import read_lspci

    return read_lspci(
        "00:01.0 PCI bridge: Port\n\tBus: primary=00, secondary=01, subordinate=01, sec-latency=0\n"
        "\tPrefetchable memory behind bridge: 4000000000-400fffffff [size=256M] [64-bit]\n"
        "\tCapabilities: [a0] Express (v2) Root Port (Slot+), MSI 00\n\tCapabilities: [100 v1] Null\n\n"
        "01:00.0 VGA compatible controller: GPU\n"
        "\tRegion 1: Memory at 4000000000 (64-bit, prefetchable) [size=256M]\n"
        "\tCapabilities: [78] Express (v2) Endpoint, MSI 00\n\tCapabilities: [bb0 v1] Physical Resizable BAR\n"
        "\t\tBAR 1: current size: 256MB, supported: 64MB 128MB 256MB 512MB 1GB\n\n"
    )


def test_the_command_says_what_changes(capsys):
    """Pairs, groups and windows; exit status 3 where something stays open."""
    status, out, _ = run(capsys, "whatif", "q35_switch1", "--acs", "02:00.0=1c", "--move", "07:00.0", "05:00.0")
    assert status == 0
    assert "reachability: " in out
    assert "  memory of 0000:03:00.0 for 0000:04:00.0: BUS_ADDR 4 -> NOT_SUPPORTED -1" in out
    assert max(map(len, out.splitlines())) <= WIDTH
    found = json.loads(run(capsys, "whatif", "q35_switch1", "--iommu", "on", "--json")[1])
    assert found["after"]["groups"][0] == {
        "bdf": "0000:00:00.0", "group": "0000:00:00.0", "number": 0, "why": "on a root bus", "missing": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--acs", "02:00.0"), "--acs '02:00.0'; allowed: BDF=off, BDF=on or BDF=HEX"),
        (("--rebar", "03:00.0=1G"), "--rebar '03:00.0=1G'; allowed: BDF:BAR=SIZE"),
        (("--host-window", "00=5-4"), "--host-window '00=5-4'; allowed: BUS=0xFIRST-0xLAST"),
        (("--rebar", "03:00.0:2=1G"), "-ENOTSUPP: 0000:03:00.0 has no Resizable BAR capability"),
    ],
)
def test_bad_words_are_refused(words, sentence, capsys):
    """What is allowed."""
    status, out, err = run(capsys, "whatif", "q35_switch1", *words)
    assert (status, out) == (2, "")
    assert err.startswith(f"p2plab: {sentence}")


def test_a_change_changes_nothing_else():
    """A machine is a value."""
    machine = with_cpu(switches(), "zen")
    moved(machine, A, "0a:00.0")
    assert machine == with_cpu(switches(), "zen")
