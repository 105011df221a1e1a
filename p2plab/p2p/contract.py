"""``p2p_map`` and ``p2p_unmap``: asking an exporter for the addresses behind a vma, and giving them back.

The two callbacks are those of Jérôme Glisse's [RFC PATCH 3/5] of 29 January 2019
(<20190129174728.6430-4-jglisse@redhat.com>); what the caller checks first is that of 5/5, which alone called them.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.core.calls import called
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.mm import AddressSpace, Vma
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import P2PMapFailed, P2PMapped, P2PUnmapped, pages


@dataclass(frozen=True)
class Peer:
    """The importing device, as the exporter gets to know it: a name, and its place on the bus."""

    name: str
    bdf: str


@dataclass(frozen=True)
class Grant:
    """What one successful ``p2p_map`` gave for one page: valid for that importer only."""

    vma: Vma
    page: int
    address: int


async def p2p_map(mm: AddressSpace, peer: Peer, start: int, end: int, write: bool) -> tuple[Grant, ...]:
    """One grant for each page of ``[start, end)``, which must lie in one vma.

    Takes mmap_lock for reading. Raises :class:`KernelError`: -EINVAL for an empty, reversed or unaligned range, -EFAULT
    where there is no vma, where it ends too early, or where it has no ``p2p_map``; else what the exporter says.
    """
    if start >= end or start % PAGE_SIZE or end % PAGE_SIZE:
        raise KernelError("EINVAL", f"{pages(start, end)} is not a range of whole pages")
    async with mm.mmap_lock.read():
        vma = mm.find_vma(start)
        if vma is None or vma.vm_start > start or vma.vm_end < end:
            raise KernelError("EFAULT", f"{pages(start, end)} is not inside one vma")
        exporter = vma.vm_ops
        if exporter is None or not exporter.has("p2p_map"):
            raise KernelError("EFAULT", f"the vma at {vma.vm_start:#x} has no p2p_map")
        addresses: list[int] = [0] * ((end - start) // PAGE_SIZE)
        with called(exporter.name, "p2p_map", f"{peer.name}, {len(addresses)} pages", caller=peer.name) as call:
            try:
                status = await exporter.p2p_map(vma, peer, start, end, addresses, write)
                if status:
                    raise KernelError.from_return(status, f"{exporter.name} refused {pages(start, end)}")
            except KernelError as error:
                emit(P2PMapFailed(peer.name, exporter.name, start, end, error.name))
                raise
            call.result = "0"
        frames = tuple(exporter.frame_behind(vma, start + n * PAGE_SIZE) for n in range(len(addresses)))
    # Only from here on does the importer have it: what is invalidated earlier is not yet its to give back.
    emit(P2PMapped(peer.name, exporter.name, start, end, write, tuple(addresses), frames))
    return tuple(Grant(vma, start + n * PAGE_SIZE, address) for n, address in enumerate(addresses))


async def p2p_unmap(peer: Peer, grants: tuple[Grant, ...]) -> None:
    """Give grants of adjacent pages of one vma back. Takes no lock of mm: it is called from the notifier."""
    if not grants:
        return
    vma, start, end = grants[0].vma, grants[0].page, grants[-1].page + PAGE_SIZE
    exporter = vma.vm_ops
    addresses = tuple(grant.address for grant in grants)
    emit(P2PUnmapped(peer.name, exporter.name, start, end, addresses))
    with called(exporter.name, "p2p_unmap", f"{peer.name}, {len(grants)} pages", caller=peer.name):
        await exporter.p2p_unmap(vma, peer, start, end, list(addresses))
