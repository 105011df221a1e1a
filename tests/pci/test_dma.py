"""What dma_map gives to a client, and which BARs can be offered at all."""

from dataclasses import replace

import pytest

from p2plab.core.errors import BadInput, KernelError, NotKnown
from p2plab.pci import (
    RFC2019,
    DmaAddress,
    HostBridge,
    Machine,
    Resource,
    dma_map,
    pci_p2pdma_add_resource,
    read_lspci,
    with_ids,
)
from p2plab.pci.dma import first_iova
from tests.pci.build import MEM32, PREF64, A, B, D, F, switches

LOW_BAR = Resource(2, 0xD000_0000, 0xDFFF_FFFF, PREF64)
HIGH_BAR = Resource(2, 0x8_0000_0000, 0x8_0FFF_FFFF, PREF64)


def machine(bar=LOW_BAR, **more) -> Machine:
    """The switches, with a BAR at A."""
    base = switches(**more)
    devices = tuple(replace(d, resources=(bar,)) if d.bdf == A else d for d in base)
    return replace(base, devices=devices, iommu=False)


def error(call) -> tuple[str, int]:
    with pytest.raises(KernelError) as caught:
        call()
    return caught.value.name, caught.value.errno


def test_below_one_switch_the_client_gets_the_bus_address():
    """Also with an IOMMU: the request never gets that far up."""
    assert dma_map(machine(), A, B) == DmaAddress(0xD000_0000, "bus")
    assert dma_map(machine(), A, B, iommu=True) == DmaAddress(0xD000_0000, "bus")


def test_a_bus_address_may_be_offset_from_the_cpus():
    """Zero on x86, not so on some ARM machines."""
    assert dma_map(machine(), A, B, bus_offset=-0x4000_0000) == DmaAddress(0x9000_0000, "bus")


def test_through_the_host_bridge_it_is_the_physical_address_or_an_iova():
    """Depending on whether an IOMMU translates."""
    assert dma_map(machine(cpu="zen"), A, D, offset=0x1000) == DmaAddress(0xD000_1000, "phys")
    assert dma_map(machine(cpu="zen"), A, D, iommu=True) == DmaAddress(0xFFFF_F000, "iova")


def test_no_way_is_eremoteio():
    """What dma_map_sgtable returns for NOT_SUPPORTED."""
    assert error(lambda: dma_map(machine(), A, D)) == ("EREMOTEIO", 121)


def test_2019_maps_without_asking():
    """pci_p2pdma_map_sg of 5.0 gives the bus address; whoever calls it has asked for the distance before."""
    assert dma_map(machine(), A, D, kernel=RFC2019) == DmaAddress(0xD000_0000, "bus")


def test_a_mask_is_checked_on_the_way_through_the_host_bridge_only():
    """A BAR above 4 GiB and a 32-bit client: EIO, but below one switch nobody looks; an IOMMU cures it."""
    high = machine(HIGH_BAR, cpu="zen")
    assert error(lambda: dma_map(high, A, D, mask_bits=32)) == ("EIO", 5)
    assert dma_map(high, A, B, mask_bits=32) == DmaAddress(0x8_0000_0000, "bus")
    assert dma_map(high, A, D, mask_bits=32, iommu=True) == DmaAddress(0xFFFF_F000, "iova")


@pytest.mark.parametrize(
    ("bar", "offset", "size"),
    [
        (Resource(2, 0xD000_0000, 0xD00F_FFFF, PREF64), 0, 0),
        (Resource(2, 0xC000, 0xC0FF, 0x40101), 0, 0),
        (LOW_BAR, 0x1000_0000, 0),
        (LOW_BAR, 0, 0x2000_0000),
        (LOW_BAR, 0x10_0000, 0),
        (Resource(2, 0, 0xFFF_FFFF, PREF64 | 0x2000_0000), 0, 0),
    ],
)
def test_what_cannot_be_offered_is_einval(bar, offset, size):
    """Less than 2 MiB, an I/O BAR, outside the BAR, off a 2 MiB step, without an address."""
    device = machine(bar)[A]
    assert error(lambda: pci_p2pdma_add_resource(device, 2, size, offset)) == ("EINVAL", 22)


def test_a_part_of_a_bar_can_be_offered():
    """The rest from the offset on, if no size is given."""
    assert pci_p2pdma_add_resource(machine()[A], 2, offset=0x20_0000) == Resource(2, 0xD020_0000, 0xDFFF_FFFF, PREF64)
    with pytest.raises(KernelError, match="has no memory BAR 5"):
        pci_p2pdma_add_resource(machine()[A], 5)


def test_an_iova_keeps_clear_of_msi_and_host_bridge_windows():
    """The highest place that fits: 1 MiB still goes above the MSIs, 32 MiB must go below all windows."""
    assert first_iova(machine(), D, 4096) == 0xFFFF_F000
    assert first_iova(machine(), D, 1 << 20) == 0xFFF0_0000
    assert first_iova(machine(), D, 32 << 20) == 0xBE00_0000
    assert first_iova(machine(), D, 4096, 24) == 0xFF_F000


def test_an_iova_pushed_out_of_one_window_may_fall_into_the_next():
    """Two windows side by side: the search goes on below both."""
    two = (Resource(16, 0x8000_0000, 0xBFFF_FFFF, 0x200200), Resource(17, 0xC000_0000, 0xFEBF_FFFF, 0x200200))
    machine = replace(switches(), host_bridges=(HostBridge("pci0000:00", two),))
    assert first_iova(machine, D, 32 << 20) == 0x7E00_0000


def test_odd_requests_are_refused():
    """A mask of no bits, a range outside the BAR, a device without memory."""
    with pytest.raises(BadInput, match="allowed: 1 to 64"):
        dma_map(machine(), A, B, mask_bits=0)
    assert error(lambda: dma_map(machine(), A, B, offset=0x1000_0000)) == ("EINVAL", 22)
    assert error(lambda: dma_map(machine(), F, A)) == ("EINVAL", 22)
    assert error(lambda: dma_map(machine(Resource(0, 0xFEA0_0000, 0xFEA0_0FFF, MEM32)), A, B)) == ("EINVAL", 22)


def test_whether_an_iommu_translates_is_asked_for_where_it_decides():
    """Through the host bridge; below one switch it never sees the request."""
    unknown = replace(machine(cpu="zen"), iommu=None)
    with pytest.raises(NotKnown, match="whether an IOMMU translates: --iommu on or off"):
        dma_map(unknown, A, D)
    assert dma_map(unknown, A, B).kind == "bus"


def test_a_bus_address_is_the_cpus_only_where_nothing_translates():
    """From the host bridge's windows, from a function's registers, from its neighbours, or 0 on x86; else not known."""
    plain = with_ids(machine(cpu="other"), {"0000:00:00.0": (0x1DEF, 0xE100)})
    with pytest.raises(NotKnown, match=r"how pci0000:00 translates: lspci -x beside -v"):
        dma_map(plain, A, B)
    whole = Resource(16, 0, (1 << 64) - 1, 0x200200)
    bridge = replace(plain.host_bridges[0], windows=(whole,), offsets=(-0x4000_0000,))
    assert dma_map(replace(plain, host_bridges=(bridge,)), A, B).address == 0x9000_0000
    for bdf in (A, D):
        shown = replace(plain, devices=tuple(replace(d, bus_offset=-0x1000_0000) if d.bdf == bdf else d for d in plain))
        assert dma_map(shown, A, B).address == 0xC000_0000
    assert dma_map(machine(cpu="other"), A, B).address == 0xD000_0000


def test_registers_beside_v_show_how_the_host_bridge_translates():
    """lspci -v prints the kernel's addresses, -x what the function answers to."""
    config = bytearray(64)
    config[0:4], config[4], config[0x10:0x18] = bytes.fromhex("4d14 08a8"), 6, (0x4000_0004).to_bytes(8, "little")
    rows = "\n".join(f"{at:02x}: {config[at : at + 16].hex(' ')}" for at in range(0, 64, 16))
    text = f"01:00.0 Non-Volatile memory controller: Disk\n\tRegion 0: Memory at 600040000000 (64-bit) [size=16K]\n{rows}\n"
    assert read_lspci(text)["01:00.0"].bus_offset == 0x4000_0000 - 0x6000_4000_0000
    dmesg = "[ 0.100000] pci_bus 0002:00: root bus resource [mem 0x6000000000-0x60ffffffff window]"
    dmesg += " (bus address [0x00000000-0xffffffff])"
    assert read_lspci(f"0002:00:00.0 PCI bridge: Port\n\n{dmesg}\n").host_bridges[0].offsets == (-0x60_0000_0000,)
