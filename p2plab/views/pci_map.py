"""The physical address map as boxes to draw: exact hex labels, and a scale on which 4 KiB beside 32 GiB stays readable.

A double cannot hold every 64-bit address, so no address is a coordinate: each stretch between two edges gets a width
that grows with the logarithm of its size, and the boxes are placed by the sums of those widths.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from p2plab.core.errors import BadInput
from p2plab.pci import Machine, Span, address_map
from p2plab.pci.addressmap import domain_of

#: Width of an empty stretch, whatever its size.
GAP = 0.5
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


@dataclass(frozen=True)
class Box:
    """One window or BAR: ``left``/``right`` on the stretched scale, ``depth`` from the outside in."""

    left: float
    right: float
    depth: int
    owner: str
    name: str
    start: str
    end: str
    size: str
    window: bool


@dataclass(frozen=True)
class MapView:
    """Boxes, outer before inner, and the axis: (position, hex address) of every edge."""

    low: int
    high: int
    boxes: tuple[Box, ...]
    ticks: tuple[tuple[float, str], ...]


def map_view(machine: Machine, low: int = 0, high: int = (1 << 64) - 1, io: bool = False) -> MapView:
    """What lies in [low, high] of memory or, with ``io``, of the ports: the zoom. Raises BadInput for an empty range."""
    if not 0 <= low <= high < 1 << 64:
        raise BadInput(f"the range {low:#x}-{high:#x}; allowed: 0 <= low <= high < 2^64")
    spans = _in_bands(address_map(machine, io))
    seen = [(depth, span) for depth, span in spans if span.start <= high and low <= span.end]
    edges = sorted({edge for _, s in seen for edge in (max(s.start, low), min(s.end, high) + 1)})
    places = _places(edges, [span for _, span in seen])
    boxes = tuple(_box(depth, span, low, high, edges, places) for depth, span in seen)
    digits = 4 if io else 8
    return MapView(low, high, boxes, tuple((places[n], f"{edge:#0{digits + 2}x}") for n, edge in enumerate(edges)))


def _in_bands(tops: tuple[Span, ...]) -> list[tuple[int, Span]]:
    """(depth, span) of everything, each domain in a separate band of depths, so that none covers another."""
    entries: list[tuple[int, Span]] = []
    band = 0
    for _, domain in itertools.groupby(tops, key=domain_of):
        here = [(band + depth, span) for top in domain for depth, span in top.walk()]
        entries += here
        band = max(depth for depth, _ in here) + 1
    return entries


def zoom(machine: Machine, bdf: str, io: bool = False) -> tuple[int, int]:
    """The range to look at for one function: its windows, or else the window of the bridge above it, or its BARs."""
    device = machine[bdf]
    above = machine.parent(bdf)
    candidates = (device.windows, above.windows if above else (), device.bars)
    for found in candidates:
        here = [r for r in found if r.io is io and r.sized and not r.unset]
        if here:
            return min(r.start for r in here), max(r.end for r in here)
    raise BadInput(f"{device.bdf} has nothing in {'I/O ports' if io else 'memory'}")


def human_size(size: int) -> str:
    """Bytes with a binary unit, exact.

    >>> human_size(4096), human_size(3 << 29), human_size(0x3800)
    ('4 KiB', '1536 MiB', '14 KiB')
    """
    unit = 0
    while size and size % 1024 == 0 and unit < len(_UNITS) - 1:
        size, unit = size // 1024, unit + 1
    return f"{size} {_UNITS[unit]}"


def _places(edges: list[int], spans: list[Span]) -> list[float]:
    """The position of each edge; a stretch is as wide as it has bits above 4 KiB, plus one."""
    covered = _covered(edges, spans)
    places = [0.0]
    for n in range(len(edges) - 1):
        bits = max((edges[n + 1] - edges[n]).bit_length() - 12, 0)
        places.append(places[-1] + (1 + bits / 4 if covered[n] else GAP))
    return places


def _covered(edges: list[int], spans: list[Span]) -> list[bool]:
    """Whether anything is between an edge and the next one."""
    change = [0] * (len(edges) + 1)
    for span in spans:
        change[bisect_left(edges, span.start)] += 1
        change[min(bisect_left(edges, span.end + 1), len(edges))] -= 1
    return [depth > 0 for depth in _running(change)]


def _running(change: list[int]) -> Iterator[int]:
    depth = 0
    for step in change:
        depth += step
        yield depth


def _box(depth: int, span: Span, low: int, high: int, edges: list[int], places: list[float]) -> Box:
    left = places[bisect_left(edges, max(span.start, low))]
    right = places[bisect_left(edges, min(span.end, high) + 1)]
    name = span.resource.name + (f" to bus {span.bus}" if span.bus else "")
    return Box(
        left,
        right,
        depth,
        span.owner,
        name,
        f"{span.start:#x}",
        f"{span.end:#x}",
        human_size(span.size),
        bool(span.bus),
    )
