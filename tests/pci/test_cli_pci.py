"""``p2plab machine`` and ``p2plab reach`` in a terminal."""

import io
import json
import subprocess
import sys

import pytest

from p2plab.cli import main
from tests.pci.build import RECORDED


def run(capsys, *words: str) -> tuple[int, str, str]:
    status = main(words)
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def lspci(tmp_path):
    """A file with what lspci -nnvvv printed."""
    path = tmp_path / "mine.txt"
    path.write_text("\n".join(json.loads((RECORDED / "q35_switch1.json").read_text())["lspci_vvv"]))
    return path


def test_a_recorded_machine_is_known_by_name(capsys):
    """No file needed."""
    status, out, _ = run(capsys, "machine", "q35_switch1")
    assert (status, out.splitlines()[0]) == (0, "q35_switch1: 16 functions, 1 host bridge, CPU intel, IOMMU off")


def test_all_ways_in_show_the_same_tree(capsys, lspci, monkeypatch):
    """A recording's file, lspci's text in a file, the same on standard input."""

    def tree(out: str) -> list[str]:
        return [line for line in out.splitlines() if line.startswith(("+-", "|", "`-"))]

    recording = tree(run(capsys, "machine", str(RECORDED / "q35_switch1.json"))[1])
    text = tree(run(capsys, "machine", str(lspci))[1])
    monkeypatch.setattr("sys.stdin", io.StringIO(lspci.read_text()))
    pasted = tree(run(capsys, "machine", "-")[1])
    monkeypatch.setattr("sys.stdin", io.StringIO((RECORDED / "q35_switch1.json").read_text()))
    assert recording == text == pasted == tree(run(capsys, "machine", "-")[1])
    assert len(recording) == 16


def test_addresses_can_be_given_anew(capsys, lspci):
    """As Linux would after a firmware that gave none; the 36-bit machine still cannot place its 8 GiB."""
    status, out, _ = run(capsys, "machine", "q35_bigbars_phys36", "--assign")
    assert (status, out.splitlines()[-3:]) == (
        0,
        [
            "refused",
            "  0000:00:02.0: pref window [mem size 0x200000000 64bit pref]: no space",
            "  0000:01:00.0: BAR 2 [mem size 0x200000000 64bit pref]: no space",
        ],
    )
    assert "  0000:02:00.0: BAR 2 [mem 0x800000000-0xfffffffff 64bit pref]: assigned" in out.splitlines()
    assert run(capsys, "machine", "q35_flat", "--assign")[1].endswith("\nnothing is refused\n")
    assert run(capsys, "machine", str(lspci), "--assign")[2] == (
        "p2plab: mine.txt does not show the address ranges of its host bridges; a recording does\n"
    )


def test_a_pair_under_both_rule_sets(capsys, lspci):
    """Side by side, and today's verdict follows the CPU."""
    status, out, _ = run(capsys, "reach", str(lspci), "03:00.0", "07:00.0", "--cpu", "zen")
    assert status == 0
    assert "distance -1: no common bridge                       THRU_HOST_BRIDGE, distance 6\n" in out


def test_a_kernel_can_be_chosen(capsys):
    """By name, in reach and conform; an unknown one, or one where it decides nothing, is an error."""
    pair = ("reach", "q35_switch2", "03:00.0", "08:00.0", "--host-bridge", "10de:2f95")
    for kernel, title, verdict in (
        ("7.3", "today (7.3), CPU intel", "THRU_HOST_BRIDGE, distance 8"),
        ("6.12", "Linux 6.12, CPU intel", "NOT_SUPPORTED, distance -1"),
    ):
        lines = run(capsys, *pair, "--kernel", kernel)[1].splitlines()
        assert [line[52:] for line in lines if line.startswith(("2019 (v5.0)", "distance -1"))] == [title, verdict]
    old = run(capsys, *pair, "--kernel", "rfc2019")[1]
    assert "distance -1: no common bridge\n" in old
    assert "SUPPORTED" not in old
    found = json.loads(run(capsys, "reach", "pc_bridges", "--kernel", "6.1", "--json")[1])
    assert (found["kernel"], {"rfc2019", "6.1"} <= set(found)) == ("6.1", True)
    assert run(capsys, *pair, "--kernel", "6.2")[0] == 2
    assert run(capsys, "conform", "mm", "x.jsonl", "--kernel", "6.1")[2] == (
        "p2plab: --kernel is for pci and p2pdma; each file of mm and scenes is held against the kernel it names\n"
    )
    machine = ("machine", "q35_bigbars_phys36", "--kernel", "7.3")
    assert "\nwhat Linux 7.3 would print\n" in run(capsys, *machine, "--assign")[1]
    assert run(capsys, *machine)[2] == "p2plab: --kernel selects how addresses are assigned, so it needs --assign\n"
    assert run(capsys, *machine[:3], "rfc2019", "--assign")[0] == 2
    recorded = str(RECORDED.parent / "p2pdma" / "q35_switch1.intel.json")
    assert run(capsys, "conform", "p2pdma", recorded, "--kernel", "rfc2019")[0] == 1


def test_options_change_what_the_machine_is(capsys):
    """ACS registers, the host bridge's ids, the IOMMU, the client's mask."""
    pair = ("q35_switch1", "03:00.0", "04:00.0", "--json")

    def verdict(*options):
        found = json.loads(run(capsys, "reach", *pair, *options)[1])
        return found["7.3"]["map_type"], found["rfc2019"]["distance"], found["dma"]["address"], found["dma"]["kind"]

    assert verdict() == ("BUS_ADDR", 4, "0xd0000000", "bus")
    redirect = ("--acs", "02:00.0=1c")
    assert verdict(*redirect) == ("NOT_SUPPORTED", -2, None, None)
    assert verdict(*redirect, "--host-bridge", "8086:2030") == ("THRU_HOST_BRIDGE", -2, "0xd0000000", "phys")
    assert verdict(*redirect, "--cpu", "zen", "--iommu", "on") == ("THRU_HOST_BRIDGE", -2, "0xfffff000", "iova")
    far = json.loads(
        run(capsys, "reach", "q35_bigbars", "03:00.0", "04:00.0", "--cpu", "zen", "--mask", "32", "--json")[1]
    )
    assert far["dma"]["error"].startswith("-EIO: ")


def test_the_whole_matrix_as_json(capsys):
    """Rows are providers, columns clients."""
    found = json.loads(run(capsys, "reach", "pc_bridges", "--json")[1])
    a, b = found["functions"].index("0000:01:01.0"), found["functions"].index("0000:02:01.0")
    assert (found["rfc2019"][a][b], found["7.3"][a][b]) == (3, ["BUS_ADDR", 3])


def test_the_machine_as_json(capsys):
    """Addresses are hex text."""
    found = json.loads(run(capsys, "machine", "q35_switch1", "--json")[1])
    card = next(device for device in found["devices"] if device["bdf"] == "0000:03:00.0")
    assert card["resources"][1] == {
        "index": 2,
        "name": "BAR 2",
        "start": "0xd0000000",
        "end": "0xdfffffff",
        "size": 256 << 20,
        "space": "mem",
        "mem64": True,
        "prefetchable": True,
    }
    assert found["host_bridges"][0]["windows"][5]["start"] == "0x100000000"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("machine", "nowhere"), "'nowhere' is not a file, a directory or a recorded machine; recorded: pc_bigbars, "),
        (("reach", "q35_flat", "00:03.0"), "1 functions given; allowed: two (A B), or none for every pair"),
        (("reach", "q35_flat", "00:03.0", "00:0f.0"), "q35_flat has no function 00:0f.0; it has 0000:00:00.0, "),
        (("reach", "q35_flat", "00:03.0", "gpu"), "'gpu' is not a PCI address"),
        (("reach", "q35_flat", "--acs", "03=1"), "--acs '03=1'; allowed: BDF=HEX with HEX from 0 to 7f"),
        (("reach", "q35_flat", "--acs", "00:03.0=80"), "--acs '00:03.0=80'; allowed: BDF=HEX with HEX from 0 to 7f"),
        (("reach", "q35_flat", "--host-bridge", "x"), "--host-bridge 'x'; allowed: VENDOR:DEVICE, say 8086:2030"),
        (("reach", "q35_flat", "--mask", "0"), "a DMA mask of 0 bits; allowed: 1 to 64"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(words, sentence, capsys):
    """What was wrong and what is allowed."""
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert err.startswith(f"p2plab: {sentence}")
    assert err.count("\n") == 1


def test_a_file_that_is_neither_is_refused_by_name_and_line(capsys, tmp_path):
    """Not lspci's, not JSON."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear all,\n")
    assert run(capsys, "machine", str(path))[2].startswith(f"p2plab: {path}: line 1: no line starts with a PCI address")
    path.write_text("{]")
    assert run(capsys, "machine", str(path))[2].startswith(f"p2plab: {path}: letter.txt: line 1: not JSON")


def test_what_is_not_text_is_refused(capsys, monkeypatch):
    """Bytes piped in by mistake."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"00:00.0 \xff\xfe"), encoding="utf-8"))
    assert run(capsys, "machine", "-")[2] == "p2plab: standard input: not text at byte 8\n"


def test_without_a_tree_nobody_knows_who_reaches_whom(capsys, tmp_path):
    """Plain lspci lists functions only: the answer is "not known", with what is missing, and exit status 3."""
    path = tmp_path / "plain.txt"
    path.write_text(
        "00:01.0 PCI bridge: Port\n01:00.0 VGA compatible controller: GPU\n02:00.0 Ethernet controller: NIC\n"
    )
    assert run(capsys, "machine", str(path))[0] == 0
    status, out, _ = run(capsys, "reach", str(path), "01:00.0", "02:00.0")
    assert status == 3
    assert "not known: BUS_ADDR or THRU_HOST_BRIDGE" in out
    assert "  whether bus 0000:01 is a root bus, or which bridges are above it: lspci -t" in out
    assert run(capsys, "reach", str(path))[0] == 3
    found = json.loads(run(capsys, "reach", str(path), "01:00.0", "02:00.0", "--json")[1])
    assert tuple(found["7.3"][key] for key in ("known", "map_type", "distance")) == (
        False,
        "not known",
        None,
    )


@pytest.mark.parametrize(
    "source", ["<(cat {})", "/dev/stdin < {}", "/dev/stdin < <(cat {})", "- < {}", "/dev/fd/0 < <(cat {})"]
)
def test_what_a_shell_hands_over_is_read(lspci, capsys, source):
    """A process substitution, the name of standard input, a dash: the tree of the file that is behind it."""
    command = f"{sys.executable} -m p2plab machine {source.format(lspci)}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    expected = run(capsys, "machine", str(lspci))[1].splitlines()
    assert done.stdout.splitlines()[1:] == expected[1:]


def test_a_closed_standard_input_is_said(capsys, monkeypatch):
    """As after ``<&-``."""
    monkeypatch.setattr("sys.stdin", None)
    assert run(capsys, "machine", "-")[::2] == (2, "p2plab: standard input is closed\n")
