"""A rule is a monitor with its source; the board says for each promise whether it was broken, kept or not exercised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from p2plab.core.events import Entry
from p2plab.core.monitor import Finding, Monitor
from p2plab.p2p.aperture import PAGE_SIZE


class Rule(Monitor):
    """A monitor with its source: the mail or the kernel file that makes the promise.

    ``source`` is a Message-ID of linux-mm or a kernel file; ``stated`` says whether it is written there (True) or
    inferred from it. ``years``: ``2019``, ``now`` or both. ``number`` is the promise's number in the documentation.
    ``kind``: a ``promise`` must never be broken, nor one of a ``design`` of today under that design; a ``hardware``
    promise is not the driver's; a ``price`` may be paid by a driver that is right.
    """

    number: ClassVar[int | None] = None
    source: ClassVar[str]
    stated: ClassVar[bool]
    sources: ClassVar[Mapping[str, str]] = {}  #: kernel -> where it says so, if not in today's place
    inferred: ClassVar[str] = ""  #: the words of a stated promise that are not in the source
    years: ClassVar[str] = "2019 and now"
    kind: ClassVar[str] = "promise"

    def __init__(self) -> None:
        super().__init__()
        self.notes: tuple[str, ...] = ()  #: what was excused although a literal reading forbids it, and why

    @classmethod
    def source_in(cls, kernel: str) -> str:
        """Where the promise comes from, as that kernel (``rfc2019``, ``6.1``, …) has it."""
        return cls.sources.get(kernel, cls.source)

    @classmethod
    def basis(cls) -> str:
        """``stated``, ``inferred``, or ``stated; '…' is inferred``: how much of the promise its source says."""
        if cls.stated and cls.inferred:
            return f"stated; '{cls.inferred}' is inferred"
        return "stated" if cls.stated else "inferred"

    def excuse(self, what: str) -> None:
        """Note an exception to this rule that another rule, or the thread, allows."""
        if what not in self.notes:
            self.notes = (*self.notes, what)


@dataclass(frozen=True)
class Board:
    """The state of the promises after a log: all findings in order, and which rules were exercised at all."""

    rules: tuple[Rule, ...]
    findings: tuple[Finding, ...]

    def first(self, rule: str) -> Finding | None:
        """The first finding of a rule, or None."""
        return next((finding for finding in self.findings if finding.rule == rule), None)

    def state(self, rule: Rule) -> str:
        """``broken at step 7``, ``kept``, or ``not exercised``."""
        finding = self.first(rule.name)
        if finding is not None:
            return f"broken at step {finding.step}"
        return "kept" if rule.exercised else "not exercised"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the rules excused, each with its reason: contradictions between promises appear here."""
        return tuple(f"{rule.name}: {note}" for rule in self.rules for note in rule.notes)


def judge(log: Iterable[Entry], rules: Sequence[type[Rule]]) -> Board:
    """Read a log through fresh copies of the rules."""
    fresh = tuple(rule() for rule in rules)
    findings = tuple(finding for entry in log for rule in fresh for finding in rule.see(entry))
    return Board(fresh, findings)


def pages_of(importer: str, start: int, end: int) -> frozenset[tuple[str, int]]:
    """The pages of ``[start, end)`` (bytes) with their owner, as rules remember them."""
    return frozenset((importer, page) for page in range(start, end, PAGE_SIZE))
