"""What is known of the CPU, which decides whether a host bridge may be crossed."""

from __future__ import annotations


def cpu_kind(text: str) -> str | None:
    """``intel``, ``zen`` or ``other`` from a CPU's model name or a recording's key; ``None`` for an empty text.

    Only AMD of family 0x17 (Zen) or later counts as ``zen`` (drivers/pci/p2pdma.c, cpu_supports_p2pdma); the model
    names of that family and its successors are EPYC, Ryzen, and Threadripper (inferred from AMD's naming).
    """
    low = text.lower()
    if not low.strip():
        return None
    if "intel" in low:
        return "intel"
    return "zen" if any(word in low for word in ("zen", "epyc", "ryzen", "threadripper")) else "other"


def cpu_of(cpuinfo: str) -> str | None:
    """``intel``, ``zen`` (AMD, family 0x17 or later) or ``other`` from /proc/cpuinfo; ``None`` if it does not say.

    >>> cpu_of("vendor_id : AuthenticAMD\\ncpu family : 25")
    'zen'
    """
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines()[:40]:
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    vendor, family = fields.get("vendor_id"), fields.get("cpu family", "")
    if not cpuinfo.strip():
        return None
    if vendor == "GenuineIntel":
        return "intel"
    return "zen" if vendor == "AuthenticAMD" and family.isdecimal() and int(family[:6]) >= 0x17 else "other"
