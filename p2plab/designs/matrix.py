"""Design × question: every cell that a run can decide has its token, and its answer is read from the run's log.

A cell belongs to one kernel, by default its design's newest. Where the kernel had no such design, the cell says so.
:func:`changes` lists what differs between two kernels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from p2plab.core.events import Entry
from p2plab.core.kernels import NAMES, named
from p2plab.designs import DESIGNS, readings
from p2plab.designs.design import Design
from p2plab.designs.runs import has_run, run, token

Log = tuple[Entry, ...]


@dataclass(frozen=True)
class Question:
    """``read`` answers from the logs of ``runs``; None: only a source can answer."""

    name: str
    read: Callable[..., str] | None = None
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """``answer``: from the ``runs``, whose ``tokens`` open them, or from the source alone. ``table``: what the sources say.

    ``kernel``: that of the answer, ``7.3 + <Message-ID>`` for a series on top of 7.3. ``corrected``: why the answer differs
    from the table, or says more than it; empty where the two agree. ``absent``: that kernel has no such design.
    """

    question: str
    design: str
    kernel: str
    answer: str
    tokens: tuple[str, ...]
    runs: tuple[str, ...]
    table: str
    source: str
    corrected: str
    absent: bool = False

    def as_json(self) -> dict[str, object]:
        """The cell as plain values; ``token`` is the first run's, or None."""
        return {
            "design": self.design,
            "kernel": self.kernel,
            "answer": self.answer,
            "token": self.tokens[0] if self.tokens else None,
            "tokens": list(self.tokens),
            "runs": list(self.runs),
            "source": self.source,
            "table": self.table,
            "corrected": self.corrected or None,
            "absent": self.absent,
        }


@dataclass(frozen=True)
class Change:
    """One question to one design that two kernels answer differently, with both cells."""

    before: Cell
    after: Cell

    @property
    def name(self) -> str:
        """``learns of a move by, dma-buf-dynamic: 6.12 to 7.3``."""
        return f"{self.before.question}, {self.before.design}: {self.before.kernel} to {self.after.kernel}"

    def as_json(self) -> dict[str, object]:
        """Both cells as plain values."""
        return {"question": self.before.question, "before": self.before.as_json(), "after": self.after.as_json()}


QUESTIONS: dict[str, Question] = {
    question.name: question
    for question in (
        Question("exporter object"),
        Question("importer handle"),
        Question("learns of a move by", readings.learns, ("move",)),
        Question("exporter may refuse", readings.may_refuse, ("refused", "later")),
        Question("importer may keep it", readings.keeps, ("keeps",)),
        Question("callback may sleep", readings.sleeps, ("move",)),
        Question("lock around callback", readings.callback_locks, ("move", "exit")),
        Question("lock around map", readings.map_locks, ("move",)),
        Question("move while mapped", readings.moves, ("move",)),
        Question("cannot fault or stop", readings.cannot_stop, ("cannot-stop", "static", "long-term", "revocable")),
        Question(
            "where failure shows",
            readings.where_failure_shows,
            ("refused", "static-refused", "later", "unreachable", "no-pages", "no-peer"),
        ),
        Question("struct page needed", readings.struct_page, ("no-pages", "no-peer")),
        Question("topology check", readings.topology, ("unreachable",)),
        Question("lifetime", readings.lifetime, ("unplug", "exit")),
        Question("predictability promise"),
        Question("granularity of a take-back", readings.granularity, ("part",)),
    )
}


def in_kernel(design: Design, kernel: str) -> str:
    """The kernel for the answer: ``kernel``, or the design's newest for the empty name; empty where the design is not in it."""
    if not kernel:
        return design.newest
    return kernel if kernel in design.kernels else ""


def why_absent(design: Design, kernel: str) -> str:
    """Why a design is not in a kernel."""
    if design.posted:
        return f"not in {kernel}: posted {design.since}, not merged"
    return f"not in {kernel}: came with {design.since}"


def cell(question: str, design: str, kernel: str = "") -> Cell:
    """One cell of the matrix; ``kernel``: one of :data:`p2plab.core.kernels.NAMES`, or a design's own."""
    asked, whole = QUESTIONS[question], DESIGNS[design]
    of = in_kernel(whole, kernel)
    if not of:
        newest = whole.answers[question]
        return Cell(question, design, kernel, why_absent(whole, kernel), (), (), "-", newest.source, "", absent=True)
    known = whole.answers[question].in_kernel(of)
    said, sources, corrected = known.said, known.source, known.corrected
    label = whole.label(of)
    if asked.read is None:
        return Cell(question, design, label, said, (), (), said, sources, corrected)
    names = tuple(name for name in asked.runs if has_run(design, name))
    answer = asked.read(*(run(design, name, of).log for name in names))
    tokens = tuple(token(design, name, of) for name in names)
    return Cell(question, design, label, answer, tokens, names, said, sources, corrected)


def matrix(kernel: str = "") -> dict[str, tuple[Cell, ...]]:
    """All cells, by question, in the order of ``DESIGNS``: of each design's newest kernel, or of one kernel.

    :exc:`BadInput` for a kernel that is not one of :data:`p2plab.core.kernels.NAMES`.
    """
    if kernel:
        named(dict.fromkeys(NAMES), kernel)
    return {question: tuple(cell(question, design, kernel) for design in DESIGNS) for question in QUESTIONS}


def changes() -> tuple[Change, ...]:
    """Every question that a design answers differently in two successive kernels of it."""
    found = []
    for name, design in DESIGNS.items():
        for older, newer in itertools.pairwise(design.kernels):
            for question in QUESTIONS:
                before, after = cell(question, name, older), cell(question, name, newer)
                if (before.answer, before.table) != (after.answer, after.table):
                    found.append(Change(before, after))
    return tuple(found)
