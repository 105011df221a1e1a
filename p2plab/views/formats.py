"""What a run can be written as: for the terminal's ``export`` and for the lab's buttons alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from p2plab.core.logfile import dump
from p2plab.core.run import Run
from p2plab.views.as_test import as_test
from p2plab.views.text import story
from p2plab.views.trace import chrome_trace


@dataclass(frozen=True)
class Format:
    """One way to write a run: its file's ending and media type, what it is good for, and what makes the text."""

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


FORMATS: dict[str, Format] = {
    "html": Format("html", "text/html", "one page that steps through the run in any browser, without Python", _page),
    "text": Format("txt", "text/plain", "72 columns of text, for a mail", story),
    "trace": Format("trace.json", "application/json", "a trace for Perfetto or chrome://tracing", _trace),
    "test": Format("py", "text/x-python", "a test to paste, which says what breaks at which step", as_test),
    "log": Format("jsonl", "application/x-ndjson", "the event log, one JSON object a line", _log),
}
