"""The PCI side: config space, BARs and windows, the tree, and which device can reach which, by the rules of each kernel.

>>> from p2plab.pci import Resource
>>> str(Resource(14, 0xFE000000, 0xFE7FFFFF, 0x200))
'[mem 0xfe000000-0xfe7fffff]'
"""

from __future__ import annotations

from p2plab.pci.acs import Acs
from p2plab.pci.acs_boot import with_boot_options
from p2plab.pci.addressmap import Span, address_map
from p2plab.pci.allocate import Allocation, Refusal, assign_resources, without_addresses
from p2plab.pci.bars import ConfigSpace, probe_bars
from p2plab.pci.device import Device, FunctionKind
from p2plab.pci.dma import DmaAddress, dma_map, pci_p2pdma_add_resource
from p2plab.pci.invariants import broken
from p2plab.pci.kernel import KERNELS, LINUX_6_1, LINUX_6_12, LINUX_7_3, RFC2019, TODAY, PciKernel, kernel_named
from p2plab.pci.lspci import read_lspci
from p2plab.pci.machine import Decode, HostBridge, Machine
from p2plab.pci.matrix import Matrix, Reachability, reach_matrix
from p2plab.pci.reach import (
    MapType,
    ReachVerdict,
    distance_many,
    nearest,
    pci_test_p2p,
    reach_verdict,
    with_acs,
    with_cpu,
    with_ids,
)
from p2plab.pci.rebar import ResizableBar
from p2plab.pci.recording import read_recording
from p2plab.pci.resize import resize_bar, with_decode
from p2plab.pci.resource import Resource
from p2plab.pci.resource import Resource as Bar
from p2plab.pci.source import read_machine
from p2plab.pci.sysfs import read_sysfs

__all__ = [
    "KERNELS",
    "LINUX_6_1",
    "LINUX_6_12",
    "LINUX_7_3",
    "RFC2019",
    "TODAY",
    "Acs",
    "Allocation",
    "Bar",
    "ConfigSpace",
    "Decode",
    "Device",
    "DmaAddress",
    "FunctionKind",
    "HostBridge",
    "Machine",
    "MapType",
    "Matrix",
    "PciKernel",
    "ReachVerdict",
    "Reachability",
    "Refusal",
    "ResizableBar",
    "Resource",
    "Span",
    "address_map",
    "assign_resources",
    "broken",
    "distance_many",
    "dma_map",
    "kernel_named",
    "nearest",
    "pci_p2pdma_add_resource",
    "pci_test_p2p",
    "probe_bars",
    "reach_matrix",
    "reach_verdict",
    "read_lspci",
    "read_machine",
    "read_recording",
    "read_sysfs",
    "resize_bar",
    "with_acs",
    "with_boot_options",
    "with_cpu",
    "with_decode",
    "with_ids",
    "without_addresses",
]
