"""The designs beside each other, as plain text of at most 72 columns: questions, importer classes, uses of struct page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from p2plab.designs import DESIGNS
from p2plab.designs.classes import Served
from p2plab.designs.lines import outcomes
from p2plab.designs.matrix import Cell, Change, in_kernel, why_absent
from p2plab.designs.runs import RUNS, run
from p2plab.designs.struct_page import Use

WIDTH = 72
FIRST = max(map(len, DESIGNS)) + 2


def matrix_text(cells: Mapping[str, Sequence[Cell]], kernel: str = "") -> Iterator[str]:
    """Each question, and below it a line for each design: the answer, and the runs that it is read from."""
    if kernel:
        yield f"What was true in {kernel}."
        yield ""
    yield from _designs(kernel)
    for question, row in cells.items():
        yield ""
        yield question.upper()
        for cell in row:
            if cell.absent:
                said = cell.answer
            else:
                said = f"{cell.answer}  [{', '.join(cell.runs)}]" if cell.runs else f"{cell.answer}  (source)"
            yield from _line(cell.design, said)
            if cell.corrected:
                yield from _line("", f"table: {cell.table}; {cell.corrected}")
    decided = [cell for row in cells.values() for cell in row if not cell.absent]
    count = sum(bool(cell.runs) for cell in decided)
    yield ""
    yield from _wrap(
        f"{count} of {len(decided)} cells are read from runs; the others stand as the source says. Every cell has a source "
        "(--json), listed in docs/sources.md."
    )
    yield "The runs, each of the scene design-NAME (p2plab run design-NAME ...):"
    for name, knobs in RUNS.items():
        options = " ".join(f"--knob {knob}={value}" for knob, value in knobs.items()) or "(no options)"
        yield f"  {name:<16}{options}"


def changes_text(changes: Iterable[Change]) -> Iterator[str]:
    """What two kernels answer differently, each answer with its source and the token that opens it."""
    empty = True
    for change in changes:
        if not empty:
            yield ""
        empty = False
        yield from _wrap(f"{change.before.question.upper()}, {change.before.design}", "  ")
        for cell in (change.before, change.after):
            yield from _line(cell.kernel, cell.answer)
            if cell.table not in ("-", cell.answer):
                yield from _line("", f"source: {cell.table}")
            yield from _line("", cell.source)
            yield from (f"    {token}" for token in cell.tokens[:1])
    if empty:
        yield "nothing differs"


def lists_text() -> Iterator[str]:
    """How the lines of the step list went under each design: a move, an unplug, an exit, an importer that keeps it."""
    for name in ("move", "unplug", "exit", "keeps"):
        yield ""
        yield f"THE STEP LIST, RUN {name.upper()}"
        for design in DESIGNS:
            yield from _line(design, outcomes(run(design, name).log))


def classes_text(fates: Mapping[str, Sequence[Served]]) -> Iterator[str]:
    """Each class of importer, and below it its fate under each design."""
    for importer, row in fates.items():
        yield ""
        yield importer.upper()
        for fate in row:
            yield from _line(
                fate.design,
                f"{fate.answer}  ({fate.note}{'' if fate.token or fate.answer == 'not there' else '; source'})",
            )


def uses_text(uses: Iterable[Use]) -> Iterator[str]:
    """What happens to p2pdma without one of the uses of struct page, and what does that job elsewhere."""
    yield ""
    yield "WITHOUT ONE OF THE USES OF STRUCT PAGE (p2pdma)"
    for use in uses:
        yield from _wrap(f"  {use.use}: {use.without}", "    ")
        if use.elsewhere != "-":
            yield from _wrap(f"    elsewhere: {use.elsewhere}", "      ")


def _designs(kernel: str) -> Iterator[str]:
    for design in DESIGNS.values():
        of = in_kernel(design, kernel)
        when = f"as of {design.label(of)}" if of else why_absent(design, kernel)
        yield from _line(design.name, f"{design.title}; {design.years}; {when}")


def _line(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"  {name:<{FIRST}}", subsequent_indent=" " * (FIRST + 4), break_on_hyphens=False
    )


def _wrap(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
