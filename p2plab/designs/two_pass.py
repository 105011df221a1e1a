"""Two-pass interval notifiers: the first callback of each listener starts, the second of each waits (7.3; user: xe_userptr.c).

Source: mm/mmu_notifier.c of Linux 7.3 (20260303133409.11609-2-thomas.hellstrom@linux.intel.com, v3). An importer may
return from ``invalidate_start`` with DMA in flight: everything must be over when ``invalidate_finish`` returns. The
second call cannot be left out; after -EAGAIN of another listener it still comes for listeners that had begun. While the second
pass is in use by another invalidation, or when an allocation with GFP_NOWAIT fails, everything is done in the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from p2plab.core.scenario import Role
from p2plab.designs import hmm_interval, sources
from p2plab.designs.cases import design_case
from p2plab.designs.design import GPU, GUEST, KERNEL, NVME, ODP, STOPS, Answer, Fate
from p2plab.designs.hmm_interval import HmmInterval, Migration, Mirror, SilentMigration
from p2plab.designs.memory import END, START
from p2plab.mm import MmuNotifierRange


class TwoPassMirror(Mirror):
    """A mirror whose first pass takes the translations out, and whose second waits for the device and unmaps."""

    two_pass = True
    pending: tuple[int, int] | None = None  #: what the second pass has to finish

    async def invalidate_start(self, range: MmuNotifierRange, cur_seq: int) -> tuple[bool, bool]:
        """Store the number, take translations out, leave the rest to the second pass. Must not sleep: all or nothing."""
        if not range.blockable:
            return await self.invalidate(range, cur_seq), False
        start, end = max(range.start, START), min(range.end, END)
        if self.pending is not None or not any(start <= page < end for page in self.held):
            return await self.invalidate(range, cur_seq), False
        async with self.lock:
            self.set_seq(cur_seq)
            if range.event in ("UNMAP", "RELEASE"):
                self.closed = True
                self.engine.abort()
            self.pending = start, end
            await self.engine.clear(start, end)
        return True, True

    async def invalidate_finish(self, range: MmuNotifierRange, cur_seq: int) -> None:
        """Wait for what is under way, unmap; a fault maps again."""
        async with self.lock:
            if self.pending is None:
                return
            start, end = self.pending
            self.pending = None
            await self.finishes(start, end)
            if not self.closed:
                self.map_again()

    async def finishes(self, start: int, end: int) -> None:
        """Under the lock: the duty of the second pass."""
        if self.drains:
            await self.engine.drain(start, end)
        self.gives_back(start, end)


class SkipsFinish(TwoPassMirror):
    """Returns from the second pass at once, with the first's DMA still under way."""

    drains = False


class KeepsTwoPass(TwoPassMirror):
    """Cannot stop its device."""

    async def invalidate_start(self, range: MmuNotifierRange, cur_seq: int) -> tuple[bool, bool]:
        """Only store the sequence number."""
        self.set_seq(cur_seq)
        return True, False


class TwoPass(HmmInterval):
    """The step list with a two-pass notifier."""

    roles: ClassVar[Mapping[str, Role]] = {
        "importer": Role({"two-pass mirror": TwoPassMirror}, knob="importer"),
        "exporter": Role({"migration": Migration}, knob="exporter"),
    }
    importers: ClassVar[dict[str, type[Any]]] = {
        "good": TwoPassMirror,
        "cannot-stop": KeepsTwoPass,
        "keeps": KeepsTwoPass,
        "broken": SkipsFinish,
    }
    exporters: ClassVar[dict[str, type[Any]]] = {"good": Migration, "broken": SilentMigration}


_ONE_PASS = hmm_interval.DESIGN
DESIGN = replace(
    _ONE_PASS,
    name="two-pass",
    title="two-pass interval notifier",
    since="v7.3",
    kernels=("7.3",),
    play=TwoPass,
    source="mm/mmu_notifier.c; include/linux/mmu_notifier.h; drivers/gpu/drm/xe/xe_userptr.c",
    simplified="as hmm-interval; one listener in the step list, several in the tests of mm.",
    faulty={"importer=broken": "no-stale-dma", "exporter=broken": "told-first"},
    answers={
        **_ONE_PASS.answers,
        "learns of a move by": Answer("invalidate_start, then invalidate_finish; seq", sources.TWO_PASS),
        "importer may keep it": Answer(
            "no (false only if non-blocking)", sources.TWO_PASS, "DMA may be in flight until invalidate_finish returns"
        ),
        "callback may sleep": Answer("yes unless non-blockable; the second always", sources.TWO_PASS),
    },
    fates={
        ODP: Fate("move", "waits in the second pass", sources.TWO_PASS),
        STOPS: Fate("move", "stops instead of faulting, else the same", sources.TWO_PASS),
        NVME: Fate("", "no mirror of its own: it uses get_user_pages", sources.GUP_DEVICE),
        GUEST: Fate("cannot-stop", "a guest's device does not fault", sources.HMM),
        GPU: Fate("move", "xe's user pointers", sources.XE_USERPTR),
        KERNEL: Fate("", "there is no process to mirror", sources.HMM),
    },
)

CASES = (
    design_case(
        "D2",
        "skips-finish",
        DESIGN,
        "the second pass of a two-pass notifier does not wait",
        rule="no-stale-dma",
        about="invalidate_start takes the translations out and leaves the wait to invalidate_finish, which returns at once. "
        "The page moves, and the beat that was under way lands where it was. The twin waits in the second pass.",
        sees="The translations are gone, both callbacks have returned, and a beat lands in somebody else's page.",
        broken={"importer": "broken"},
    ),
)
