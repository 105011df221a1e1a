"""Which notifier calls does an operation make? Answered by running the model: each operation on each kind of memory.

:func:`ask` gives one answer as a value: the rows, what the call returned, and the address space before and after.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Any

from p2plab.core.actors import run_alone
from p2plab.core.errors import BadInput, KernelError
from p2plab.core.names import unknown
from p2plab.core.world import World
from p2plab.mm.ask_operations import OPERATIONS, Operation
from p2plab.mm.ask_sources import source_in
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

    ``mmap_lock``: how anybody holds it; ``locks``: what the caller itself holds, see :func:`p2plab.mm.locks.locks_held`.
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
