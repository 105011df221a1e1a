"""What a run can be written as, for ``p2plab export`` and for the lab's buttons.

The trace (JSON, for Perfetto or chrome://tracing) has a lane for each actor, with calls nested. The test opens the token and
asserts which rules broke at which steps. It pins a run, so that its meaning cannot change unnoticed; the test that a search
hands out (:func:`p2plab.views.report.pytest_of`) fails until the driver is repaired.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from p2plab.core.calls import Called, Returned
from p2plab.core.errors import BadInput
from p2plab.core.events import to_json
from p2plab.core.logfile import dump
from p2plab.core.run import Run
from p2plab.core.token import token_of
from p2plab.core.world import PERSON, Stepped
from p2plab.rules.damage import damage
from p2plab.views.text import board_of, story


@dataclass(frozen=True)
class Format:
    """One way to write a run: the file's ending and media type, its purpose, and the function that makes the text."""

    ending: str
    media_type: str
    help: str
    write: Callable[[Run], str]


def _page(run: Run) -> str:
    from p2plab.views.page import page  # reads every step of the run, which only this needs

    return page(run)


def _log(run: Run) -> str:
    return "\n".join(dump(run)) + "\n"


def _trace(run: Run) -> str:
    return json.dumps(chrome_trace(run))


def chrome_trace(run: Run) -> dict[str, Any]:
    """The trace as one JSON object. One tick is shown as one microsecond; steps do not overlap, as in the model."""
    lanes = {name: number for number, name in enumerate([PERSON, *run.world.actors])}
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": lane, "args": {"name": name}}
        for name, lane in lanes.items()
    ]
    open_calls: dict[int, list[str]] = {}
    for entry in run.log:
        lane = lanes.get(entry.actor, 0)
        # The schedule alone orders steps, so the step number is the clock; the ticks are in the arguments.
        base = {"pid": 1, "tid": lane, "ts": entry.step * 10 + 1}
        event = entry.event
        arguments = {"args": to_json(entry)}
        if isinstance(event, Stepped):
            events.append({**base, **arguments, "ts": entry.step * 10, "dur": 9, "ph": "X", "name": event.label})
        elif isinstance(event, Called):
            name = f"{event.target}.{event.function}"
            open_calls.setdefault(lane, []).append(name)
            events.append({**base, **arguments, "ph": "B", "name": name})
        elif isinstance(event, Returned):
            if open_calls.get(lane):
                events.append({**base, **arguments, "ph": "E", "name": open_calls[lane].pop()})
        else:
            events.append({**base, **arguments, "ph": "i", "s": "t", "name": str(event) or event.kind})
    end = (len(run) + 1) * 10
    for lane, names in open_calls.items():
        events += [{"pid": 1, "tid": lane, "ts": end, "ph": "E", "name": name} for name in reversed(names)]
    return {"traceEvents": events, "otherData": {"scenario": run.scenario.name, **run.settings}}


#: How long a piece of a token may be on one line of the test.
PIECE = 88


def as_test(run: Run) -> str:
    """A whole file for pytest. :exc:`BadInput` for a run with your own classes, which no token can carry."""
    if run.scenario.cast:
        roles = ", ".join(f"{role}={given.__name__}" for role, given in run.scenario.cast.items())
        raise BadInput(f"this run uses your own classes ({roles}); a test of its token alone would run without them")
    board = board_of(run)
    broken = {rule.name: finding.step for rule in board.rules if (finding := board.first(rule.name))}
    token = token_of(run)
    pieces = "".join(f'\n    "{token[i : i + PIECE]}"' for i in range(0, len(token), PIECE))
    name = re.sub(r"\W+", "_", run.scenario.name)
    expected = "".join(f'\n        "{rule}": {step},' for rule, step in broken.items())
    said = _sentence(broken, run.scenario.words_with(run.settings).title)
    return f'''"""{said}"""

from p2plab.everything import find
from p2plab.core.token import open_token
from p2plab.rules.damage import damage
from p2plab.views.text import board_of

TOKEN = ({pieces}
)


def test_{name}_breaks_{"_and_".join(re.sub(r"[^a-z0-9]+", "_", rule) for rule in broken) or "nothing"}():
    """Each rule that breaks, and the step at which it first does."""
    run = open_token(TOKEN, find)
    board = board_of(run)
    broken = {{rule.name: found.step for rule in board.rules if (found := board.first(rule.name))}}
    assert broken == {{{expected}{chr(10) + "    " if broken else ""}}}
    assert len(damage(run.log)) == {len(damage(run.log))}
'''


def _sentence(broken: dict[str, int], title: str) -> str:
    what = ", ".join(f"{rule} breaks at step {step}" for rule, step in broken.items()) or "nothing breaks"
    safe = re.sub(r'["\\]', "'", f"{title}: {what}.")
    lines = textwrap.wrap(safe, 110)
    return lines[0] if len(lines) == 1 else "\n".join([*lines, ""])


FORMATS: dict[str, Format] = {
    "html": Format("html", "text/html", "one page that steps through the run in any browser, without Python", _page),
    "text": Format("txt", "text/plain", "72 columns of text, for a mail", story),
    "trace": Format("trace.json", "application/json", "a trace for Perfetto or chrome://tracing", _trace),
    "test": Format("py", "text/x-python", "a test to paste, which says what breaks at which step", as_test),
    "log": Format("jsonl", "application/x-ndjson", "the event log, one JSON object a line", _log),
}
