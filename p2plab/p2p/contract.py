"""``p2p_map`` and ``p2p_unmap``: asking an exporter for the addresses behind a vma, and giving them back.

The two callbacks are those of Jérôme Glisse's [RFC PATCH 3/5] of 29 January 2019
(<20190129174728.6430-4-jglisse@redhat.com>); what the caller checks first is from 5/5, the only caller.
Who calls whom depends on the exporter's wiring (:mod:`p2plab.p2p.wiring`); every call is in the log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, cast

from p2plab.core.calls import called
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.mm import VM_DEVICE, AddressSpace, Vma, VmOperations
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import MapAsked, P2PMapFailed, P2PMapped, P2PUnmapped, UseAfterFree, pages
from p2plab.p2p.wiring import WIRINGS, Wiring


class Interconnect(Protocol):
    """What a device sends its accesses into."""

    def behind(self, address: int, peer: Peer) -> str:
        """The frame (``A[2]``) at ``address``, as ``peer`` sends it; empty if there is none."""
        ...


@dataclass(frozen=True)
class Peer:
    """The importing device, as the exporter sees it: a name, and its place on the bus."""

    name: str
    bdf: str
    bus: Interconnect | None = field(
        default=None, compare=False, repr=False
    )  #: what its accesses go through, where it is modelled


@dataclass(frozen=True)
class Grant:
    """What one successful ``p2p_map`` gave for one page: valid for ``importer`` only.

    ``pointer`` is the vma pointer that the importer kept, to be compared; ``vma`` follows it, and reading a field of a
    vma that was freed meanwhile is a use after free.
    """

    pointer: Vma
    page: int
    address: int
    importer: str = ""

    @property
    def vma(self) -> Vma:
        """The vma. Once it was freed, reading it gives what is left there, and the log says so."""
        return cast(Vma, _Freed(self)) if self.pointer.freed else self.pointer


class _Freed:
    """The memory that a vma had: its fields still have their last values, unless it is poisoned or was reused."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant

    def __getattr__(self, name: str) -> object:
        emit(UseAfterFree(self._grant.importer, f"the vma of {self._grant.page:#x}, and reads {name}"))
        return getattr(self._grant.pointer, name)


def check_range(start: int, end: int) -> None:
    """-EINVAL unless ``[start, end)`` is a range of whole pages that is not empty."""
    if start >= end or start % PAGE_SIZE or end % PAGE_SIZE:
        raise KernelError("EINVAL", f"{pages(start, end)} is not a range of whole pages")


async def p2p_map(mm: AddressSpace, peer: Peer, start: int, end: int, write: bool) -> tuple[Grant, ...]:
    """One grant for each page of ``[start, end)``, which must lie in one vma. The caller holds mmap_lock.

    It should hold it until it has checked that the range is still valid: the vma of a grant lives no longer. Raises
    :class:`KernelError`: -EINVAL for an empty, reversed or unaligned range, -EFAULT where there is no vma, where it
    ends too early, or where it has no ``p2p_map``; else what the exporter says.
    """
    check_range(start, end)
    if mm.mmap_lock.mode_held_by_me() is None:
        raise RuntimeError(f"p2p_map without {mm.mmap_lock.name}")
    vma = mm.find_vma(start)
    if vma is None or vma.vm_start > start or vma.vm_end < end:
        raise KernelError("EFAULT", f"{pages(start, end)} is not inside one vma")
    return await ask(vma, peer, start, end, write)


async def ask(vma: Vma, peer: Peer, start: int, end: int, write: bool) -> tuple[Grant, ...]:
    """Call the vma's ``p2p_map``, without checking that the range lies in the vma; one grant a page.

    -EFAULT where the vma has no ``p2p_map``; else what the exporter says.
    """
    exporter = vma.vm_ops
    if exporter is None or not exporter.has("p2p_map"):
        with called("hmm", "hmm_range_dma_map", f"{(end - start) // PAGE_SIZE} pages", caller=peer.name):
            raise KernelError("EFAULT", f"the vma at {vma.vm_start:#x} has no p2p_map")
    name = str(getattr(exporter, "name", "exporter"))
    addresses: list[int] = [0] * ((end - start) // PAGE_SIZE)
    emit(MapAsked(peer.name, name, start, end, vma.vm_start, vma.vm_end, vma.vm_mm.name))
    status = 0
    try:
        status = await _wiring(exporter).map(vma, peer, start, end, addresses, write)
        if status:
            raise KernelError.from_return(status, f"{name} refused {pages(start, end)}")
    except KernelError as error:
        emit(P2PMapFailed(peer.name, name, start, end, error.name, status))
        raise
    wanted = getattr(vma.vm_file, "frame_behind", None) or getattr(exporter, "frame_behind", None)
    frames = tuple(str(wanted(vma, start + n * PAGE_SIZE)) if wanted else "" for n in range(len(addresses)))
    # What memory shows, not what the exporter claims: its promises are judged by this.
    shows = tuple(peer.bus.behind(address, peer) for address in addresses) if peer.bus is not None else ()
    emit(P2PMapped(peer.name, name, start, end, write, tuple(addresses), frames, vma.vm_mm.name, shows))
    return tuple(Grant(vma, start + n * PAGE_SIZE, address, peer.name) for n, address in enumerate(addresses))


async def p2p_unmap(peer: Peer, grants: tuple[Grant, ...]) -> None:
    """Give grants of adjacent pages of one vma back. Takes no lock of mm: it is called from the notifier.

    RuntimeError (an oops) if the vma was freed meanwhile and is poison. On a plain kernel ``vma_close`` has left
    ``vma_dummy_vm_ops`` there, which have no ``p2p_unmap``: nothing happens, and the pages stay lent (mm/vma.c, 6.12).
    """
    if not grants:
        return
    vma, start, end = grants[0].pointer, grants[0].page, grants[-1].page + PAGE_SIZE
    if vma.freed:
        emit(UseAfterFree(peer.name, f"the vma of {pages(start, end)}"))
        if not vma.vm_mm.poisoned:
            return
        raise RuntimeError(f"general protection fault: vm_ops of a freed vma, {pages(start, end)}")
    exporter = vma.vm_ops
    name = str(getattr(exporter, "name", "exporter"))
    addresses = tuple(grant.address for grant in grants)
    emit(P2PUnmapped(peer.name, name, start, end, addresses))
    if exporter is None or not exporter.has("p2p_unmap"):
        return  # it is optional: an exporter may do without it
    await _wiring(exporter).unmap(vma, peer, start, end, list(addresses))  # 5/5 ignores the status; the log does not


def _wiring(ops: VmOperations) -> Wiring:
    """The kernel's way from an importer to these ``vm_ops``."""
    exporter = getattr(ops, "exporter", ops)
    return WIRINGS[getattr(exporter, "wiring", "as-intended")]


def device_parts(mm: AddressSpace, start: int, end: int) -> list[tuple[int, int]]:
    """``[start, end)`` as the caller of ``p2p_map`` splits it: one part a device vma, holes left out."""
    return [
        (max(start, vma.vm_start), min(end, vma.vm_end))
        for vma in mm.vmas
        if vma.vm_start < end and start < vma.vm_end and vma.vm_flags & VM_DEVICE
    ]


__all__ = ["Grant", "Peer", "ask", "check_range", "device_parts", "p2p_map", "p2p_unmap"]
