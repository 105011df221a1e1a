"""The model against recordings of real kernels, and what `conform mm` says about files that are no recordings."""

import json
from pathlib import Path

import pytest

from p2plab.cli import main
from p2plab.conform.mm import conform
from p2plab.core.errors import BadInput

RECORDINGS = Path(__file__).parents[2] / "assets" / "recordings" / "mmu"
FILES = sorted(RECORDINGS.glob("*.jsonl"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_recorded_operation_differs(path):
    """Every recorded operation that is modelled does in the model what the kernel did."""
    report = conform([path])
    assert not report.first_differences, "\n".join(report.lines())
    assert report.differ == 0
    assert sum(report.not_modelled.values()) < report.operations / 100


def test_nothing_recorded_is_left_out():
    """Every operation of every file is modelled."""
    report = conform(FILES)
    assert report.cases > 2000
    assert dict(report.not_modelled) == {}


def test_a_scan_that_announces_something_else_differs(tmp_path):
    """How often NUMA balancing scans is taken from the recording; what each scan announces is not."""

    def wait(*events):
        return {"op": "numa_balancing_wait", "ms": 9, "ret": 0, "events": list(events)}

    def scan(end):
        common = {"event": "PROTECTION_VMA", "start": 0, "end": end, "blockable": True}
        locked = common | {"mmap_lock": "read"}
        return [{"cb": "interval"} | locked, {"cb": "start"} | locked, {"cb": "end"} | common]

    touch = {"op": "touch", "start": 0, "end": 1, "write": True, "ret": 0, "events": []}
    for events, differ in [(scan(16), 0), (scan(16) * 3, 0), ([], 1), (scan(15), 1), (scan(16) + scan(15), 1)]:
        assert conform([recording(tmp_path, MMAP, touch, wait(*events))]).differ == differ


HEADER = '{"header": {"kernel_key": "deb612"}}\n'
MMAP = {"op": "mmap", "start": 0, "end": 16, "ret": 0, "events": [], "pop": [], "vmas": [[0, 16, "rw-p"]]}


def recording(folder, *ops, kind="anon", header=HEADER):
    path = folder / "made.jsonl"
    case = {"name": "made", "kind": kind, "pages": 16, "ops": list(ops)}
    path.write_text(header + json.dumps(case) + "\n", encoding="utf-8")
    return path


def test_a_wrong_recording_differs(tmp_path):
    """A lock, a range or a page that the kernel would not have shown is found, and named with both sides."""
    event = {"cb": "start", "event": "UNMAP", "start": 0, "end": 15, "blockable": True, "mmap_lock": "write"}
    path = recording(
        tmp_path, MMAP, {"op": "munmap", "start": 0, "end": 16, "ret": 0, "events": [event], "pop": [[1, 2]]}
    )
    report = conform([path])
    assert (report.agree, report.differ) == (1, 1)
    assert [(d.operation, d.what) for d in report.first_differences] == [
        ("munmap start=0 end=16", "events"),
        ("munmap start=0 end=16", "pop"),
    ]
    assert report.first_differences[0].recorded == [event]


@pytest.mark.parametrize(
    "change",
    [{"ret": -1}, {"errno": "EINVAL"}, {"signal": "SIGSEGV"}, {"retry": True}, {"pop": [[0, 1]]}, {"vmas": []}],
    ids=lambda change: next(iter(change)),
)
def test_each_compared_thing_is_compared(tmp_path, change):
    """Return value, errno, signal, retry, pages and VMAs: a change of any one is a difference."""
    assert conform([recording(tmp_path, MMAP)]).differ == 0
    assert conform([recording(tmp_path, MMAP | change)]).differ == 1


def test_an_unknown_operation_stops_its_sequence(tmp_path):
    """It and the rest count as not modelled, each by its name, and never as agreeing."""
    path = recording(
        tmp_path, MMAP, {"op": "userfaultfd"}, MMAP, {"op": "madvise", "start": 0, "end": 1, "advice": "GUARD"}
    )
    report = conform([path])
    assert report.agree == 1
    assert dict(report.not_modelled) == {"userfaultfd": 1, "mmap": 1, "madvise GUARD": 1}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "empty"),
        ("not json\n", "made.jsonl:1: this is not a line of JSON"),
        ("[]\n", "made.jsonl:1: an object was expected"),
        ('{"header": {"kernel_key": "plan9"}}\n', "kernel_key, one of deb612, deb61, p73"),
        (HEADER + "{" * 100_000 + "\n", "made.jsonl:2: this is not a line of JSON"),
        (HEADER + '{"name": "x"}\n', "made.jsonl:2: case x needs a kind"),
        (HEADER + '{"name": "x", "kind": "anon", "pages": 0, "ops": []}\n', "number of pages"),
        (HEADER + '{"name": "x", "kind": "anon", "pages": 1, "ops": [1]}\n', "operation 1: an object"),
        (
            HEADER + '{"name": "x", "kind": "anon", "pages": 1, "ops": [{"op": "munmap", "start": 1e9}]}\n',
            "start must be a number",
        ),
        (
            HEADER + '{"name": "x", "kind": "anon", "pages": 1, "ops": [{"op": "munmap", "start": 99999999999}]}\n',
            "start must be a number",
        ),
        (HEADER + '{"name": "x", "kind": "anon", "pages": 1, "ops": [{"op": "munmap"}]}\n', "munmap needs start"),
        (
            HEADER + '{"name": "x", "kind": "anon", "pages": 1, "ops": [{"op": "munmap", "start": 2, "end": 1}]}\n',
            "end lies before start",
        ),
        (HEADER + '{"name": "x", "kind": "anon", "pages": 1, "ops": [{"op": "mbind", "node": [1]}]}\n', "node must be"),
        (HEADER + '{"name": "x", "kind": "anon", "pages": 1, "ops": [{"op": "mmap", "start": 0, "end": 1}, 7]}\n', "2"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path, text, what):
    """The file, the line and what was expected are named; nothing is guessed."""
    path = tmp_path / "made.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=what):
        conform([path])


def test_a_file_that_cannot_be_read_is_bad_input(tmp_path):
    """Missing files and bytes that are no text."""
    with pytest.raises(BadInput, match="No such file"):
        conform([tmp_path / "none.jsonl"])
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="not UTF-8"):
        conform([tmp_path / "bytes.jsonl"])


def test_the_command_line_says_it_by_its_exit_status(tmp_path, capsys):
    """0 when nothing differs, 1 when something does, 2 for bad input; --json is one object that adds up."""
    good, bad = recording(tmp_path, MMAP), tmp_path / "bad.jsonl"
    assert main(["conform", "mm", str(good), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["operations"] == report["agree"] == 1
    bad.write_text(HEADER + json.dumps({"name": "x", "kind": "anon", "pages": 16, "ops": [MMAP | {"ret": -1}]}))
    assert main(["conform", "mm", str(bad)]) == 1
    assert "recorded -1" in capsys.readouterr().out
    bad.write_text("")
    assert main(["conform", "mm", str(bad)]) == 2
    assert "bad.jsonl:1" in capsys.readouterr().err
