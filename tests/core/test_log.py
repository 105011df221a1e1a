"""The event log: frozen entries, exact integers, JSON lines there and back."""

import dataclasses
import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2plab.core.errors import BadInput
from p2plab.core.events import Addr, Entry, Event, from_json, to_json
from p2plab.core.logfile import dump, load
from p2plab.core.run import Run
from p2plab.core.schedule import straight
from p2plab.everything import EVENTS, kinds_by_name
from tests.core.test_runs import SCENE


@dataclass(frozen=True, slots=True)
class EverythingHappened(Event):
    where: Addr
    places: tuple[Addr, ...]
    count: int
    fine: bool
    name: str
    data: bytes
    maybe: Addr | None
    names: tuple[str, ...]


address = st.integers(0, 2**64 - 1)
everything = st.builds(
    EverythingHappened,
    address,
    st.lists(address, max_size=3).map(tuple),
    st.integers(),
    st.booleans(),
    st.text(),
    st.binary(max_size=20),
    st.none() | address,
    st.lists(st.text(), max_size=2).map(tuple),
)


@given(everything)
def test_an_entry_survives_json_exactly(event):
    """Also addresses that a double could not hold: they travel as hex text."""
    entry = Entry(7, 3, 11, "gpu", event)
    line = json.loads(json.dumps(to_json(entry)))
    assert from_json(7, line, {"EverythingHappened": EverythingHappened}) == entry
    assert line["where"] == hex(event.where)


def test_an_entry_is_frozen():
    """Nobody can change what happened."""
    entry = Run(SCENE).driven(straight).log[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.step = 9  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.event.label = "other"  # type: ignore[misc, attr-defined]


def test_a_log_file_reads_back_as_the_same_log():
    """Header, then one line an entry."""
    run = Run(SCENE).driven(straight)
    read = load(dump(run))
    assert (read.scenario, read.entries) == ("sheet", run.log)


GOOD = {"step": 1, "time": 0, "actor": "x", "kind": "Stepped", "label": "a", "duration": 1}
HEADER = '{"p2plab_log": 1, "scenario": "sheet", "token": ""}'


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], "an empty file is not a log"),
        (["hello"], "log line 1: not JSON"),
        (["[" * 100_000], "log line 1: not JSON"),
        (['{"p2plab_log": 2}'], 'log line 1: not a p2plab log (expected "p2plab_log": 1)'),
        (["[]"], "log line 1: not a p2plab log"),
        ([HEADER, "3"], "log line 1: an object was expected, not int"),
        ([HEADER, json.dumps(GOOD | {"kind": "Nonsense"})], "unknown kind of event 'Nonsense'"),
        ([HEADER, json.dumps(GOOD | {"more": 1})], "Stepped has other fields (missing or unknown: more)"),
        ([HEADER, json.dumps(GOOD | {"duration": True})], "Stepped: True is not of the right type"),
        ([HEADER, json.dumps(GOOD | {"label": None})], "Stepped: None is not of the right type"),
        ([HEADER, " " * 200_000], "log line 2: too long"),
    ],
)
def test_a_bad_log_file_names_the_line(lines, sentence):
    """Whatever it holds, the answer is a sentence."""
    with pytest.raises(BadInput) as bad:
        load(lines)
    assert sentence in str(bad.value)


def test_two_events_cannot_share_a_name():
    """The kind in a file must mean one thing."""

    class Stepped(Event):
        pass

    with pytest.raises(TypeError, match="two kinds of event are called Stepped"):
        kinds_by_name([*EVENTS.values(), Stepped])


def test_an_entry_of_no_pages_can_be_said():
    """A log from a file may say what no run of ours does."""
    line = {"step": 1, "time": 0, "actor": "nic", "kind": "P2PMapped", "importer": "nic", "exporter": "gpu"}
    line |= {"start": "0x0", "end": "0x0", "write": True, "addresses": [], "frames": [], "mm": "", "shows": []}
    assert str(from_json(0, line, EVENTS).event) == "nic has nothing"
