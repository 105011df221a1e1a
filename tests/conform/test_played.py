"""What the catalogue says of the plays on a real kernel: every scene, in the command, in the docs, and true to the records."""

import json
import re
from pathlib import Path

import pytest

from p2plab.catalog import CASES
from p2plab.catalog.played import PLAYED, linux, of_rule, play_of, summary
from p2plab.cli import main
from p2plab.conform.scenes_read import read_record
from p2plab.drivers.nic import ObedientNic
from p2plab.everything import SCENES

ROOT = Path(__file__).parents[2]
RECORDS = [read_record(path) for path in sorted((ROOT / "assets" / "recordings" / "scenes").glob("*.json"))]


def test_every_scene_says_whether_it_was_played():
    """Each has both plays, or a reason for the one that is missing."""
    assert set(PLAYED) == set(CASES)
    for code, played in PLAYED.items():
        assert (None in (played.broken, played.good)) == bool(played.why), code


@pytest.mark.parametrize(
    "record", [r for r in RECORDS if not (r.varied or "srcu-notrace" in r.source)], ids=lambda record: record.name
)
def test_the_complaints_are_those_of_the_record(record):
    """Silent where the record is, and not where it is not; the killer that a play called does not count."""
    played = PLAYED[record.scene]
    play = played.broken if record.kind == "broken" else played.good
    assert bool(play.says) == bool([said for said in record.says if said.kind != "oom"])


def test_the_catalogue_prints_it(capsys):
    """`catalog --json` has `linux` for each scene: played, order, damage, complaints."""
    assert main(["catalog", "F1", "C4", "--seeds", "0", "--json"]) == 0
    first, fourth = (scene["linux"] for scene in json.loads(capsys.readouterr().out)["scenes"])
    assert first["played"] == ["broken", "good"]
    assert first["order"] == {"broken": "total", "good": "per actor"}
    assert first["damage"] == {"broken": "agrees", "good": "agrees"}
    assert first["complaints"] == {"broken": ["DMA-API leak (at the end)"], "good": []}
    assert fourth["played"] == []
    assert "ACS" in fourth["why_not"]


def test_the_page_has_the_same_table():
    """docs/real-kernel.md, row by row."""
    page = (ROOT / "docs" / "real-kernel.md").read_text(encoding="utf-8")
    rows = {cells[0]: cells[1:] for cells in (re.split(r" *\| *", line.strip("| ")) for line in page.splitlines())}
    for code, played in PLAYED.items():
        plays = [
            (p.order, p.damage, "; ".join(p.says) or "silent") if p else ("–",) * 3
            for p in (played.broken, played.good)
        ]
        assert tuple(rows[code]) == plays[0] + plays[1], code


def test_the_catalogue_says_how_often_the_kernel_is_silent():
    """29 of the 47 broken scenes that were played: what p2plab is for."""
    assert summary(CASES) == "Linux 6.12.117: 47 broken ones were played, and it said nothing in 29"


def test_a_scene_says_it_in_words(capsys):
    """One line more in `p2plab scenes`, also for a scene that was not played."""
    assert main(["scenes"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "on Linux 6.12.117: broken: order per actor, damage agrees; the kernel: silent. good: order total" in said
    assert "on Linux 6.12.117: not played (QEMU's switches have no ACS and would not reroute)" in said


@pytest.mark.parametrize(
    ("code", "settings", "silent"),
    [
        ("F2", {"driver": "broken"}, True),
        ("F3", {"driver": "broken"}, False),
        ("F3", {"driver": "good"}, True),
        ("F2", {"driver": "broken", "pages": 3}, None),
        ("C3", {"driver": "broken"}, None),
    ],
)
def test_a_play_is_found_by_scene_and_settings(code, settings, silent):
    """Of the driver that plays; other pages were not played."""
    play = play_of(CASES[code].scenario, settings)
    assert (None if play is None else not play.says) == silent


def test_what_is_no_case_was_not_played():
    """Nor was a case with another class in one of its roles."""
    assert linux(SCENES["workbench"]) is None
    assert linux(CASES["F2"].scenario.with_cast({"importer": ObedientNic})) is None


def test_a_rule_says_how_the_kernel_s_own_checkers_do():
    """Over the scenes that are named for it."""
    assert of_rule("obedience") == "Linux 6.12: played in F1, F2, F12, F20; it complained in F1, F20"
    assert of_rule("never-sleeps") == "Linux 6.12: it complained in F5"
    assert of_rule("inside-bar") == "Linux 6.12: played in E14; it was silent"
    assert of_rule("hmm-complete") == ""


def test_a_run_says_it_in_one_line(capsys):
    """Below what broke; a run with other knobs was not played."""
    assert main(["run", "F2"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "the same on a real kernel, Linux 6.12.117: order per actor, damage agrees; the kernel: silent" in said
    assert "on Linux 6.12: played in F1, F2, F12, F20; it complained in F1, F20" in said
    assert main(["run", "F2", "--knob", "pages=3"]) == 1
    assert "the same on a real kernel" not in capsys.readouterr().out
