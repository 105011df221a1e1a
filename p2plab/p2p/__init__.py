"""The contract between an exporter and an importer, and the hardware it is about: device memory, BAR aperture, DMA."""
