"""Which notifier calls does an operation make? Answered by running the model: each operation on each kind of memory.

:func:`ask` gives one answer as a value: the rows, what the call returned, and the address space before and after.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from p2plab.core.actors import run_alone
from p2plab.core.errors import BadInput, KernelError
from p2plab.core.names import unknown
from p2plab.core.world import World
from p2plab.mm.ask_operations import OPERATIONS, Operation
from p2plab.mm.ask_specimen import KINDS, PAGES, START, Specimen
from p2plab.mm.flags import PAGE_SIZE, PMD_SIZE
from p2plab.mm.interval import mmu_interval_notifier_insert
from p2plab.mm.kernel import TODAY, Kernel
from p2plab.mm.recorder import IntervalRecorder, NotifierRecorder
from p2plab.mm.snapshot import SpaceShot, snapshot
from p2plab.mm.touch import Signal

#: Addresses around the mapping that an answer looks at
AROUND = (START - PMD_SIZE, START + 8 * PMD_SIZE)


@dataclass(frozen=True, slots=True)
class Row:
    """One invalidation: pages [start, end) counted from the start of the mapping (None: the whole address space).

    ``mmap_lock``: how any task holds it; ``locks``: what the caller itself holds, see :func:`p2plab.mm.locks.locks_held`.
    ``heard_by`` names the listeners that were called: ``notifier`` (start and end), ``interval`` or ``release``.
    """

    event: str
    start: int | None
    end: int | None
    mmap_lock: str
    blockable: bool
    heard_by: tuple[str, ...]
    locks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """What one operation does to one kind of memory. No rows means that no listener hears anything."""

    operation: str
    kind: str
    kernel: str
    what: str
    returned: str
    rows: tuple[Row, ...]
    source: str
    before: SpaceShot
    after: SpaceShot


def ask(operation: str, kind: str, kernel: Kernel = TODAY) -> Effect:
    """Run ``operation`` on memory of ``kind``. BadInput lists what there is.

    >>> [(row.event, row.start, row.end, row.mmap_lock) for row in ask("munmap", "device").rows]
    [('UNMAP', 0, 16, 'read')]
    >>> ask("fork", "device").rows
    ()
    """
    if operation not in OPERATIONS:
        raise BadInput(unknown("operation", operation, list(OPERATIONS), "`p2plab events`"))
    if kind not in KINDS:
        raise BadInput(unknown("kind of memory", kind, list(KINDS), "`p2plab events`"))
    answers: list[Effect] = []

    async def story() -> None:
        answers.append(await _run(OPERATIONS[operation], kind, kernel))

    World(lambda _world: run_alone(story))
    return answers[0]


async def _run(operation: Operation, kind: str, kernel: Kernel) -> Effect:
    specimen = Specimen(kind, kernel)
    await specimen.set_up()
    with contextlib.suppress(KernelError):  # memory that refuses the preparation is asked as it is
        await operation.prepare(specimen)
    heard: list[dict[str, Any]] = []
    await _listen(specimen, heard)
    before = snapshot(specimen.mm, *AROUND)
    returned = "0"
    try:
        unknown = kind in operation.not_modelled
        returned = "unknown: the model does not have it" if unknown else await operation.do(specimen) or "0"
    except KernelError as error:
        returned = str(error)
    except Signal as signal:
        returned = f"{signal.name} at page {(signal.address - START) // PAGE_SIZE}"
    after = snapshot(specimen.mm, *AROUND)
    what = (operation.name, kind, kernel.name, operation.what)
    return Effect(*what, returned, _rows(heard), source_in(operation.source, kernel.name), before, after)


async def _listen(specimen: Specimen, heard: list[dict[str, Any]]) -> None:
    def page(address: int) -> int:
        return (address - START) // PAGE_SIZE

    await specimen.mm.mmu_notifier_register(NotifierRecorder(heard.append, page))
    if specimen.mm.kernel.interval_notifiers:
        interval = IntervalRecorder(heard.append, page, refuse=False)
        await mmu_interval_notifier_insert(interval, specimen.mm, START, PAGES[specimen.kind] * PAGE_SIZE)
    heard.clear()


def _rows(heard: list[dict[str, Any]]) -> tuple[Row, ...]:
    """One row for each invalidation, however many kinds of listener heard it."""
    rows: list[Row] = []
    low, high = ((address - START) // PAGE_SIZE for address in AROUND)
    for call in heard:
        elsewhere = call["start"] is not None and not low <= call["start"] < high
        if call["cb"] == "end" or elsewhere:
            continue
        listener = "notifier" if call["cb"] == "start" else call["cb"]
        event = call.get("event", "release")
        row = Row(
            event, call["start"], call["end"], call["mmap_lock"], call["blockable"], (listener,), call.get("locks", ())
        )
        last = rows[-1] if rows else None
        if last is not None and call["cb"] == "start" and last.heard_by == ("interval",) and _same(last, row):
            rows[-1] = replace(row, heard_by=("interval", "notifier"))
        else:
            rows.append(row)
    return tuple(rows)


def _same(first: Row, second: Row) -> bool:
    return (first.event, first.start, first.end) == (second.event, second.start, second.end)


#: Where each kernel has the rule of an operation: operations name today's function, and older kernels had others. 6.1 and 6.12
#: were read for every name. 5.0 was read for munmap alone (``__do_munmap``); elsewhere its source is 6.1's, inferred, as its
#: behaviour is (:mod:`p2plab.mm.kernel`).
_ABSENT = "this kernel does not have it"
_SPLIT = "mm/mmap.c do_mas_align_munmap, __split_vma"
_MPROTECT = "mm/mprotect.c change_pmd_range"

#: Today's source -> kernel -> that kernel's, where it differs. 6.1's holds for rfc2019 too, unless that has its own.
_ELSEWHERE: Mapping[str, Mapping[str, str]] = {
    "mm/vma.c vms_complete_munmap_vmas": {
        "6.1": "mm/mmap.c do_mas_align_munmap",
        "rfc2019": "mm/mmap.c __do_munmap",
    },
    "mm/vma.c vms_gather_munmap_vmas": {"6.1": _SPLIT, "rfc2019": "mm/mmap.c __do_munmap, __split_vma"},
    "mm/vma.c __mmap_region": {"6.12": "mm/mmap.c mmap_region", "6.1": "mm/mmap.c mmap_region"},
    "mm/mprotect.c change_pud_range": {"6.1": _MPROTECT},
    "mm/mremap.c move_page_tables, then do_vmi_munmap": {"6.1": "mm/mremap.c move_page_tables, then do_munmap"},
    "mm/mremap.c move_vma; refused in check_prep_vma": {
        "6.12": "mm/mremap.c move_vma; refused in vma_to_resize",
        "6.1": "mm/mremap.c move_vma; refused in vma_to_resize",
        "rfc2019": "mm/mremap.c mremap (the flag is unknown)",
    },
    "mm/mremap.c check_prep_vma": {"6.12": "mm/mremap.c vma_to_resize", "6.1": "mm/mremap.c vma_to_resize"},
    "mm/memory.c zap_special_vma_range": {"6.12": "mm/memory.c zap_vma_ptes", "6.1": "mm/memory.c zap_vma_ptes"},
    "mm/gup.c faultin_page_range": {"6.1": "mm/gup.c faultin_vma_page_range"},
    "mm/memory.c do_pte_missing": {"6.1": "mm/memory.c handle_pte_fault"},
    "mm/userfaultfd.c mfill_atomic_copy": {"6.1": "mm/userfaultfd.c mcopy_atomic"},
    "mm/userfaultfd.c move_pages": {"6.1": _ABSENT},
    "mm/mseal.c do_mseal": {"6.1": _ABSENT},
    "mm/madvise.c madvise_guard_install": {"6.12": _ABSENT, "6.1": _ABSENT},
}


def source_in(source: str, kernel: str) -> str:
    """Where the kernel of that name (``6.1``) has the rule whose source today is ``source``."""
    elsewhere = _ELSEWHERE.get(source, {})
    if kernel in elsewhere:
        return elsewhere[kernel]
    if kernel != "rfc2019":
        return source
    as_later = elsewhere.get("6.1", source)
    return as_later if as_later == _ABSENT else f"{as_later} (of 6.1, inferred)"
