"""Allocating memory, as far as locks are concerned: which flags let the allocator reclaim, and so call notifiers.

Source of the rules: ``fs_reclaim_acquire`` and ``__need_reclaim`` (mm/page_alloc.c), ``current_gfp_context``
(include/linux/sched/mm.h). Memory never runs out here: what matters is what may happen under the locks that are held.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from p2plab.core.actors import step
from p2plab.core.lockdep import FS_RECLAIM, NOTIFIER
from p2plab.core.locks import note_wanted


@dataclass(frozen=True)
class Gfp:
    """``direct_reclaim``: the allocation may reclaim before it returns, and sleep; ``fs``: also through file systems."""

    name: str
    direct_reclaim: bool = True
    fs: bool = True

    def __str__(self) -> str:
        return self.name


GFP_KERNEL = Gfp("GFP_KERNEL")
GFP_NOFS = Gfp("GFP_NOFS", fs=False)
GFP_NOIO = Gfp("GFP_NOIO", fs=False)
GFP_NOWAIT = Gfp("GFP_NOWAIT", direct_reclaim=False)
GFP_ATOMIC = Gfp("GFP_ATOMIC", direct_reclaim=False)


def memalloc_nofs(gfp: Gfp) -> Gfp:
    """What ``gfp`` means between ``memalloc_nofs_save`` and ``memalloc_nofs_restore``: it still reclaims, and still
    calls notifiers."""
    return replace(gfp, name=f"{gfp} in memalloc_nofs", fs=False)


def memalloc_noreclaim(gfp: Gfp) -> Gfp:
    """What ``gfp`` means between ``memalloc_noreclaim_save`` and its ``_restore`` (``PF_MEMALLOC``): no reclaim at all."""
    return replace(gfp, name=f"{gfp} in memalloc_noreclaim", direct_reclaim=False, fs=False)


def might_alloc(gfp: Gfp) -> None:
    """Note for lockdep that ``gfp`` will be used under the locks that are held."""
    if gfp.direct_reclaim:
        note_wanted(FS_RECLAIM if gfp.fs else NOTIFIER, "map")


async def kzalloc(what: str, gfp: Gfp = GFP_KERNEL) -> None:
    """Allocate ``what``: one step if the flags let it reclaim, and so sleep; within the running step if not."""
    might_alloc(gfp)
    if gfp.direct_reclaim:
        await step(f"allocates {what} ({gfp})")
