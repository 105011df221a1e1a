"""Address spaces and their notifier calls as text: which notifiers an operation calls, and before-and-after pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from p2plab.mm.ask import Effect, Row
from p2plab.mm.ask_changes import EffectChange, seen
from p2plab.mm.ask_specimen import START
from p2plab.mm.flags import PAGE_SIZE
from p2plab.mm.snapshot import SpaceShot, VmaShot

#: From this many equal events on consecutive pages, a table shows one line for all.
FOLD = 3


_LOCKS = "locks: mmap_lock, the VMA's own, i_mmap_rwsem, anon_vma's; for writing, reading"


def table(answers: Sequence[Effect]) -> str:
    """Answers as tables, one for each operation; one without events says so."""
    lines: list[str] = []
    for operation in dict.fromkeys(answer.operation for answer in answers):
        group = [answer for answer in answers if answer.operation == operation]
        lines += ["", f"{operation}: {group[0].what}"]
        lines.append(_line("memory", "event", "pages", "locks held", "answer"))
        for answer in group:
            lines += _answer(answer)
        lines.append(f"  Linux {group[0].kernel}; source: {group[0].source}")
    return "\n".join([*lines[1:], _LOCKS]) + "\n"


def changes_text(changes: Sequence[EffectChange]) -> str:
    """Where kernels differ: for each operation and kind of memory one line or more a kernel, and what changed, with source."""
    lines: list[str] = []
    for found in changes:
        lines += ["", f"{found.operation} of {found.kind} memory: {found.answers[0].what}"]
        before: Effect | None = None
        for number, answer in enumerate(found.answers):
            if before is not None and seen(before) == seen(answer):
                lines.append(f"  {answer.kernel:<6} the same")
                continue
            cells = list(_cells(answer.rows)) or [("none", "", "")]
            returned = answer.returned.split(":")[0]
            for place, (event, pages, lock) in enumerate(cells):
                last = "" if place or returned.startswith("0") else returned
                kernel = "" if place else answer.kernel
                lines.append(f"  {kernel:<6} {event:<18} {pages:<15} {lock:<19} {last}".rstrip())
            for rule in found.rules[number - 1] if number else ():
                text = f"since {rule.since}: {rule.what} ({rule.source})"
                lines += textwrap.wrap(text, 79, initial_indent=" " * 9, subsequent_indent=" " * 11)
            before = answer
    return "\n".join([*lines[1:], _LOCKS]) + "\n" if lines else "all these kernels do it alike\n"


def _answer(answer: Effect) -> Iterator[str]:
    cells = list(_cells(answer.rows)) or [("none", "-", "-")]
    returned = answer.returned.split(":")[0]
    returned = "ok" if returned.startswith("0") else returned
    for number, (event, pages, lock) in enumerate(cells):
        yield _line("" if number else answer.kind, event, pages, lock, "" if number else returned)


def _line(kind: str, event: str, pages: str, lock: str, answer: str) -> str:
    return f"  {kind:<12} {event:<18} {pages:<15} {lock:<19} {answer}".rstrip()


def _cells(rows: Sequence[Row]) -> Iterator[tuple[str, str, str]]:
    at = 0
    while at < len(rows):
        row = rows[at]
        run = 1
        while at + run < len(rows) and _follows(rows[at + run - 1], rows[at + run]):
            run += 1
        pages = pages_text(row)
        if run >= FOLD:
            pages = f"each [{row.start}, {rows[at + run - 1].end})"
        else:
            run = 1
        notes = ("" if row.blockable else " non-block") + (" (interval)" if row.heard_by == ("interval",) else "")
        yield row.event + notes, pages, locks_text(row)
        at += run


def _follows(first: Row, second: Row) -> bool:
    """Whether the second is the same for the next page."""
    if first.end is None or second.start is None or second.end is None:
        return False
    same = (first.event, first.locks, first.blockable) == (second.event, second.locks, second.blockable)
    return same and second.start == first.end and second.end == second.start + 1


def locks_text(row: Row) -> str:
    """The locks that the caller holds, ``w`` for writing and ``r`` for reading; ``none`` if it holds none.

    >>> locks_text(Row("CLEAR", 4, 8, "none", True, ("notifier",), (("vma", "read"),)))
    'vma r'
    """
    groups = {mode: [lock for lock, how in row.locks if how == mode] for mode in ("write", "read")}
    return ", ".join(f"{'+'.join(names)} {mode[0]}" for mode, names in groups.items() if names) or "none"


def pages_text(row: Row) -> str:
    """A row's range as text.

    >>> pages_text(Row("CLEAR", 4, 8, "read", True, ("notifier",)))
    '[4, 8)'
    """
    return "everything" if row.start is None else f"[{row.start}, {row.end})"


def before_and_after(answer: Effect) -> str:
    """The address space before and after the operation, with the range of each notifier call under it.

    One character a page: ``#`` present and writable, ``r`` present, ``s`` in the swap area, ``.`` mapped, blank no VMA.
    """
    first, last, step = _extent(answer)
    lines = [f"{answer.operation} of {answer.kind} memory (Linux {answer.kernel}): {answer.returned.split(':')[0]}"]
    lines.append(f"  before |{_strip(answer.before, first, last, step)}|")
    for row in answer.rows:
        lines.append(f"  {row.event[:6]:<6} |{_bar(row, first, last, step)}| {row.event} {pages_text(row)}")
    if not answer.rows:
        lines.append(f"  {'none':<6} |{' ' * ((last - first) // step)}| no listener is called")
    lines.append(f"  after  |{_strip(answer.after, first, last, step)}|")
    scale = "one page" if step == 1 else f"{step} pages"
    lines.append(f"  pages {first} to {last}, {scale} a character")
    return "\n".join(lines) + "\n"


def _extent(answer: Effect) -> tuple[int, int, int]:
    """First and last page of the picture, and pages a character, so that it fits 64 characters."""
    edges = [0, 16]
    for vma in (*answer.before.vmas, *answer.after.vmas):
        edges += [page_of(vma.start), page_of(vma.end)]
    first, last = min(edges), max(edges)
    step = 1
    while (last - first) // step > 64:
        step *= 2
    return first, first + -(-(last - first) // step) * step, step


def page_of(address: int) -> int:
    """The page number that answers use."""
    return (address - START) // PAGE_SIZE


def _strip(shot: SpaceShot, first: int, last: int, step: int) -> str:
    return "".join(_mark(shot, START + page * PAGE_SIZE) for page in range(first, last, step))


def _mark(shot: SpaceShot, address: int) -> str:
    for vma in shot.vmas:
        if vma.start <= address < vma.end:
            return _page_mark(vma, address)
    return " "


def _page_mark(vma: VmaShot, address: int) -> str:
    marks = (("#", vma.writable), ("r", vma.present), ("s", vma.swapped))
    return next((mark for mark, ranges in marks if any(low <= address < high for low, high in ranges)), ".")


def _bar(row: Row, first: int, last: int, step: int) -> str:
    if row.start is None or row.end is None:
        return "=" * ((last - first) // step)
    return "".join("=" if row.start < page + step and page < row.end else " " for page in range(first, last, step))
