"""A sysfs tree becomes a machine: this one's, or a copy of another's."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from p2plab.core.errors import BadInput
from p2plab.pci import FunctionKind, read_recording, read_sysfs
from p2plab.pci.cpu import cpu_of
from p2plab.pci.sysfs import LIVE
from tests.pci.build import RECORDED

FILES = ("class", "vendor", "device", "revision", "subsystem_vendor", "subsystem_device")


def copy_of(name: str, root: Path) -> Path:
    """What the documented command copies, rebuilt from a recording: the files, config space and all."""
    data = json.loads((RECORDED / f"{name}.json").read_text())
    configs, bdf = {}, ""
    for line in data["lspci_xxx"]:
        if line[2:3] == ":" and line[4:6] != "" and line[5] == ".":
            bdf = f"0000:{line[:7]}"
        elif line[2:4] == ": ":
            configs[bdf] = configs.get(bdf, b"") + bytes.fromhex(line[4:])
    for device in data["devices"]:
        folder = root / device["path"].lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        for file in FILES:
            (folder / file).write_text(device[file] + "\n")
        (folder / "config").write_bytes(configs[device["bdf"]])
        rows = {row["i"]: row for row in device["resource"]}
        empty = {"start": "0x" + "0" * 16, "end": "0x" + "0" * 16, "flags": "0x" + "0" * 16}
        count = 17 if "secondary_bus_number" in device else 13
        lines = [" ".join(rows.get(i, empty)[key] for key in ("start", "end", "flags")) for i in range(count)]
        (folder / "resource").write_text("\n".join(lines) + "\n")
    (root / "proc").mkdir()
    (root / "proc" / "cpuinfo").write_text("vendor_id\t: GenuineIntel\ncpu family\t: 6\n")
    (root / "proc" / "cmdline").write_text(data["header"]["cmdline"] + "\n")
    return root


@pytest.mark.skipif(not LIVE.is_dir(), reason="this machine has no /sys/bus/pci/devices")
def test_this_machine_can_be_read():
    """Every function listed is there, and its class is what the kernel says."""
    machine = read_sysfs()
    assert sorted(d.bdf for d in machine) == sorted(os.listdir(LIVE))
    for device in machine:
        assert device.class_code == int((LIVE / device.bdf / "class").read_text(), 16)
        assert device.path.endswith(device.bdf)


@pytest.mark.parametrize("name", ["q35_switch2", "q35_pxb", "pc_bridges", "pc_flat"])
def test_a_copied_tree_says_what_was_recorded(name, tmp_path):
    """Tree, ids, types, BARs and windows, CPU and IOMMU."""
    recorded, copied = read_recording(RECORDED / f"{name}.json"), read_sysfs(copy_of(name, tmp_path))
    shown = ("parent", "host_bridge", "kind", "ids", "class_code", "subsystem", "secondary", "subordinate", "resources")
    for device in recorded:
        for what in shown:
            assert getattr(copied[device.bdf], what) == getattr(device, what), (device.bdf, what)
    assert (copied.cpu, copied.iommu) == ("intel", False)


def test_a_flat_copy_without_the_tree_of_directories_will_do(tmp_path):
    """The bus numbers in the bridges' registers say what hangs from where."""
    root = copy_of("q35_switch1", tmp_path / "tree")
    flat = tmp_path / "flat"
    flat.mkdir()
    for folder in root.rglob("0000:*"):
        target = flat / folder.name
        target.mkdir()
        for file in folder.iterdir():
            if file.is_file():
                (target / file.name).write_bytes(file.read_bytes())
    assert read_sysfs(flat)["03:00.0"].parent == "0000:02:00.0"


def test_what_only_root_may_read_is_missed_and_said(tmp_path):
    """Without root a config space ends after 64 bytes: no capabilities, so no types and no ACS."""
    root = copy_of("q35_rootports", tmp_path)
    for config in root.rglob("config"):
        config.write_bytes(config.read_bytes()[:64])
    machine = read_sysfs(root)
    assert machine["00:02.0"].kind is FunctionKind.BRIDGE
    assert machine["01:00.0"].parent == "0000:00:02.0"
    assert machine.lacks == (
        "the address ranges of the host bridges",
        "the PCI Express type of some functions (root may read it)",
        "ACS (root may read it)",
    )


def test_kernels_without_sr_iov_count_windows_from_seven(tmp_path):
    """Their `resource` has 11 lines for a bridge, not 17."""
    root = copy_of("q35_rootports", tmp_path)
    before = read_sysfs(root)
    for resource in root.rglob("resource"):
        lines = resource.read_text().splitlines()
        resource.write_text("\n".join(lines[:7] + lines[13:]) + "\n")
    assert [d.resources for d in read_sysfs(root)] == [d.resources for d in before]


def test_a_copy_cannot_make_us_read_elsewhere(tmp_path):
    """Links inside a copy are not followed."""
    secret = tmp_path / "secret"
    secret.write_text("0x8086\n")
    root = copy_of("q35_flat", tmp_path / "copy")
    vendor = next(root.rglob("0000:00:05.0")) / "vendor"
    vendor.unlink()
    vendor.symlink_to(secret)
    (root / "0000:09:00.0").symlink_to(next(root.rglob("0000:00:05.0")))
    machine = read_sysfs(root)
    assert machine["00:05.0"].vendor == 0x1AF4  # from the registers
    assert "0000:09:00.0" not in machine


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("resource", "0x0 0x1\n", r"resource: line 1: expected three hexadecimal numbers, got '0x0 0x1'"),
        ("resource", "0x0 0x0 0x0\n" * 40, "resource: 40 lines; allowed: 32"),
        ("class", "RAM\n", "class: line 1: 'RAM' is not a number"),
    ],
)
def test_a_spoiled_file_is_named(file, text, sentence, tmp_path):
    """File and line."""
    root = copy_of("q35_flat", tmp_path)
    (next(root.rglob("0000:00:05.0")) / file).write_text(text)
    with pytest.raises(BadInput, match=sentence):
        read_sysfs(root)


def test_a_directory_without_functions_is_refused(tmp_path):
    """The sentence says what was looked for."""
    with pytest.raises(BadInput, match=r"no PCI functions in it; expected directories named like 0000:00:1f\.2"):
        read_sysfs(tmp_path)
    with pytest.raises(BadInput, match="not a directory"):
        read_sysfs(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "cpu"),
    [
        ("vendor_id : AuthenticAMD\ncpu family : 23\n", "zen"),
        ("vendor_id : AuthenticAMD\ncpu family : 21\n", "other"),
        ("vendor_id : GenuineIntel\ncpu family : 6\n", "intel"),
        ("vendor_id : HygonGenuine\ncpu family : 24\n", "other"),
        ("", None),
    ],
)
def test_the_cpu_is_known_by_vendor_and_family(text, cpu):
    """AMD from family 0x17 on; Hygon's Zen is another vendor to the kernel."""
    assert cpu_of(text) == cpu


def test_a_copy_as_deep_as_one_likes_is_read_and_what_cannot_be_listed_is_said(tmp_path):
    """Three thousand folders in each other beside the functions: no path reaches the lowest ones."""
    root = copy_of("pc_flat", tmp_path)
    before = [device.bdf for device in read_sysfs(root)]
    here = os.open(root, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("down", dir_fd=here)
        below = os.open("down", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        machine = read_sysfs(root)
        assert [device.bdf for device in machine] == before
        assert any("1 of its directories, which cannot be listed" in lack for lack in machine.lacks)
    finally:
        subprocess.run(["rm", "-rf", str(root / "down")], check=True)  # Python's own removal recurses
