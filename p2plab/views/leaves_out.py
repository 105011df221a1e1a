"""What the model leaves out, in one place; every view shows it or is one step away from it."""

LEAVES_OUT: tuple[tuple[str, str], ...] = (
    ("PCIe ordering", "posted writes arrive in order and at once, but in scene H2; no flush is needed to see them"),
    ("PRI, PASID", "a device has its own page table, or none; only H3's caches translations of the IOMMU (ATS)"),
    ("IOTLB timing", "a translation that is taken out is out at once; with iommu=lazy, when a timer says so"),
    ("CPU caches", "no caching, no write combining, no access widths"),
    ("NUMA", "distance is counted in bridges, not in nodes"),
    ("power management", "a device is on, or gone; reads from a device that was pulled out return all ones"),
    ("page contents", "of each 4 KiB frame 16 bytes are kept"),
    ("durations", "ticks are illustrative: the thread of 2019 gives no measured time"),
)


def as_text(width: int = 72) -> list[str]:
    """The list as lines of at most ``width`` characters."""
    import textwrap

    return [
        line
        for name, what in LEAVES_OUT
        for line in textwrap.wrap(f"{name}: {what}", width - 2, initial_indent="- ", subsequent_indent="  ")
    ]
