"""A recorded machine is read whole, or refused by file and place."""

import json
from dataclasses import replace

import pytest

from p2plab.core.errors import BadInput
from p2plab.pci import Acs, FunctionKind, read_recording
from p2plab.pci.cpu import cpu_kind
from p2plab.pci.iommu import IommuState, after_options, iommu_state
from tests.pci.build import RECORDED, A, switches


def test_a_recording_shows_tree_types_acs_and_root_windows():
    """sysfs, the boot messages and lspci together."""
    machine = read_recording(RECORDED / "q35_iommu_rootports.json")
    port = machine["00:02.0"]
    assert (port.kind, port.acs, port.hotplug, port.name) == (
        FunctionKind.ROOT_PORT,
        Acs(0x5F, 0x1D),
        True,
        "Red Hat, Inc. QEMU PCIe Root port",
    )
    assert (machine.cpu, machine.iommu, machine.lacks) == ("intel", True, ())
    assert [str(w) for w in machine.host_bridges[0].windows][:3] == [
        "[io  0x0000-0x0cf7 window]",
        "[io  0x0d00-0xffff window]",
        "[mem 0x000a0000-0x000bffff window]",
    ]


def test_a_recording_of_verdicts_is_a_machine_too():
    """Its base state says the types and ACS registers of the ports."""
    machine = read_recording(RECORDED.parent / "p2pdma" / "q35_iommu_multifn.intel.json")
    assert (machine["00:02.0"].kind, machine["00:02.0"].acs) == (FunctionKind.ROOT_PORT, Acs(0x5F, 0x1D))
    assert machine["02:00.0"].acs is None


def test_devices_alone_are_enough_and_the_rest_is_said_to_be_missing():
    """Only the list of devices must be there."""
    machine = read_recording({"devices": [{"bdf": "0000:00:00.0", "path": "/sys/devices/pci0000:00/0000:00:00.0"}]})
    assert [d.bdf for d in machine] == ["0000:00:00.0"]
    assert machine.lacks == ("the address ranges of the host bridges", "ACS (recorded with lspci -vvv)")


BDF, PATH = "0000:00:00.0", "/sys/devices/pci0000:00/0000:00:00.0"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "no list `devices`"),
        ({"devices": [{}]}, r"devices\[0\]: no `bdf`"),
        ({"devices": [{"bdf": "gpu"}]}, "'gpu' is not a PCI address"),
        ({"devices": [{"bdf": BDF, "path": "/sys/x"}]}, r"devices\[0\] \(0000:00:00.0\): `path` '/sys/x' is not"),
        ({"devices": [{"bdf": BDF, "path": PATH, "vendor": "Intel"}]}, "`vendor` is 'Intel', not a number"),
        ({"devices": [{"bdf": BDF, "path": PATH, "resource": [{"i": 0}]}]}, "a resource needs i, start <= end, flags"),
        ({"devices": [{"bdf": BDF, "path": PATH, "resource": 7}]}, "`resource` is not a list"),
        ({"devices": [{"bdf": BDF, "path": PATH}] * 2}, "0000:00:00.0 is listed twice"),
        (
            {"devices": [], "lspci_vvv": ["00:00.0 x: y", "00: 1"], "lspci_xxx": ["40: 00"]},
            "lspci_xxx together: line 3",
        ),
        ({"devices": [], "runs": {"base": {}}}, "no list `acs`"),
        ({"devices": [], "runs": {"base": {"acs": [{"dev": "00:01.0"}]}}}, "recording has no function 00:01.0"),
    ],
)
def test_what_is_missing_or_odd_is_named(data, sentence):
    """By its place in the file."""
    with pytest.raises(BadInput, match=sentence):
        read_recording(data)


def test_a_file_that_is_no_json_is_refused_by_line(tmp_path):
    """File and line."""
    path = tmp_path / "cut.json"
    path.write_text('{"devices": [\n  {"bdf": ')
    with pytest.raises(BadInput, match=r"cut\.json: line 2: not JSON"):
        read_recording(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match=r"cut\.json: not UTF-8 text at byte 0"):
        read_recording(path)
    path.write_text("[" * 100_000)
    with pytest.raises(BadInput, match=r"cut\.json: not usable as JSON: RecursionError"):
        read_recording(path)
    path.write_text("[]")
    with pytest.raises(BadInput, match="holds no JSON object"):
        read_recording(path)
    with pytest.raises(BadInput, match="No such file"):
        read_recording(tmp_path / "nowhere.json")


def test_every_error_of_a_file_names_the_file(tmp_path):
    """Also those from inside it."""
    data = json.loads((RECORDED / "q35_flat.json").read_text())
    data["devices"][3]["class"] = "RAM"
    path = tmp_path / "flat.json"
    path.write_text(json.dumps(data))
    with pytest.raises(BadInput, match=r"flat\.json: devices\[3\] \(0000:00:05.0\): `class` is 'RAM', not a number"):
        read_recording(path)


@pytest.mark.parametrize(
    ("text", "cpu"),
    [
        ("model name\t: Intel Xeon Processor (Skylake)", "intel"),
        ("zen model name\t: AMD EPYC Processor", "zen"),
        ("AMD Ryzen 9 5950X 16-Core Processor", "zen"),
        ("AMD Opteron(tm) Processor 6380", "other"),
        (" ", None),
    ],
)
def test_cpus_are_known_by_name(text, cpu):
    """Zen and later are what the kernel trusts."""
    assert cpu_kind(text) == cpu


@pytest.mark.parametrize(
    ("cmdline", "qemu", "requests", "translates"),
    [
        ("quiet", None, False, False),
        ("", None, None, None),
        ("intel_iommu=on,sm_on", None, True, True),
        ("intel_iommu=on iommu=pt", None, True, False),
        ("intel_iommu=on iommu.passthrough=1", None, True, False),
        ("intel_iommu=on iommu=pt iommu.passthrough=0", None, True, True),
        ("intel_iommu=on iommu.passthrough=on iommu=nopt", None, True, True),
        ("intel_iommu=on iommu.passthrough=maybe", None, True, True),
        ("intel_iommu=on iommu=off", None, False, False),
        ("intel_iommu=on intel_iommu=off", None, False, False),
        ("intel_iommu=on", ["-device", "nvme"], False, False),
        ("intel_iommu=on", ["-device", "intel-iommu"], True, True),
        ("quiet", ["-device", "intel-iommu"], False, False),
        ("quiet", ["-device", "amd-iommu"], True, True),
        ("iommu=pt", ["-device", "amd-iommu"], True, False),
        ("amd_iommu=off", ["-device", "amd-iommu"], True, False),
        ("iommu=off", ["-device", "amd-iommu"], False, False),
    ],
)
def test_whether_an_iommu_asks_for_acs_and_whether_it_translates(cmdline, qemu, requests, translates):
    """It asks as soon as it is found, AMD's even when it is switched off; pt and iommu.passthrough=1 map one to one."""
    assert iommu_state(cmdline, (), qemu) == IommuState(requests, translates)


def test_iommu_groups_are_believed_before_options():
    """A kernel that has Intel's on by default needs none; what it says of the domain type counts as well."""
    grouped = [replace(switches()[A], iommu_group=3)]
    assert iommu_state("quiet", grouped, ["-device", "intel-iommu"]) == IommuState(True, True)
    assert iommu_state("quiet", grouped, None, ["[ 1.0] iommu: Default domain type: Passthrough"]) == IommuState(
        True, False
    )
    assert iommu_state("", grouped) == IommuState(True, True)


@pytest.mark.parametrize(
    ("options", "cpu", "after"),
    [
        ("quiet", "intel", IommuState(True, True)),
        ("iommu.passthrough=1", "intel", IommuState(True, False)),
        ("intel_iommu=off", "intel", IommuState(False, False)),
        ("intel_iommu=off", "zen", IommuState(True, True)),
        ("amd_iommu=off", "zen", IommuState(True, False)),
        ("iommu=off", "zen", IommuState(False, False)),
    ],
)
def test_an_iommu_that_is_there_after_other_boot_options(options, cpu, after):
    """It was passing through before; the options of the other vendor change nothing."""
    assert after_options(IommuState(True, False), options, cpu) == after
