"""What dma_map gives to a client, and which BARs can be offered at all."""

from dataclasses import replace

import pytest

from p2plab.core.errors import BadInput, KernelError
from p2plab.pci import RFC2019, DmaAddress, HostBridge, Machine, Resource, dma_map, pci_p2pdma_add_resource
from p2plab.pci.dma import first_iova
from tests.pci.build import MEM32, PREF64, A, B, D, F, switches

LOW_BAR = Resource(2, 0xD000_0000, 0xDFFF_FFFF, PREF64)
HIGH_BAR = Resource(2, 0x8_0000_0000, 0x8_0FFF_FFFF, PREF64)


def machine(bar=LOW_BAR, **more) -> Machine:
    """The switches, with a BAR at A."""
    base = switches(**more)
    return replace(base, devices=tuple(replace(d, resources=(bar,)) if d.bdf == A else d for d in base))


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
