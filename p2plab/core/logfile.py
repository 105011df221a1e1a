"""A log as JSON lines: a header that says what ran, then one line an entry. Reading one back gives equal entries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from p2plab.core import known
from p2plab.core.errors import BadInput
from p2plab.core.events import Entry, from_json, to_json
from p2plab.core.run import Run
from p2plab.core.token import token_of

FORMAT = 1

#: A line or a file longer than this is no log of p2plab's.
LONGEST_LINE, MOST_LINES = 100_000, 2_000_000


@dataclass(frozen=True)
class LogFile:
    """What was read: the scenario's name, the run's token, and the entries."""

    scenario: str
    token: str
    entries: tuple[Entry, ...]


def dump(run: Run) -> Iterator[str]:
    """The run's log as JSON lines, without line ends."""
    yield json.dumps({"p2plab_log": FORMAT, "scenario": run.scenario.name, "token": token_of(run)})
    for entry in run.log:
        yield json.dumps(to_json(entry))


def load(lines: Iterable[str]) -> LogFile:
    """Read JSON lines back; :exc:`BadInput` names the line and what is wrong with it."""
    kinds = known.events()
    header: dict[str, object] | None = None
    entries: list[Entry] = []
    for number, line in enumerate(lines):
        if len(line) > LONGEST_LINE or number > MOST_LINES:
            raise BadInput(f"log line {number + 1}: too long, or too many lines, for a log")
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise BadInput(f"log line {number + 1}: not JSON") from None
        if header is None:
            if not isinstance(value, dict) or value.get("p2plab_log") != FORMAT:
                raise BadInput(f'log line 1: not a p2plab log (expected "p2plab_log": {FORMAT})')
            header = value
        else:
            entries.append(from_json(len(entries), value, kinds))
    if header is None:
        raise BadInput("an empty file is not a log")
    return LogFile(str(header.get("scenario", "")), str(header.get("token", "")), tuple(entries))
