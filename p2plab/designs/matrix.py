"""Design × question: every cell that a run can decide has its token, and its answer is read from the run's log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from p2plab.core.events import Entry
from p2plab.designs import DESIGNS, readings
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

    ``corrected``: why the answer differs from the table, or says more than it; empty where the two agree.
    """

    question: str
    design: str
    answer: str
    tokens: tuple[str, ...]
    runs: tuple[str, ...]
    table: str
    source: str
    corrected: str

    def as_json(self) -> dict[str, object]:
        """The cell as plain values; ``token`` is the first run's, or None."""
        return {
            "design": self.design,
            "answer": self.answer,
            "token": self.tokens[0] if self.tokens else None,
            "tokens": list(self.tokens),
            "runs": list(self.runs),
            "source": self.source,
            "table": self.table,
            "corrected": self.corrected or None,
        }


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
        Question("cannot fault or stop", readings.cannot_stop, ("cannot-stop", "long-term", "revocable")),
        Question(
            "where failure shows",
            readings.where_failure_shows,
            ("refused", "later", "unreachable", "no-pages", "no-peer"),
        ),
        Question("struct page needed", readings.struct_page, ("no-pages", "no-peer")),
        Question("topology check", readings.topology, ("unreachable",)),
        Question("lifetime", readings.lifetime, ("unplug", "exit")),
        Question("predictability promise"),
        Question("granularity of a take-back", readings.granularity, ("part",)),
    )
}


def cell(question: str, design: str) -> Cell:
    """One cell of the matrix."""
    asked = QUESTIONS[question]
    known = DESIGNS[design].answers[question]
    said, sources, corrected = known.said, known.source, known.corrected
    if asked.read is None:
        return Cell(question, design, said, (), (), said, sources, corrected)
    names = tuple(name for name in asked.runs if has_run(design, name))
    answer = asked.read(*(run(design, name).log for name in names))
    tokens = tuple(token(design, name) for name in names)
    return Cell(question, design, answer, tokens, names, said, sources, corrected)


def matrix() -> dict[str, tuple[Cell, ...]]:
    """All cells, by question, in the order of ``DESIGNS``."""
    return {question: tuple(cell(question, design) for design in DESIGNS) for question in QUESTIONS}
