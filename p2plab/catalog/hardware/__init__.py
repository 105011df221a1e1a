"""Cases of the hardware: what a bus, a device or an IOMMU may do unseen by any driver."""
