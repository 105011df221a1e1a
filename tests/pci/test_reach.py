"""Who can reach whom: the table of 2019 beside today's, and every reason on the way."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2plab import mm
from p2plab.core.errors import BadInput, NotKnown
from p2plab.core.kernels import NAMES
from p2plab.pci import (
    KERNELS,
    RFC2019,
    TODAY,
    FunctionKind,
    HostBridge,
    Machine,
    MapType,
    distance_many,
    kernel_named,
    nearest,
    pci_test_p2p,
    reach_matrix,
    reach_verdict,
    with_acs,
    with_cpu,
    with_ids,
)
from p2plab.pci.directions import directions
from tests.pci.build import A1, A_PORT, B_PORT, ROOT, SWITCH, A, B, C, D, E, F, function, host_function, port, switches

NOT, BUS, THRU = "NOT_SUPPORTED", "BUS_ADDR", "THRU_HOST_BRIDGE"
RR, SV = 0x04, 0x01


def today(machine, a, b):
    verdict = reach_verdict(machine, a, b)
    return str(verdict.map_type), verdict.distance


@pytest.mark.parametrize(
    ("a", "b", "old", "new", "trusted"),
    [
        (A, A, 0, (BUS, 0), (BUS, 0)),
        (A, A1, 2, (BUS, 2), (BUS, 2)),
        (A, B, 4, (BUS, 4), (BUS, 4)),
        (A, C, 6, (BUS, 6), (BUS, 6)),
        (D, E, -1, (NOT, -1), (THRU, 4)),
        (A, D, -1, (NOT, -1), (THRU, 6)),
        (F, A, -1, (NOT, -1), (THRU, 5)),
    ],
)
def test_the_table_of_distances(a, b, old, new, trusted):
    """One switch 4, nested 6, two root ports 4 through the host bridge if CPU or list allow; the same both ways."""
    for x, y in ((a, b), (b, a)):
        assert reach_verdict(switches(), x, y, RFC2019).distance == old
        assert today(switches(), x, y) == new
        assert today(switches(cpu="zen"), x, y) == trusted
        assert today(switches(ids=(0x8086, 0x2030)), x, y) == trusted


@pytest.mark.parametrize("where", [A_PORT, B_PORT, SWITCH])
def test_a_redirect_on_the_way_changes_the_route_never_the_distance(where):
    """On either downstream port or on the port where they meet; 2019 says -2, today the host bridge must carry it."""
    for x, y in ((A, B), (B, A)):
        assert reach_verdict(with_acs(switches(), {where: RR}), x, y, RFC2019).distance == -2
        assert today(with_acs(switches(), {where: RR}), x, y) == (NOT, -1)
        assert reach_verdict(with_acs(switches(), {where: RR}), x, y).steps == 4
        assert today(with_acs(switches(cpu="zen"), {where: RR}), x, y) == (THRU, 4)


def test_a_redirect_above_where_they_meet_does_not_matter():
    """The root port above the switch is never asked."""
    machine = with_acs(switches(), {ROOT: RR})
    assert (reach_verdict(machine, A, B, RFC2019).distance, today(machine, A, B)) == (4, (BUS, 4))


def test_acs_bits_other_than_the_redirects_do_not_matter():
    """Source validation, translation blocking, upstream forwarding and direct translated leave the route alone."""
    for ctrl in range(0x80):
        machine = with_acs(switches(), {A_PORT: ctrl})
        assert today(machine, A, B) == ((NOT, -1) if ctrl & 0x2C else (BUS, 4)), hex(ctrl)


def test_a_function_reaches_itself_whatever_the_ports_do():
    """The walk stops before it meets any port."""
    assert today(with_acs(switches(), {A_PORT: RR}), A, A) == (BUS, 0)


def test_the_kernel_names_the_ports_on_the_providers_side_first():
    """And says how to switch the redirect off."""
    machine = with_acs(switches(cpu="zen"), {A_PORT: RR, B_PORT: RR})
    assert reach_verdict(machine, B, A).messages == (
        f"{A}: ACS redirect is set between the client and provider ({B})",
        f"{A}: to disable ACS redirect for this path, add the kernel parameter: "
        f"pci=disable_acs_redir={B_PORT};{A_PORT}",
    )


def test_a_host_bridge_is_named_only_if_acs_sent_the_request_up():
    """Without a common bridge the kernel keeps its id to itself."""
    redirected = reach_verdict(with_acs(switches(), {A_PORT: RR}), A, B)
    assert "0000:00:00.0: Host bridge not in P2PDMA whitelist: 8086:29c0" in redirected.messages
    assert [text for text in reach_verdict(switches(), A, D).messages if "whitelist:" in text] == []


def test_the_list_of_ports_is_cut_where_the_kernels_buffer_ends():
    """128 bytes hold nine names and a bit (inferred from seq_buf; no recording is that deep)."""
    devices = [host_function(), port("0000:00:01.0", FunctionKind.ROOT_PORT, 1, 30)]
    for bus in range(1, 15):
        devices.append(port(f"0000:{bus:02x}:00.0", FunctionKind.DOWNSTREAM, bus + 1, 30, devices[-1].bdf))
    devices += [function("0000:0f:00.0", devices[-1].bdf), function("0000:01:01.0", "0000:00:01.0")]
    machine = Machine("deep", tuple(devices), (HostBridge("pci0000:00"),), "intel")
    machine = with_acs(machine, {f"0000:{bus:02x}:00.0": RR for bus in range(1, 15)})
    ports = reach_verdict(machine, "0000:0f:00.0", "0000:01:01.0").messages[1].split("=")[2]
    assert (len(ports), ports.count(";")) == (127, 9)


def two_host_bridges(first=(0x8086, 0x2030), second=(0x8086, 0x2030)) -> Machine:
    return Machine(
        "two",
        (
            host_function(first),
            function("0000:00:01.0"),
            host_function(second, "pci0000:20"),
            function("0000:20:01.0", host="pci0000:20"),
            function("0000:20:02.0", host="pci0000:20"),
        ),
        (HostBridge("pci0000:00"), HostBridge("pci0000:20")),
        cpu="intel",
    )


def test_between_two_host_bridges_both_must_be_listed():
    """And entries meant for one host bridge only do not count."""
    assert today(two_host_bridges(), "00:01.0", "20:01.0") == (THRU, 2)
    assert today(two_host_bridges(second=(0x8086, 0x29C0)), "00:01.0", "20:01.0") == (NOT, -1)
    one_only = two_host_bridges((0x8086, 0x3C00), (0x8086, 0x3C00))
    assert today(one_only, "00:01.0", "20:01.0") == (NOT, -1)
    assert today(one_only, "20:02.0", "20:01.0") == (THRU, 2)


def test_a_host_bridge_is_known_by_its_first_function_if_that_is_00_0_or_a_root_port():
    """Any other first function stands for nothing, whatever its ids."""
    listed = {"vendor": 0x8086, "device": 0x2030}
    plain = Machine("plain", (function("0000:00:01.0"), function("0000:00:02.0")), (HostBridge("pci0000:00"),), "intel")
    assert today(with_ids(plain, {"00:01.0": (0x8086, 0x2030)}), "00:01.0", "00:02.0") == (NOT, -1)
    root = port("0000:00:01.0", FunctionKind.ROOT_PORT, 1)
    machine = Machine(
        "root port", (root, function("0000:00:02.0"), function("0000:00:03.0")), plain.host_bridges, "intel"
    )
    machine = with_ids(machine, {"00:01.0": (listed["vendor"], listed["device"])})
    assert today(machine, "00:02.0", "00:03.0") == (THRU, 2)


def test_distances_of_several_clients_add_up():
    """And one that cannot be reached spoils all."""
    assert distance_many(switches(), A, [B, C]) == 10
    assert distance_many(switches(), A, [B, D]) == -1
    assert distance_many(switches(), A, []) == -1


def test_the_nearest_provider_wins():
    """Several as near are all told; the kernel would pick one at random."""
    assert nearest(switches(), [B, C, D], [A]) == (B,)
    assert nearest(switches(), [A, A1], [B]) == (A, A1)
    assert nearest(switches(), [D, E], [A]) == ()


def test_pci_test_p2p_was_always_false():
    """As posted no path returned true; as intended it asks for a distance."""
    assert not any(pci_test_p2p(switches(), a, b, "as posted") for a in (A, B, D) for b in (A, B, D))
    assert [pci_test_p2p(switches(), A, x) for x in (A, B, D)] == [True, True, False]
    with pytest.raises(BadInput, match="allowed: 'as posted', 'as intended'"):
        pci_test_p2p(switches(), A, B, "as hoped")


def test_each_verdict_gives_its_reasons_step_by_step():
    """The way up, where they meet, each ACS register, the CPU, the host bridge."""
    assert reach_verdict(with_acs(switches(), {A_PORT: RR | SV}), A, B).reasons == (
        "up from the provider 0000:03:00.0: 0000:02:00.0 downstream port [1b36:000c], "
        "0000:01:00.0 upstream port [1b36:000c]",
        "up from the client 0000:04:00.0: 0000:02:01.0 downstream port [1b36:000c], "
        "0000:01:00.0 upstream port [1b36:000c]",
        "they meet at 0000:01:00.0 upstream port [1b36:000c]: 2 + 2 = 4 steps",
        "ACS at 0000:02:00.0: control 0x0005 (SV+RR), redirects to the host bridge",
        "ACS at 0000:01:00.0: no ACS capability, so no redirect",
        "ACS at 0000:02:01.0: no ACS capability, so no redirect",
        "the CPU is intel: not an AMD Zen or later, so the host bridge must be listed",
        "pci0000:00 is 0000:00:00.0 [8086:29c0]: not on the list of Linux 7.3",
        "nobody vouches for the host bridge: NOT_SUPPORTED, the caller gets -1 (inside: 4)",
    )


def test_an_unknown_cpu_is_asked_for_where_it_decides():
    """Not where a bridge turns the request around, nor where the host bridge is on the list."""
    verdict = reach_verdict(with_cpu(switches(), None), D, E)
    assert (verdict.map_type, verdict.distance, verdict.known) == (MapType.NOT_KNOWN, None, False)
    assert verdict.possible == (THRU, NOT)
    assert [what.partition(":")[0] for what in verdict.missing] == ["the CPU"]
    with pytest.raises(NotKnown, match=r"missing: the CPU: --cpu intel, zen or other"):
        _ = verdict.reachable
    assert today(with_cpu(switches(), None), A, B) == (BUS, 4)
    assert today(with_cpu(switches(ids=(0x8086, 0x2030)), None), D, E) == (THRU, 4)


def unseen(machine, *bdfs, **fields) -> Machine:
    """The machine with facts about some functions not shown."""
    wanted = {machine[bdf].bdf for bdf in bdfs}
    return replace(machine, devices=tuple(replace(d, **fields) if d.bdf in wanted else d for d in machine))


def test_acs_that_is_not_shown_is_never_taken_for_none():
    """What is left are the answers with and without a redirect; who is missing is named."""
    machine = unseen(switches(cpu="other"), A_PORT, acs_shown=False)
    verdict, old = reach_verdict(machine, A, B), reach_verdict(machine, A, B, RFC2019)
    assert (verdict.map_type, verdict.possible) == (MapType.NOT_KNOWN, (BUS, NOT))
    assert verdict.missing == old.missing == (f"ACS of {A_PORT}: run lspci as root with -vvv",)
    assert f"ACS at {A_PORT}: not shown" in verdict.reasons
    assert old.possible == ("reachable", "ACS redirect (-2)")


def test_one_redirect_that_is_shown_is_enough():
    """Whatever the other ports hold; only the kernel's list of ports is then not known."""
    machine = with_acs(unseen(switches(), B_PORT, SWITCH, acs_shown=False), {A_PORT: RR})
    verdict = reach_verdict(machine, A, B)
    assert (str(verdict.map_type), verdict.distance, verdict.missing, verdict.messages) == (NOT, -1, (), ())
    assert reach_verdict(machine, A, B, RFC2019).distance == -2


def test_where_both_ways_arrive_only_the_way_is_not_known():
    """On a Zen the host bridge carries it too: the distance is the same, and so is the answer to "can they talk"."""
    verdict = reach_verdict(unseen(switches(cpu="zen"), A_PORT, acs_shown=False), A, B)
    assert (verdict.map_type, verdict.distance, verdict.reachable) == (MapType.NOT_KNOWN, 4, True)
    assert verdict.possible == (BUS, THRU)


def test_bridges_that_are_not_shown_leave_path_and_distance_open():
    """A gap below the root port: no bridge is invented, and none is taken for missing."""
    machine = unseen(switches(), A_PORT, gap=True)
    verdict = reach_verdict(machine, A, B)
    assert (verdict.map_type, verdict.distance) == (MapType.NOT_KNOWN, None)
    assert f"the bridges between {SWITCH} and {A_PORT}: lspci -t, or -vv of the whole machine" in verdict.missing
    over = reach_verdict(with_cpu(machine, "zen"), A, D)
    assert (str(over.map_type), over.distance, over.reachable) == (THRU, None, True)
    assert not reach_verdict(machine, A, D).reachable


def test_a_bus_that_may_be_below_anything_is_not_a_root_bus():
    """Two functions of a text without their bridges: whether one joins them is not known."""
    machine = Machine(
        "cut",
        (function("0000:03:00.0", host="pci0000:03"), function("0000:04:00.0", host="pci0000:04")),
        (HostBridge("pci0000:03", shown=False), HostBridge("pci0000:04", shown=False)),
        cpu="intel",
    )
    verdict, old = reach_verdict(machine, "03:00.0", "04:00.0"), reach_verdict(machine, "03:00.0", "04:00.0", RFC2019)
    assert verdict.possible == (BUS, THRU, NOT)
    assert old.possible == ("reachable", "ACS redirect (-2)", "no common bridge (-1)")
    assert any(what.startswith("whether bus 0000:03 is a root bus") for what in verdict.missing)


def test_questions_about_several_ask_for_what_is_missing():
    """A sum with an unknown part is no number; a part that is refused decides alone."""
    machine = unseen(switches(), A_PORT, acs_shown=False)
    with pytest.raises(NotKnown, match=r"ACS of 0000:02:00\.0"):
        distance_many(machine, A, [B, C])
    assert distance_many(machine, A, [B, D]) == -1
    with pytest.raises(NotKnown):
        pci_test_p2p(machine, A, B)


def test_only_known_cpus_can_be_chosen():
    """The sentence names them."""
    with pytest.raises(BadInput, match="CPU 'z80'; allowed: intel, zen, other"):
        with_cpu(switches(), "z80")


@st.composite
def trees(draw) -> Machine:
    """A random tree below up to three host bridges, with random ACS, CPU and ids."""
    ids = st.sampled_from([(0x8086, 0x29C0), (0x8086, 0x2030), (0x8086, 0x3C00)])
    bridges = [f"pci0000:{bus:02x}" for bus in (0, 0x60, 0xC0)[: draw(st.integers(1, 3))]]
    devices = [host_function(draw(ids), name) for name in bridges]
    open_bridges = [(None, name, int(name[-2:], 16)) for name in bridges]
    for bus in range(1, draw(st.integers(1, 12))):
        parent, host, above = draw(st.sampled_from(open_bridges))
        number = int(host[-2:], 16) + bus
        bridge = port(f"0000:{above:02x}:{bus:02x}.0", FunctionKind.DOWNSTREAM, number, parent=parent, host=host)
        devices += [bridge, function(f"0000:{number:02x}:00.0", bridge.bdf, host=host)]
        open_bridges.append((bridge.bdf, host, number))
    machine = Machine(
        "random", tuple(devices), tuple(map(HostBridge, bridges)), draw(st.sampled_from(["intel", "zen"]))
    )
    machine = with_acs(machine, {d.bdf: draw(st.integers(0, 0x7F)) for d in devices if draw(st.booleans())})
    if draw(st.booleans()):
        return machine
    hidden = [d.bdf for d in devices if draw(st.integers(0, 9)) == 0]
    machine = unseen(machine, *hidden, acs=None, acs_shown=False)
    machine = unseen(machine, *[d.bdf for d in machine if d.parent and draw(st.integers(0, 14)) == 0], gap=True)
    bridges = [replace(b, shown=draw(st.integers(0, 5)) > 0) for b in machine.host_bridges]
    return replace(machine, host_bridges=tuple(bridges), cpu=draw(st.sampled_from(["intel", None])))


@settings(deadline=None)
@given(trees())
def test_the_matrix_agrees_with_every_single_verdict(machine):
    """The sweep and the kernel's walk are two ways to the same answer, and both are symmetrical."""
    everyone = [d.bdf for d in machine]
    old, new = (reach_matrix(machine, everyone, kernel) for kernel in (RFC2019, TODAY))
    for a in everyone:
        for b in everyone:
            was, now = reach_verdict(machine, a, b, RFC2019), reach_verdict(machine, a, b)
            assert old.cell(a, b) == (was.map_type, was.distance)
            assert new.cell(a, b) == (now.map_type, now.distance)
            assert new.cell(a, b) == new.cell(b, a)
            if was.known and now.known:
                assert (was.distance >= 0) == (now.map_type == BUS)


def test_kernels_are_known_by_name():
    """The same names as everywhere; another one is refused with the list of them."""
    assert (tuple(KERNELS), kernel_named("7.3"), str(RFC2019)) == (NAMES, TODAY, "rfc2019")
    assert set(mm.KERNELS) == set(NAMES)
    assert mm.TODAY.name == TODAY.name
    with pytest.raises(BadInput, match=r"no kernel '2031'; there are rfc2019, 6\.1, 6\.12, 7\.3.* \(7\.3 is today's\)"):
        kernel_named("2031")


@pytest.mark.parametrize(
    ("ids", "answers"),
    [
        ((0x8086, 0x2030), (NOT, THRU, THRU, THRU)),  # Skylake-E
        ((0x8086, 0x0B25), (NOT, NOT, NOT, THRU)),  # DSA_SPR0
        ((0x8086, 0x4948), (NOT, NOT, NOT, THRU)),  # QAT_6XXX
        ((0x10DE, 0x2F98), (NOT, NOT, NOT, THRU)),  # an Nvidia CPU
        ((0x10DE, 0x2F99), (NOT, NOT, NOT, NOT)),
        ((0x1AE0, 0x1234), (NOT, NOT, NOT, THRU)),  # anything of Google's
    ],
)
def test_each_kernel_has_its_list_of_host_bridges(ids, answers):
    """None in 2019; ten entries until 6.12; 15 more in 7.3, one of them for every device of a vendor."""
    machine = with_ids(switches(), {"0000:00:00.0": ids})
    for kernel, answer in zip(KERNELS.values(), answers, strict=True):
        verdict = reach_verdict(machine, A, D, kernel)
        assert (verdict.map_type or NOT, verdict.kernel) == (answer, kernel.name)
        assert reach_matrix(machine, [A, D], kernel).cell(A, D) == (verdict.map_type, verdict.distance)
    assert [len(kernel.host_bridges or ()) for kernel in KERNELS.values()] == [0, 10, 10, 25]


@pytest.mark.parametrize(
    ("ids", "writes", "reads"),
    [((0x8086, 0x4C43), True, False), ((0x8086, 0x2020), True, True), ((0x8086, 0x29C0), None, None)],
)
def test_reads_and_writes_are_told_apart_where_a_platform_does(ids, writes, reads):
    """Intel's client CPUs carry writes between root ports and no reads; a listed server carries both; a guest is not known."""
    machine = switches(ids=ids)
    machine = replace(
        machine, devices=tuple(replace(d, class_code=0x060000) if d.bdf.endswith("00:00.0") else d for d in machine)
    )
    found = directions(machine, reach_verdict(machine, D, E))
    assert (found.writes, found.reads) == (writes, reads)
    assert bool(found.source) == (writes is not None)
    below = directions(machine, reach_verdict(machine, A, B))
    assert (below.writes, below.reads) == (True, True)
