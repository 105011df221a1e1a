"""p2plab: an explorer of peer-to-peer mappings between PCI devices, one exact step at a time."""

__version__ = "0.1.0"
