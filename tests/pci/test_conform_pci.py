"""The model against recorded kernels: none differs, and a spoiled recording does."""

import json
from pathlib import Path

import pytest

from p2plab.cli import main
from p2plab.conform import p2pdma, pci
from p2plab.core.errors import BadInput
from p2plab.pci import KERNELS
from tests.pci.build import RECORDED

MACHINES = sorted(RECORDED.glob("*.json"))
VERDICTS = sorted((RECORDED.parent / "p2pdma").glob("*.json"))


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_no_recorded_machine_differs(path):
    """Every function from every text, every line of /proc/iomem, every message and address of the allocator."""
    report = pci.conform([path])
    assert list(report.first_differences) == []
    assert (report.differ, sum(report.not_modelled.values())) == (0, 0)
    assert report.agree > 50


@pytest.mark.parametrize("path", VERDICTS, ids=lambda path: path.stem)
def test_no_recorded_verdict_differs(path):
    """Map type, distance, DMA address or error, messages, and which BARs could be offered."""
    report = p2pdma.conform([path])
    assert list(report.first_differences) == []
    assert report.differ == 0
    assert report.agree >= 2


def test_nothing_to_speak_of_is_left_out():
    """Less than one operation in a hundred is not modelled."""
    for report in (pci.conform(MACHINES), p2pdma.conform(VERDICTS)):
        assert sum(report.not_modelled.values()) * 100 < report.operations


def test_a_recording_is_held_against_its_kernel(tmp_path):
    """By its header, else today's, or the one asked for; one that is not known is an error with the choices."""
    path = RECORDED / "q35_switch1.json"
    assert pci.conform([path], KERNELS["7.3"]).differ == 0

    def of(release):
        return spoiled(path, tmp_path, lambda data: data["header"].update(kernel=f"Linux (none) {release} #1 SMP"))

    assert pci.conform([of("7.3.4-p2p73")]).differ == 0
    assert pci.conform([of("")]).differ == 0
    with pytest.raises(
        BadInput, match=r"recorded on Linux 6\.18, which is not known; rfc2019, 6\.1, 6\.12, 7\.3 can be"
    ):
        pci.conform([of("6.18.2")])
    assert pci.conform([of("6.18.2")], KERNELS["6.12"]).differ == 0


def spoiled(path: Path, folder: Path, change) -> Path:
    data = json.loads(path.read_text())
    change(data)
    copy = folder / path.name
    copy.write_text(json.dumps(data))
    return copy


def test_a_machine_that_did_something_else_is_noticed(tmp_path):
    """One BAR a page higher, one message less: each shows where it is looked at."""

    def moved(data):
        device = next(device for device in data["devices"] if device["bdf"] == "0000:03:00.0")
        device["resource"][0] |= {"start": "0x00000000fe601000", "end": "0x00000000fe6010ff"}

    report = pci.conform([spoiled(RECORDED / "q35_switch1.json", tmp_path, moved)])
    where = {(d.case, d.operation, d.what) for d in report.first_differences}
    assert {(case, "0000:03:00.0", "resources") for case in ("lspci -vvv", "lspci -xxx", "all three", "boot")} <= where

    def silent(data):
        data["dmesg_pci"] = [line for line in data["dmesg_pci"] if "00:03.0: bridge window [io  0x1000" not in line]

    report = pci.conform([spoiled(RECORDED / "q35_switch1.json", tmp_path, silent)])
    assert {d.case for d in report.first_differences} == {"boot messages"}


@pytest.mark.parametrize(
    ("column", "value"),
    [(2, 6), (3, "THRU_HOST_BRIDGE"), (4, -5), (5, "0xd0001000"), (6, "0x1000"), (7, False), (9, None)],
)
def test_a_verdict_that_came_out_otherwise_is_noticed(column, value, tmp_path):
    """Every column of a pair counts."""

    def other(data):
        data["runs"]["base"]["pairs"][8][column] = value

    path = spoiled(RECORDED.parent / "p2pdma" / "q35_switch1.intel.json", tmp_path, other)
    report = p2pdma.conform([path])
    assert (report.differ, report.first_differences[0].operation) == (1, "0000:03:00.0>0000:04:00.0")


def test_a_message_that_was_not_printed_is_noticed(tmp_path):
    """And one for a pair nobody asked about."""

    def quiet(data):
        messages = data["runs"]["base"]["messages"]
        del messages["0000:03:00.0>0000:07:00.0"]
        messages["0000:09:00.0>0000:07:00.0"] = ["pci 0000:07:00.0: hello"]

    report = p2pdma.conform([spoiled(RECORDED.parent / "p2pdma" / "q35_switch1.intel.json", tmp_path, quiet)])
    assert [d.what for d in report.first_differences] == ["messages", "messages"]


def test_verdicts_are_worked_out_not_read(tmp_path):
    """Other inputs, other verdicts: the same file with an AMD CPU differs in every pair that the host bridge decides."""

    def amd(data):
        data["cpu_key"], data["header"]["cpu"] = "zen", "model name\t: AMD EPYC Processor"

    report = p2pdma.conform([spoiled(RECORDED.parent / "p2pdma" / "q35_switch1.intel.json", tmp_path, amd)])
    zen = json.loads((RECORDED.parent / "p2pdma" / "q35_switch1.intel.json").read_text())
    refused = sum(pair[3] == "NOT_SUPPORTED" for run in zen["runs"].values() for pair in run["pairs"])
    assert report.differ == refused > 0


def test_the_command_says_how_many_agree_and_exits_by_it(capsys, tmp_path):
    """0 with none differing, 1 otherwise, 2 for a file that is no recording."""
    path = RECORDED.parent / "p2pdma" / "q35_rootports.intel.json"
    assert main(["conform", "p2pdma", str(path)]) == 0
    assert "  differ       0\n" in capsys.readouterr().out
    broken = spoiled(path, tmp_path, lambda data: data["runs"]["base"]["pairs"][1].__setitem__(2, 9))
    assert main(["conform", "p2pdma", str(broken), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["differ"] == 1
    empty = tmp_path / "empty.json"
    empty.write_text("{}")
    assert main(["conform", "pci", str(empty)]) == 2
    assert main(["conform", "p2pdma", str(empty)]) == 2
    assert capsys.readouterr().err == (
        f"p2plab: {empty}: no list `devices`\np2plab: {empty}: neither `runs` nor `log`: not a p2pdma recording\n"
    )


@pytest.mark.parametrize("key", ["lspci_vvv", "lspci_xxx", "lspci_tv", "iomem", "dmesg_pci"])
def test_a_recording_without_one_of_its_parts_is_compared_as_far_as_it_goes(key, tmp_path):
    """What is missing is counted as not modelled, or not looked at; nothing differs for it."""
    report = pci.conform([spoiled(RECORDED / "q35_pxb.json", tmp_path, lambda data: data.pop(key))])
    assert (report.differ, list(report.first_differences)) == (0, [])


@pytest.mark.parametrize(
    "key", ["register", "state_changes", "p2pmem", "pair_fields", "header", "cpu_key", "qemu_args"]
)
def test_verdicts_without_one_of_their_parts(key, tmp_path):
    """Either enough is left to go by, or the sentence says what is missing."""
    path = spoiled(RECORDED.parent / "p2pdma" / "q35_switch1.intel.json", tmp_path, lambda data: data.pop(key))
    if key == "register":
        with pytest.raises(BadInput, match=r"q35_switch1\.intel\.json: no list `register`"):
            p2pdma.conform([path])
    else:
        assert p2pdma.conform([path]).differ == 0


def test_a_graphics_cards_shadowed_rom_is_no_range_of_the_card(tmp_path):
    """The kernel shows the copy in RAM; the register still says something else, and nothing differs for it."""

    def shadowed(data):
        card = next(device for device in data["devices"] if any(row["i"] == 6 for row in device["resource"]))
        row = next(row for row in card["resource"] if row["i"] == 6)
        moved = int(row["start"], 16)
        row |= {"start": "0x00000000000c0000", "end": "0x00000000000dffff", "flags": "0x0000000000000212"}
        at = next(n for n, line in enumerate(data["lspci_vvv"]) if f"Expansion ROM at {moved:08x}" in line)
        data["lspci_vvv"][at] = "\tExpansion ROM at 000c0000 [virtual] [disabled] [size=128K]"
        data["iomem"] = [line for line in data["iomem"] if f"{moved:08x}-" not in line]

    report = pci.conform([spoiled(RECORDED / "q35_flat.json", tmp_path, shadowed)])
    assert list(report.first_differences) == []


def test_boot_options_that_change_the_allocation_are_not_modelled(tmp_path):
    """And counted under their name; readers and layout are compared all the same."""

    def other(data):
        data["header"]["cmdline"] += " pci=nomsi,realloc=on"

    report = pci.conform([spoiled(RECORDED / "q35_flat.json", tmp_path, other)])
    assert (report.differ, dict(report.not_modelled)) == (0, {"boot option pci=realloc": 11})
