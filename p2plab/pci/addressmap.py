"""The physical address map: root windows, the bridge windows inside them, down to single BARs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from p2plab.pci.machine import Machine
from p2plab.pci.resource import Resource


@dataclass(frozen=True)
class Span:
    """Bytes ``start``…``end``: a window or VF BAR with what is inside it, or a BAR; ``owner``: a bdf or host bridge."""

    start: int
    end: int
    owner: str
    resource: Resource
    bus: str = ""  #: the bus behind a window, ``0000:03``; empty for a BAR
    children: tuple[Span, ...] = ()

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start + 1

    @property
    def holds(self) -> bool:
        """A window, or a VF BAR: others may lie inside."""
        return bool(self.bus) or self.resource.iov

    @property
    def label(self) -> str:
        """As /proc/iomem names it: ``PCI Bus 0000:03`` for a window, the function for a BAR."""
        return f"PCI Bus {self.bus}" if self.bus else self.owner

    def walk(self) -> Iterator[tuple[int, Span]]:
        """(depth, span) of this one and all inside it, lowest address first."""
        todo = [(0, self)]
        while todo:
            depth, span = todo.pop()
            yield depth, span
            todo += [(depth + 1, child) for child in reversed(span.children)]


def address_map(machine: Machine, io: bool = False) -> tuple[Span, ...]:
    """The outermost spans in memory (or in I/O port space), each with what is nested in it: by domain, lowest first.

    Where the source does not show the host bridges' ranges, the windows and BARs on the root bus are outermost.
    """
    spans = []
    for bridge in machine.host_bridges:
        bus = bridge.name.removeprefix("pci")
        spans += [Span(w.start, w.end, bridge.name, w, bus) for w in bridge.windows if w.io is io]
    for device in machine.devices:
        bus = f"{device.domain:04x}:{device.secondary:02x}" if device.secondary is not None else ""
        for found in device.resources:
            if found.io is io and found.sized and not found.unset and not found.shadow:
                spans.append(Span(found.start, found.end, device.bdf, found, bus if found.window else ""))
    depth = {device.bdf: len(machine.path_up(device.bdf)) for device in machine.devices}
    by_domain: dict[int, list[Span]] = {}
    for span in sorted(spans, key=lambda s: (s.start, -s.end, not s.bus, not s.resource.iov, depth.get(s.owner, 0))):
        by_domain.setdefault(domain_of(span), []).append(span)
    return tuple(top for domain in sorted(by_domain) for top in _nest(by_domain[domain]))


def domain_of(span: Span) -> int:
    """The PCI domain that a span belongs to: ranges of two domains are never inside each other."""
    return int(span.owner.removeprefix("pci").partition(":")[0] or "0", 16)


def _nest(spans: list[Span]) -> tuple[Span, ...]:
    """Put each span into the innermost one before it that covers it; ``spans`` are sorted, outer before inner."""
    open_spans: list[tuple[Span, list[Span]]] = []
    outermost: list[Span] = []

    def close() -> None:
        span, inside = open_spans.pop()
        (open_spans[-1][1] if open_spans else outermost).append(replace(span, children=tuple(inside)))

    for span in spans:
        while open_spans and not (open_spans[-1][0].holds and span.end <= open_spans[-1][0].end):
            close()
        open_spans.append((span, []))
    while open_spans:
        close()
    return tuple(outermost)
