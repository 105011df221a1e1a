"""What ``lspci -vv`` shows of virtual functions: a capability with their number, place and the addresses of VF BARs.

It shows no size of a VF BAR (``cap_sriov`` in ls-ecaps.c, pciutils 3.5 to 3.13). One virtual function's share is known from the
BAR of one that is listed, or from the capability *Virtual Resizable BAR*; the VF BAR is that times TotalVFs (``sriov_init``,
drivers/pci/iov.c, v6.12).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from p2plab.pci import lspci_fields as fields
from p2plab.pci.draft import Draft
from p2plab.pci.resource import IORESOURCE_UNSET, IOV_FIRST, Resource

TITLE = "Single Root I/O Virtualization"
#: A VF BAR's line: lspci never adds a size to it, and hardly ever leaves it out of a function's own.
REGION = re.compile(r"Region (\d): Memory at [0-9a-f]{8}(?:[0-9a-f]{8})? \((?:32|64)-bit, (?:non-)?prefetchable\)")
_COUNTS = re.compile(r"Initial VFs: \d+, Total VFs: (\d{1,5}), Number of VFs: (\d{1,5})")
_ENABLED = re.compile(r".*Number of VFs: (\d{1,5})")
_PLACE = re.compile(r"VF offset: (\d{1,5}), stride: (\d{1,5})")


def takes(draft: Draft, text: str) -> bool:
    """Take over a line of the capability; False if it is not understood."""
    if found := _COUNTS.match(text):
        draft.vf_total, draft.vf_enabled = int(found[1]), int(found[2])
    elif found := _ENABLED.match(text):
        draft.vf_enabled = int(found[1])
    elif found := _PLACE.match(text):
        draft.vf_offset, draft.vf_stride = int(found[1]), int(found[2])
    elif REGION.fullmatch(text) and (bar := fields.region(text, 0)):
        index = bar.index + IOV_FIRST
        flags = bar.flags if bar.start else bar.flags | IORESOURCE_UNSET
        draft.resources[index] = Resource(index, bar.start, bar.start, flags, sized=False)
    else:
        return False
    return True


def conclude(drafts: Mapping[str, Draft]) -> None:
    """Which functions are virtual ones, by offset and stride of a physical one or by their name; and the VF BARs' sizes."""
    for draft in drafts.values():
        draft.virtual = "Virtual Function" in draft.name
    for physical in [draft for draft in drafts.values() if draft.vf_enabled or draft.vf_total]:
        virtual = list(_virtual(physical, drafts))
        for found in virtual:
            found.virtual = True
        for bar in [r for r in physical.resources.values() if r.iov]:
            share = _share(physical, virtual, bar)
            if share and physical.vf_total:
                size = share * physical.vf_total
                physical.resources[bar.index] = replace(bar, end=bar.start + size - 1, sized=True)


def unsized(drafts: Mapping[str, Draft]) -> list[str]:
    """The functions with a VF BAR whose size is not known."""
    return [d.bdf for d in drafts.values() if any(r.iov and not r.sized for r in d.resources.values())]


def _virtual(physical: Draft, drafts: Mapping[str, Draft]) -> Iterator[Draft]:
    domain, bus = physical.bus
    slot, function = physical.bdf[-4:-2], physical.bdf[-1]
    first = (bus << 8 | int(slot, 16) << 3 | int(function)) + physical.vf_offset
    for number in range(min(physical.vf_enabled, 1 << 16)):
        at = first + number * physical.vf_stride
        found = drafts.get(f"{domain:04x}:{at >> 8 & 0xFF:02x}:{at >> 3 & 0x1F:02x}.{at & 7}")
        if found is not None and found is not physical:
            yield found


def _share(physical: Draft, virtual: list[Draft], vf_bar: Resource) -> int:
    """Bytes of one virtual function's BAR; 0 where nothing shows it, or what shows it disagrees."""
    index = vf_bar.index - IOV_FIRST
    shown = {r.size for found in virtual if (r := found.resources.get(index)) is not None and r.sized}
    if (entry := physical.vf_rebar.get(index)) is not None:
        shown.add(1 << entry.current + 20)
    return shown.pop() if len(shown) == 1 else 0
