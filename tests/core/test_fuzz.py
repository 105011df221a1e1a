"""Whatever comes in by mail, link or file is read or refused; nothing of it is executed, and none of it takes long."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from p2plab import find
from p2plab.core.errors import BadInput
from p2plab.core.logfile import load
from p2plab.core.token import open_token
from tests.core.fuzz import check_of

ROOT = Path(__file__).parents[2]
COUNT = 2000


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, object]]:
    """A small campaign of benchmarks/fuzz_readers.py, in a process of its own: its audit hook can never be removed."""
    command = [sys.executable, "benchmarks/fuzz_readers.py", str(COUNT), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return {row["reader"]: row for row in json.loads(done.stdout)["rows"]}


def test_broken_input_is_read_or_refused(rows):
    """Nothing else comes out of any reader; and the campaign gets behind the first check of each."""
    for reader, least in {"tokens": 50, "scenes and knobs": 100, "schedules": 50, "logs": 20, "hand-ins": 10}.items():
        row = rows[reader]
        assert row["read"] >= least, row
        assert row["refused"] >= least, row
    assert rows["tokens"]["stale"] >= 100


def test_reading_runs_nothing_and_opens_nothing(rows):
    """The interpreter was asked: no code compiled or executed, no import, no file, no process, no socket."""
    assert {name: row["touched"] for name, row in rows.items() if row.get("touched")} == {}


@pytest.mark.timed
def test_no_input_takes_long_or_much_memory(rows):
    """Small texts that might grow large: seconds and megabytes, generously for a busy machine."""
    for row in rows.values():
        assert row.get("worst", 0) < 10, row
        if "megabytes" in row:
            assert row["seconds"] < 10, row
            assert row["megabytes"] < 100, row


def token(schedule: str, knobs: str = "-") -> str:
    body = f"p2p1.workbench~{find('workbench').version}.{knobs}.{schedule}.AAAAAAAA"
    return f"{body}.{check_of(body)}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("p2p1." + "a" * 500_000, "500005 characters, at most 201000 are possible"),
        (" " * 50_000, "does not begin with p2p1."),
        (token("5a"), "schedule cannot be read from '5a' on"),
        (token("bzzz"), "schedule cannot be read from 'zzz' on"),
        (token("b0000007"), "schedule cannot be read from '7' on"),
        (token("a", f"importer={'9' * 5000}"), "importer=9999"),
    ],
    ids=["long", "blank", "a number first", "an unfinished letter", "seven digits", "a long knob"],
)
def test_a_token_that_cannot_be_read_is_told_why(text, sentence):
    """Nothing of it is passed over in silence."""
    with pytest.raises(BadInput, match=sentence):
        open_token(text, find)


def repr_of(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize("value", [10**5000, [[]], None, float("nan"), b"\xff", True, {"a": 1}], ids=repr_of)
def test_a_knob_of_any_type_is_refused_in_a_sentence(value):
    """Also numbers that Python itself does not write out."""
    with pytest.raises(BadInput, match="importer") as caught:
        find("workbench").settings({"importer": value})
    assert len(str(caught.value)) < 400
    with pytest.raises(BadInput):
        find("defrag-obedient").settings({"pages": value})


@pytest.mark.parametrize("kind", ["[" * 900 + "]" * 900, '{"a":' * 400 + "1" + "}" * 400, "1e400", "null"])
def test_a_kind_of_event_that_is_no_word_is_refused(kind):
    """However deep it is nested."""
    with pytest.raises(BadInput, match="log line"):
        load(['{"p2plab_log": 1}', f'{{"kind": {kind}}}'])
