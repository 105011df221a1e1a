"""Small machines to tell stories about, built function by function."""

from __future__ import annotations

from pathlib import Path

from p2plab.pci import Device, FunctionKind, HostBridge, Machine, Resource
from p2plab.pci.resource import IORESOURCE_UNSET

RECORDED = Path(__file__).resolve().parents[2] / "assets" / "recordings" / "pci"
MIB, GIB = 1 << 20, 1 << 30
LOW = Resource(16, 0xC000_0000, 0xFEBF_FFFF, 0x200200)
HIGH = Resource(17, 0x1_0000_0000, 0x8_FFFF_FFFF, 0x200200)
PORTS = Resource(18, 0x0D00, 0xFFFF, 0x200100)
MEM32, MEM64, PREF64, IO = 0x40200, 0x140204, 0x14220C, 0x40101


def port(bdf, kind, secondary, last=None, parent=None, host="pci0000:00", **more) -> Device:
    """A bridge to bus ``secondary``."""
    return Device(
        bdf, kind, 0x1B36, 0xC, 0x060400, parent=parent, host_bridge=host, secondary=secondary,
        subordinate=last or secondary, **more,
    )  # fmt: skip


def function(bdf, parent=None, *resources, host="pci0000:00", **more) -> Device:
    """An endpoint."""
    more.setdefault("class_code", 0x050000)
    return Device(
        bdf, FunctionKind.ENDPOINT, 0x1AF4, 0x1110, parent=parent, host_bridge=host, resources=resources, **more
    )


def bar(index, size, flags=PREF64) -> Resource:
    """A BAR that has a size but no address yet."""
    return Resource(index, 0, size - 1, flags | IORESOURCE_UNSET)


def host_function(ids=(0x8086, 0x29C0), host="pci0000:00") -> Device:
    """The function 00.0 that stands for the host bridge."""
    return Device(f"{host[3:]}:00.0", FunctionKind.CONVENTIONAL, *ids, 0x060000, host_bridge=host)


def switches(cpu="intel", ids=(0x8086, 0x29C0)) -> Machine:
    """A and B below one switch, C below a second switch on its third port, D and E below root ports, F integrated."""
    return Machine(
        "switches",
        (
            host_function(ids),
            port("0000:00:01.0", FunctionKind.ROOT_PORT, 1, 8),
            port("0000:01:00.0", FunctionKind.UPSTREAM, 2, 8, "0000:00:01.0"),
            port("0000:02:00.0", FunctionKind.DOWNSTREAM, 3, None, "0000:01:00.0"),
            port("0000:02:01.0", FunctionKind.DOWNSTREAM, 4, None, "0000:01:00.0"),
            port("0000:02:02.0", FunctionKind.DOWNSTREAM, 5, 8, "0000:01:00.0"),
            function("0000:03:00.0", "0000:02:00.0"),
            function("0000:03:00.1", "0000:02:00.0"),
            function("0000:04:00.0", "0000:02:01.0"),
            port("0000:05:00.0", FunctionKind.UPSTREAM, 6, 8, "0000:02:02.0"),
            port("0000:06:00.0", FunctionKind.DOWNSTREAM, 7, None, "0000:05:00.0"),
            function("0000:07:00.0", "0000:06:00.0"),
            port("0000:00:02.0", FunctionKind.ROOT_PORT, 9),
            function("0000:09:00.0", "0000:00:02.0"),
            port("0000:00:03.0", FunctionKind.ROOT_PORT, 10),
            function("0000:0a:00.0", "0000:00:03.0"),
            function("0000:00:04.0"),
        ),
        (HostBridge("pci0000:00", (LOW, HIGH, PORTS)),),
        cpu=cpu,
    )


A, A1, B, C, D, E, F = (
    f"0000:{where}" for where in ("03:00.0", "03:00.1", "04:00.0", "07:00.0", "09:00.0", "0a:00.0", "00:04.0")
)
A_PORT, B_PORT, SWITCH, ROOT = "0000:02:00.0", "0000:02:01.0", "0000:01:00.0", "0000:00:01.0"
