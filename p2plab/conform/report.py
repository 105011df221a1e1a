"""What a comparison with recordings found: counts that add up, and the first differences side by side."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: How many differences a report keeps whole; the rest are only counted.
KEEP = 10


class NotModelled(Exception):
    """The model does not have it; the text says what."""


@dataclass(frozen=True)
class Difference:
    """One operation on which the model and the recording disagree."""

    source: str  #: the recorded file
    case: str  #: the case's name inside the file
    operation: str  #: the operation, with its arguments
    what: str  #: which of the compared things differs: ``ret``, ``events``, ``vmas``…
    recorded: Any  #: what the kernel did, as plain JSON values
    model: Any  #: what the model did, as plain JSON values


@dataclass
class Comparison:
    """Running totals of a comparison. ``operations == agree + differ + sum(not_modelled.values())``."""

    what: str
    cases: int = 0
    agree: int = 0
    differ: int = 0
    not_modelled: Counter[str] = field(default_factory=Counter)
    first_differences: list[Difference] = field(default_factory=list)
    never_recorded: int = 0  #: outcomes of races that the model allows and no repetition showed; not a difference

    @property
    def operations(self) -> int:
        """How many recorded operations were looked at."""
        return self.agree + self.differ + sum(self.not_modelled.values())

    @property
    def status(self) -> int:
        """The exit status of a shell command: 0 only when nothing differs."""
        return 1 if self.differ else 0

    def differs(self, *differences: Difference) -> None:
        """Count one operation as differing, for the reasons given."""
        self.differ += 1
        self.first_differences.extend(differences[: KEEP - len(self.first_differences)])

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object."""
        return {
            "what": self.what,
            "cases": self.cases,
            "operations": self.operations,
            "agree": self.agree,
            "differ": self.differ,
            "not_modelled": dict(sorted(self.not_modelled.items())),
            "never_recorded": self.never_recorded,
            "first_differences": [vars(difference) for difference in self.first_differences],
        }

    def lines(self) -> Iterator[str]:
        """The report as text: the first differences side by side, then the counts."""
        for d in self.first_differences:
            yield f"{d.source}: {d.case}: {d.operation}: {d.what} differs"
            yield from _indented("recorded", d.recorded)
            yield from _indented("model", d.model)
        hidden = self.differ - len({(d.source, d.case, d.operation) for d in self.first_differences})
        if hidden > 0:
            yield f"… and {hidden} more"
        yield f"conform {self.what}: {self.cases} cases, {self.operations} operations"
        yield f"  agree        {self.agree}"
        yield f"  differ       {self.differ}"
        yield f"  not modelled {sum(self.not_modelled.values())}"
        if self.never_recorded:
            yield f"  (races: {self.never_recorded} more outcomes are possible in the model and were not recorded)"
        for name, count in sorted(self.not_modelled.items()):
            yield f"    {name:<24} {count}"


def _indented(label: str, value: Any) -> list[str]:
    return textwrap.wrap(str(value), 100, initial_indent=f"  {label:<9}", subsequent_indent=" " * 11) or [f"  {label}"]
