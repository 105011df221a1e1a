"""A rule watches the log and reports when a promise is broken; the board says how every promise stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from p2plab.core.events import Entry


@dataclass(frozen=True)
class Finding:
    """A broken promise: at which step, in whose step, who broke it, and what happened."""

    rule: str
    step: int
    actor: str
    culprit: str
    what: str


class Rule:
    """One promise. A subclass keeps what it needs to remember in plain attributes and overrides :meth:`see`.

    ``source`` is a Message-ID of linux-mm or a kernel file; ``stated`` says whether it is written there (True) or
    inferred from it. ``years``: ``2019``, ``now`` or both. ``number`` is the promise's number in the documentation.
    ``kind``: a ``promise`` must never be broken, nor may one of a ``design`` of today under that design; a ``price`` is
    paid by a driver that may well be right.
    """

    name: ClassVar[str]
    number: ClassVar[int | None] = None
    promise: ClassVar[str]
    source: ClassVar[str]
    stated: ClassVar[bool]
    sources: ClassVar[Mapping[str, str]] = {}  #: kernel -> where it says so, if that is elsewhere than in today's
    inferred: ClassVar[str] = ""  #: the words of a stated promise that the source does not have
    years: ClassVar[str] = "2019 and now"
    kind: ClassVar[str] = "promise"

    def __init__(self) -> None:
        self.exercised = False  #: whether anything happened that could have broken it
        self.notes: tuple[str, ...] = ()  #: what was let pass although a literal reading forbids it, and why

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

    def see(self, entry: Entry) -> Iterator[Finding]:
        """Look at the next entry; yield what it breaks."""
        raise NotImplementedError

    def broken(self, entry: Entry, culprit: str, what: str) -> Finding:
        """A finding of this rule at this entry."""
        return Finding(self.name, entry.step, entry.actor, culprit, what)

    def excuse(self, what: str) -> None:
        """Note what another rule, or the thread, allows against this one."""
        if what not in self.notes:
            self.notes = (*self.notes, what)


@dataclass(frozen=True)
class Board:
    """How the promises stand after a log: all findings in order, and which rules were put to the test at all."""

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
        """What the rules let pass, each with its reason: where two promises contradict, it is said here."""
        return tuple(f"{rule.name}: {note}" for rule in self.rules for note in rule.notes)


def judge(log: Iterable[Entry], rules: Sequence[type[Rule]]) -> Board:
    """Read a log through fresh copies of the rules."""
    fresh = tuple(rule() for rule in rules)
    findings = tuple(finding for entry in log for rule in fresh for finding in rule.see(entry))
    return Board(fresh, findings)
