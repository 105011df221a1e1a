"""The PCI side: config space, BARs and windows, the tree, and who can reach whom, in 2019 and today.

>>> from p2plab.pci import Resource
>>> str(Resource(14, 0xFE000000, 0xFE7FFFFF, 0x200))
'[mem 0xfe000000-0xfe7fffff]'
"""

from p2plab.pci.acs import Acs
from p2plab.pci.device import Device, Kind
from p2plab.pci.lspci import read_lspci
from p2plab.pci.machine import Decode, HostBridge, Machine
from p2plab.pci.recording import read_recording
from p2plab.pci.resource import Resource

#: A BAR is a resource with an index from 0 to 5.
Bar = Resource

__all__ = [
    "Acs",
    "Bar",
    "Decode",
    "Device",
    "HostBridge",
    "Kind",
    "Machine",
    "Resource",
    "read_lspci",
    "read_recording",
]
